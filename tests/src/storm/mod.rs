//! The storm: several people with their devices, a till, a relay and a provider, in one thread, with everything that can go
//! wrong between them: lines that break before and after, frames that come twice, late and out of order, processes that are
//! killed at any commit, a relay restored from an old copy, clocks that are wrong, a provider that does not answer.
//!
//! A seed is a list of steps ([`steps`]); the [`world`] is made of the real cores, the real relay desk and the real till;
//! the [`model`] says what must be true after every step, and when the storm is over. A seed that fails is printed, can be
//! played again, and is made smaller until nothing can be taken out of it.

pub mod model;
pub mod road;
pub mod steps;
pub mod world;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use comptoir_client::{PayChoice, PaymentState, SheetHint};
use comptoir_content::Handoff;
use comptoir_sandbox::PRACTICE_CARDS;
use comptoir_sqlcipher::crash;
use futures_util::FutureExt as _;

use model::{Broken, Model, Moved, bubbles, chat_with, chats};
use steps::Step;
use world::{DEVICES, PEOPLE, PEOPLE_COUNT, RELAY_PLACE, SHOP, TILL, World};

use crate::copy_dir;

/// Steps of a storm.
pub const STEPS: usize = 120;
/// The time goes on by so much, so often, until everything has come to its end.
const AFTERMATH: [i64; 40] = [15; 40];
const MINUTE_MS: i64 = 60_000;
/// Every device, and the relay.
const PLACES: usize = RELAY_PLACE + 1;

/// A town at dawn, from which every storm begins.
pub struct Dawn {
    dir: tempfile::TempDir,
    now_ms: i64,
}

/// What a storm was about: a storm in which nothing happened proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Texts that cores took.
    pub texts: usize,
    /// Orders that the till took.
    pub orders: usize,
    /// Charges that the provider made.
    pub charges: usize,
    /// Processes that were killed at a point.
    pub kills: usize,
    /// Devices that lost their power.
    pub cuts: usize,
    /// Copies that the relay or a device was restored from.
    pub restores: usize,
}

impl Weather {
    pub fn add(&mut self, other: Self) {
        self.texts += other.texts;
        self.orders += other.orders;
        self.charges += other.charges;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.restores += other.restores;
    }
}

/// What went wrong, and after which steps.
#[derive(Clone, Debug)]
pub struct Failure {
    pub broken: Broken,
    pub steps: Vec<Step>,
}

impl Dawn {
    /// Makes the town. Takes a moment; every storm begins with a copy of it.
    pub async fn new() -> Self {
        silence_crashes();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let now_ms = i64::try_from(since.as_millis()).expect("before the year 292 million");
        let dir = tempfile::tempdir_in(fast_disk()).expect("a temporary folder");
        world::dawn(dir.path(), now_ms).await;
        Self { dir, now_ms }
    }

    /// Plays steps, then lets everything come to rest.
    ///
    /// # Errors
    /// The promise that was broken.
    pub async fn play(&self, steps: &[Step]) -> Result<Weather, Failure> {
        match AssertUnwindSafe(self.play_out(steps)).catch_unwind().await {
            Ok(played) => played,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let broken = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
                let broken = format!("a panic: {}", broken.unwrap_or_default());
                Err(Failure { broken, steps: steps.to_vec() })
            }
        }
    }

    async fn play_out(&self, steps: &[Step]) -> Result<Weather, Failure> {
        let day = tempfile::tempdir_in(fast_disk()).expect("a temporary folder");
        copy_dir(self.dir.path(), day.path());
        let mut storm = Storm::begin(day.path(), self.now_ms, &frail(steps)).await;
        for (played, step) in steps.iter().enumerate() {
            let started_again = storm.happens(*step).await;
            if let Err(broken) = storm.model.check_now(&storm.world, &moved(*step, &started_again)).await {
                return Err(Failure { broken, steps: steps[..=played].to_vec() });
            }
        }
        let calm = storm.calms_down().await;
        calm.map_err(|broken| Failure { broken, steps: steps.to_vec() })?;
        storm.weather.texts = storm.model.taken();
        storm.weather.orders = storm.world.till().orders().map(|orders| orders.len()).unwrap_or_default();
        storm.weather.charges = model::charges(&storm.world).await.len();
        Ok(storm.weather)
    }

    /// Takes out of the steps whatever the failure does not need.
    pub async fn shrink(&self, failure: Failure) -> Failure {
        let mut smallest = failure;
        let mut chunk = smallest.steps.len() / 2;
        while chunk > 0 {
            let mut from = 0;
            while from < smallest.steps.len() {
                let mut fewer = smallest.steps.clone();
                fewer.drain(from..(from + chunk).min(fewer.len()));
                match self.play(&fewer).await {
                    Err(still) => smallest = still,
                    Ok(_) => from += chunk,
                }
            }
            chunk /= 2;
        }
        smallest
    }
}

/// Where a file need not reach a disk: what is cut off here is cut off by the storm.
fn fast_disk() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// A core that the storm kills does not report its end.
fn silence_crashes() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<crash::Crash>() {
                report(info);
            }
        }));
    });
}

struct Storm {
    world: World,
    model: Model,
    links: Vec<String>,
    /// The device that is to be killed, and at which of the points that it comes to.
    doomed: Option<(usize, u32)>,
    refunds: u8,
    weather: Weather,
}

impl Storm {
    async fn begin(dir: &Path, now_ms: i64, frail: &[usize]) -> Self {
        let world = World::open(dir, now_ms, frail).await;
        let model = Model::new(&world);
        let link = |person: usize| {
            let device = PEOPLE.iter().position(|of| *of == person).expect("everybody has a device");
            world.client(device).identity().expect("readable").expect("an account").link
        };
        let links = (0..PEOPLE_COUNT).map(link).collect();
        Self { world, model, links, doomed: None, refunds: 0, weather: Weather::default() }
    }

    /// One step. A device that is doomed is cut off in it, and starts again. Says which did.
    async fn happens(&mut self, step: Step) -> Vec<usize> {
        let device = device_of(step);
        let armed = match (self.doomed, device) {
            (Some((doomed, point)), Some(device)) if doomed == device => {
                crash::arm(point);
                true
            }
            _ => false,
        };
        let ended = AssertUnwindSafe(self.act(step)).catch_unwind().await;
        if armed {
            let left = crash::disarm();
            let device = device.expect("armed for a device");
            self.doomed = (left > 0).then_some((device, left));
            if left == 0 {
                self.weather.kills += 1;
                // A point inside of a task or of a held lock ends the process just the same.
                self.world.ends(device).await;
                self.world.starts(device).await;
                let mut started_again = self.powers_up().await;
                started_again.push(device);
                return started_again;
            }
        }
        let without_power = self.powers_up().await;
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
        without_power
    }

    /// Whoever lost their power starts again. Says which devices did.
    async fn powers_up(&mut self) -> Vec<usize> {
        let mut without_power = self.world.power_comes_back().await;
        self.weather.cuts += without_power.len();
        without_power.retain(|place| *place < DEVICES.len());
        without_power
    }

    async fn act(&mut self, step: Step) {
        match step {
            Step::Say { device, to } => self.says(device % DEVICES.len(), to).await,
            Step::Read { device } => {
                let client = self.world.client(device % DEVICES.len());
                if let Some(row) = chats(&client).unwrap_or_default().first() {
                    let _ = client.mark_read(row.chat, None).await;
                }
            }
            Step::Tap { device, product } => self.taps(device % TILL, product).await,
            Step::Pay { device } => self.pays(device % TILL).await,
            Step::Card { device, card } => {
                if let Some(page) = self.page(device % TILL) {
                    let card = PRACTICE_CARDS[card % PRACTICE_CARDS.len()].number;
                    self.world.road().taps_on_page(&page, &serde_json::json!({ "card": card })).await;
                }
            }
            Step::Bank { device, approves } => {
                if let Some(page) = self.page(device % TILL) {
                    let outcome = if approves { "ok" } else { "failed" };
                    // The page names its own challenge; without one this is a tap into the void.
                    let page = page.replacen('?', "/3ds?", 1);
                    self.world.road().taps_on_page(&page, &serde_json::json!({ "outcome": outcome })).await;
                }
            }
            Step::Close { device, hint } => {
                let client = self.world.client(device % TILL);
                let hint = [SheetHint::Done, SheetHint::Canceled, SheetHint::Failed][hint % 3];
                if let Some(order) = self.bill(device % TILL).and_then(|bill| bill.order) {
                    let _ = client.sheet_closed(order, hint).await;
                }
            }
            Step::Connect { device } => self.world.connect(device % DEVICES.len()).await,
            Step::Hang { device } => self.world.hang(device % DEVICES.len()).await,
            Step::Carry { device, frames, fate } => {
                self.world.carry(device % DEVICES.len(), frames, fate).await;
            }
            Step::Hear { device, frames } => {
                self.world.hear(device % DEVICES.len(), frames).await;
            }
            Step::Tick { device } => {
                let _ = self.world.client(device % DEVICES.len()).tick().await;
            }
            Step::Work { fate } => self.world.work(fate).await,
            Step::Webhook { fate } => {
                self.world.webhook(fate).await;
            }
            Step::Refund { amount_minor } => self.refunds(amount_minor).await,
            Step::Pass { minutes } => self.world.time.pass(minutes * MINUTE_MS),
            Step::Skew { device, minutes } => self.world.time.skew(device % DEVICES.len(), minutes * MINUTE_MS),
            Step::Kill { device, point } => self.doomed = Some((device % DEVICES.len(), point)),
            Step::PowerCut { place, operation, seed } => self.world.cut_power(place % PLACES, operation, seed),
            Step::Copied { device } => {
                let device = device % TILL;
                self.world.device_copied(device).await;
                self.model.copied(device);
            }
            Step::Restored { device } => {
                let device = device % TILL;
                if self.world.device_restored(device).await {
                    self.weather.restores += 1;
                    self.model.restored(device);
                }
            }
            Step::RelayFalls => self.world.relay_falls().await,
            Step::RelayCopied => self.world.relay_copied().await,
            Step::RelayRestored => {
                let restored = self.world.relay_restored().await;
                self.weather.restores += usize::from(restored);
                self.model.relay_restored |= restored;
            }
            Step::Lull => {
                self.world.settle().await;
            }
            Step::ProviderDown { down } => self.world.road().is_down(down),
        }
    }

    /// Writes to somebody; the shop only answers.
    async fn says(&mut self, device: usize, to: usize) {
        if device == TILL {
            return;
        }
        let others: Vec<usize> = (0..PEOPLE_COUNT).filter(|person| *person != PEOPLE[device]).collect();
        let to = others[to % others.len()];
        let client = self.world.client(device);
        let text = self.model.words(device);
        // Until it is known to be taken, it may have been.
        self.model.said(device, to, text.clone(), false);
        let Ok(chat) = client.add_contact(&self.links[to]).await else { return };
        if client.send_text(chat, &text, None).await.is_ok() {
            self.model.was_taken(&text);
        }
    }

    async fn taps(&mut self, device: usize, product: usize) {
        let client = self.world.client(device);
        let Ok(Some(chat)) = chat_with(&client, self.model.account(SHOP)) else { return };
        let greeting =
            bubbles(&client, chat).unwrap_or_default().into_iter().rfind(|bubble| !bubble.replies.is_empty());
        if let Some(greeting) = greeting {
            let title = ["Croissant", "Baguette"][product % 2];
            let _ = client.tap(chat, greeting.uid, title).await;
        }
    }

    fn bill(&self, device: usize) -> Option<comptoir_client::CheckoutView> {
        let client = self.world.client(device);
        let chat = chat_with(&client, self.model.account(SHOP)).ok()??;
        bubbles(&client, chat).ok()?.into_iter().rev().find_map(|bubble| bubble.checkout)
    }

    async fn pays(&mut self, device: usize) {
        if let Some(bill) = self.bill(device) {
            let _ = self.world.client(device).pay(bill.invoice, PayChoice::default()).await;
        }
    }

    /// The newest payment page that a device shows.
    fn page(&self, device: usize) -> Option<String> {
        match self.bill(device)?.sheet?.handoff {
            Handoff::Page { url } => Some(url),
            _ => None,
        }
    }

    async fn refunds(&mut self, amount_minor: Option<i64>) {
        let orders = self.world.till().orders().unwrap_or_default();
        if let Some(order) = orders.iter().find(|order| order.state == "captured") {
            self.refunds += 1;
            let id = comptoir_content::RefundId([self.refunds; 16]);
            if let Ok(order) = order.order.parse() {
                let _ = self.world.till().refund(order, amount_minor, id).await;
            }
        }
    }

    /// Everything that was broken is mended, and time goes on until nothing is left to happen.
    async fn calms_down(&mut self) -> Result<(), Broken> {
        self.doomed = None;
        self.world.no_more_cuts();
        self.world.road().is_down(false);
        for device in 0..DEVICES.len() {
            self.world.time.skew(device, 0);
        }
        for minutes in AFTERMATH {
            for device in 0..DEVICES.len() {
                let _ = self.world.client(device).tick().await;
            }
            if !self.world.settle().await {
                return Err("it never comes to rest".to_owned());
            }
            if self.is_over().await {
                break;
            }
            self.world.time.pass(minutes * MINUTE_MS);
        }
        self.model.check_end(&self.world).await
    }

    /// Nothing waits for time to go by.
    async fn is_over(&self) -> bool {
        use PaymentState as S;
        let waits = |bill: comptoir_client::CheckoutView| match bill.state {
            S::Placed | S::AwaitingConsent | S::Settling => true,
            S::Offered | S::NotPaid | S::Paid | S::PartRefunded | S::Refunded | S::Expired => false,
        };
        let bills = (0..TILL).flat_map(|device| {
            let client = self.world.client(device);
            let chat = chat_with(&client, self.model.account(SHOP)).ok().flatten();
            chat.map(|chat| bubbles(&client, chat).unwrap_or_default()).unwrap_or_default()
        });
        let orders = self.world.till().orders().unwrap_or_default();
        let unsent = |device| self.world.client(device).status().is_ok_and(|status| status.unsent + status.asking > 0);
        !(0..DEVICES.len()).any(unsent)
            && !bills.filter_map(|bubble| bubble.checkout).any(waits)
            && orders.iter().all(|order| matches!(order.state.as_str(), "captured" | "dead"))
            && model::check_books(&self.world).await.is_ok()
    }
}

/// The places that lose their power in these steps.
fn frail(steps: &[Step]) -> Vec<usize> {
    let mut places: Vec<usize> = steps
        .iter()
        .filter_map(|step| if let Step::PowerCut { place, .. } = step { Some(place % PLACES) } else { None })
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// What is looked at after a step: whoever had a part in it. A device changes only when something happens to it.
fn moved(step: Step, started_again: &[usize]) -> Moved {
    if step == Step::Lull {
        return Moved::everything();
    }
    if let Step::Copied { device } | Step::Restored { device } = step {
        return Moved { devices: vec![device % TILL], money: false };
    }
    let devices: Vec<usize> = device_of(step).into_iter().chain(started_again.iter().copied()).collect();
    let money = matches!(
        step,
        Step::Hear { .. } | Step::Card { .. } | Step::Bank { .. } | Step::Work { .. } | Step::Webhook { .. }
    );
    Moved { devices, money: money || !started_again.is_empty() }
}

/// Whose process a step runs in.
fn device_of(step: Step) -> Option<usize> {
    match step {
        Step::Say { device, .. }
        | Step::Read { device }
        | Step::Connect { device }
        | Step::Hang { device }
        | Step::Carry { device, .. }
        | Step::Hear { device, .. }
        | Step::Tick { device } => Some(device % DEVICES.len()),
        Step::Tap { device, .. } | Step::Pay { device } | Step::Close { device, .. } => Some(device % TILL),
        Step::Work { .. } | Step::Webhook { .. } | Step::Refund { .. } => Some(TILL),
        Step::Card { .. }
        | Step::Bank { .. }
        | Step::Pass { .. }
        | Step::Skew { .. }
        | Step::Kill { .. }
        | Step::PowerCut { .. }
        | Step::Copied { .. }
        | Step::Restored { .. }
        | Step::RelayFalls
        | Step::RelayCopied
        | Step::RelayRestored
        | Step::Lull
        | Step::ProviderDown { .. } => None,
    }
}
