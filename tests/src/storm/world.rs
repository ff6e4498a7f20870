//! A town in one thread: real cores, a real relay desk, a real till and the practice provider, with nothing between them but
//! queues that the storm moves.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use comptoir_client::headless::Setting;
use comptoir_client::testing::{Line, Said};
use comptoir_client::{Client, Config, FileVault};
use comptoir_content::Timestamp;
use comptoir_gateway::testing::Till;
use comptoir_gateway::{NewShop, init};
use comptoir_relay::Clock;
use comptoir_relay::testing::{Counter, Visit};
use comptoir_sqlcipher::faults::Disk;
use comptoir_wire as wire;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::road::{PROVIDER, Road, SECRET, WEBHOOK_SECRET};
use super::steps::Fate;
use crate::copy_dir;

const RELAY: &str = "ws://127.0.0.1:1";

/// Whose devices there are. The last one is the till's.
pub const DEVICES: [&str; 5] = ["alice", "alice-2", "bob", "carol", "bakery"];
pub const TILL: usize = 4;

/// Who a device belongs to: devices of one person have the same number.
pub const PEOPLE: [usize; 5] = [0, 0, 1, 2, 3];
pub const PEOPLE_COUNT: usize = 4;
pub const SHOP: usize = 3;

/// A place with a disk of its own: a device by its number, or the relay.
pub const RELAY_PLACE: usize = DEVICES.len();

/// The time of the whole town, and how far each clock is off.
#[derive(Clone)]
pub struct Time {
    now_ms: Arc<AtomicI64>,
    skew_ms: Vec<Arc<AtomicI64>>,
}

impl Time {
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: Arc::new(AtomicI64::new(now_ms)), skew_ms: DEVICES.iter().map(|_| Arc::default()).collect() }
    }

    pub fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn skew(&self, device: usize, ms: i64) {
        self.skew_ms[device].store(ms, Ordering::SeqCst);
    }

    fn of(&self, device: usize) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let (now_ms, skew_ms) = (self.now_ms.clone(), self.skew_ms[device].clone());
        Arc::new(move || Timestamp(now_ms.load(Ordering::SeqCst) + skew_ms.load(Ordering::SeqCst)))
    }

    fn relay(&self) -> Clock {
        Clock::shared(self.now_ms.clone())
    }
}

/// Frames on their way from the relay to a device.
#[derive(Debug)]
enum Down {
    Answer(u64, wire::Reply),
    Items(Vec<wire::Item>),
    CaughtUp,
}

/// One device with its line.
pub struct Device {
    pub client: Option<Arc<Client>>,
    pub till: Option<Till>,
    line: Option<Line>,
    visit: Option<Visit>,
    down: VecDeque<Down>,
    told_caught_up: bool,
}

/// The whole town.
pub struct World {
    dir: PathBuf,
    pub time: Time,
    relay: Option<Counter>,
    pub devices: Vec<Device>,
    /// The places that lose their power some time, for a disk that can costs time.
    sockets: BTreeMap<usize, Socket>,
    road: Arc<Road>,
}

/// Where a place has its power from.
struct Socket {
    disk: Disk,
    /// What is left of its cache when it is cut.
    seed: u64,
    /// How often it was cut.
    cuts: AtomicUsize,
}

/// A town where everybody has an account and nobody has met, on the disk.
pub async fn dawn(dir: &Path, now_ms: i64) {
    std::fs::create_dir_all(dir).expect("a folder");
    make_shop(dir, now_ms).await;
    let mut world = World::open(dir, now_ms, &[]).await;
    for device in (0..TILL).filter(|device| *device != 1) {
        world.client(device).create_account(RELAY).await.expect("an account");
    }
    world.settle().await;
    let request = world.client(1).link_request().await.expect("a request");
    let grant = world.client(0).link_device(&request).await.expect("a grant");
    world.client(1).finish_link(&grant).await.expect("the account");
    world.settle().await;
    world.close().await;
}

async fn make_shop(dir: &Path, now_ms: i64) {
    let shop = dir.join(DEVICES[TILL]);
    std::fs::create_dir_all(&shop).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(shop.join(name), text).expect("a file");
    write(
        "gateway.toml",
        &format!(
            "listen = \"127.0.0.1:0\"\n[providers.sandbox]\nurl = \"{PROVIDER}\"\naccount = \"the-bakery\"\n\
             secret_key_file = \"sandbox.key\"\nwebhook_secret_file = \"sandbox.webhook\"\n"
        ),
    );
    write("sandbox.key", SECRET);
    write("sandbox.webhook", WEBHOOK_SECRET);
    write(
        "catalogue.toml",
        "greeting = \"Bonjour!\"\ncurrency = \"EUR\"\n\
         [[product]]\nid = \"croissant\"\ntitle = \"Croissant\"\nprice_minor = 120\n\
         [[product]]\nid = \"baguette\"\ntitle = \"Baguette\"\nprice_minor = 95\n",
    );
    #[cfg(unix)]
    for secret in ["sandbox.key", "sandbox.webhook"] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(shop.join(secret), std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    let new = NewShop {
        name: "The Bakery".to_owned(),
        about: String::new(),
        relay: RELAY.to_owned(),
        owner_key: dir.join("owner.key"),
    };
    init(&shop, &new, Some(Arc::new(move || Timestamp(now_ms)))).await.expect("a shop");
}

impl World {
    /// Opens what is in `dir`: nobody is connected. The power of the places in `frail` can be cut.
    pub async fn open(dir: &Path, now_ms: i64, frail: &[usize]) -> Self {
        let mut world = Self::closed(dir, now_ms, frail).await;
        world.all_start().await;
        world
    }

    /// As [`World::open`], while the power of one place is cut in the `operation`-th thing that it does to its disk.
    pub async fn open_with_cut(dir: &Path, now_ms: i64, place: usize, operation: u64) -> Self {
        let mut world = Self::closed(dir, now_ms, &[place]).await;
        world.cut_power(place, operation, operation);
        world.all_start().await;
        world
    }

    async fn all_start(&mut self) {
        self.relay_starts().await;
        for device in 0..DEVICES.len() {
            self.starts(device).await;
        }
    }

    async fn closed(dir: &Path, now_ms: i64, frail: &[usize]) -> Self {
        let time = Time::new(now_ms);
        let road = Arc::new(Road::open(time.now_ms.clone()).await);
        let devices = DEVICES.iter().map(|_| Device::away()).collect();
        let sockets = frail.iter().map(|place| {
            let folder = dir.join(folder(*place));
            std::fs::create_dir_all(&folder).expect("a folder");
            (*place, Socket { disk: Disk::below(&folder), seed: 0, cuts: AtomicUsize::new(0) })
        });
        let sockets = sockets.collect();
        Self { dir: dir.to_owned(), time, relay: None, devices, sockets, road }
    }

    /// Everybody ends.
    pub async fn close(&mut self) {
        for device in 0..DEVICES.len() {
            self.ends(device).await;
        }
        self.relay_ends().await;
    }

    async fn relay_starts(&mut self) {
        loop {
            let config = comptoir_relay::Config::local(self.dir.join(folder(RELAY_PLACE)));
            match Counter::open(config, self.time.relay()).await {
                Ok(relay) => return self.relay = Some(relay),
                Err(error) => assert!(self.power_returns(RELAY_PLACE), "the relay: {error}"),
            }
        }
    }

    async fn relay_ends(&mut self) {
        for device in 0..DEVICES.len() {
            self.hang(device).await;
        }
        let ended = self.relay.take().expect("it runs").close().await;
        assert!(ended.is_ok() || self.is_dead(RELAY_PLACE), "{ended:?}");
        self.power_returns(RELAY_PLACE);
    }

    /// The relay is gone for a moment. What it answered is on its disk.
    pub async fn relay_falls(&mut self) {
        self.relay_ends().await;
        self.relay_starts().await;
    }

    /// A copy of the relay's database.
    pub async fn relay_copied(&mut self) {
        self.relay_ends().await;
        let copy = self.dir.join("relay-copy");
        let _ = std::fs::remove_dir_all(&copy);
        copy_dir(&self.dir.join(folder(RELAY_PLACE)), &copy);
        self.relay_starts().await;
    }

    /// The relay comes back from the copy, if there is one.
    pub async fn relay_restored(&mut self) -> bool {
        let copy = self.dir.join("relay-copy");
        if !copy.exists() {
            return false;
        }
        self.relay_ends().await;
        let relay = self.dir.join(folder(RELAY_PLACE));
        std::fs::remove_dir_all(&relay).expect("its folder");
        copy_dir(&copy, &relay);
        self.is_on_disk(RELAY_PLACE);
        std::fs::write(relay.join("RESTORED"), "").expect("a mark");
        self.relay_starts().await;
        true
    }

    /// A place is about to lose its power.
    ///
    /// # Panics
    /// When it is none of those that can.
    pub fn cut_power(&mut self, place: usize, operation: u64, seed: u64) {
        let socket = self.sockets.get_mut(&place).expect("a frail place");
        socket.disk.cut_at(socket.disk.operations() + operation);
        socket.seed = seed;
    }

    /// What was about to be cut is not.
    pub fn no_more_cuts(&self) {
        self.sockets.values().for_each(|socket| socket.disk.cut_at(0));
    }

    fn is_dead(&self, place: usize) -> bool {
        self.sockets.get(&place).is_some_and(|socket| socket.disk.is_dead())
    }

    /// Files were put there by somebody who waited until they were.
    fn is_on_disk(&self, place: usize) {
        if let Some(socket) = self.sockets.get(&place) {
            socket.disk.flushes();
        }
    }

    /// True when the power of a place was cut some time.
    #[must_use]
    pub fn lost_power(&self, place: usize) -> bool {
        self.sockets.get(&place).is_some_and(|socket| socket.cuts.load(Ordering::SeqCst) > 0)
    }

    /// The power is back where it was cut. Says whether it was.
    fn power_returns(&self, place: usize) -> bool {
        let was_dead = self.is_dead(place);
        if was_dead {
            let socket = &self.sockets[&place];
            socket.disk.comes_back(socket.seed);
            socket.cuts.fetch_add(1, Ordering::SeqCst);
        }
        was_dead
    }

    /// Places that lost their power start again. Says which. While one does, another may lose its power.
    pub async fn power_comes_back(&mut self) -> Vec<usize> {
        let mut were_dead = Vec::new();
        while let Some(place) = (0..=RELAY_PLACE).find(|place| self.is_dead(*place)) {
            were_dead.push(place);
            if place == RELAY_PLACE {
                self.relay_falls().await;
                continue;
            }
            self.ends(place).await;
            self.power_returns(place);
            self.starts(place).await;
        }
        were_dead
    }

    /// A copy of a device's folder.
    pub async fn device_copied(&mut self, device: usize) {
        self.ends(device).await;
        let copy = self.dir.join(format!("{}-copy", DEVICES[device]));
        let _ = std::fs::remove_dir_all(&copy);
        copy_dir(&self.dir.join(DEVICES[device]), &copy);
        self.starts(device).await;
    }

    /// A device goes on with the copy of its folder, if there is one. Its vault has the same key.
    pub async fn device_restored(&mut self, device: usize) -> bool {
        let copy = self.dir.join(format!("{}-copy", DEVICES[device]));
        if !copy.exists() {
            return false;
        }
        self.ends(device).await;
        let folder = self.dir.join(DEVICES[device]);
        std::fs::remove_dir_all(&folder).expect("its folder");
        copy_dir(&copy, &folder);
        self.is_on_disk(device);
        self.starts(device).await;
        true
    }

    /// A core, which is there unless it was killed a moment ago.
    #[must_use]
    pub fn client(&self, device: usize) -> Arc<Client> {
        self.devices[device].client.clone().expect("it runs")
    }

    #[must_use]
    pub fn till(&self) -> &Till {
        self.devices[TILL].till.as_ref().expect("it runs")
    }

    /// A device's process starts. Its power may be cut while it does.
    pub async fn starts(&mut self, device: usize) {
        while let Err(why) = self.tries_to_start(device).await {
            assert!(self.power_returns(device), "{}: {why}", DEVICES[device]);
        }
    }

    async fn tries_to_start(&mut self, device: usize) -> Result<(), String> {
        let dir = self.dir.join(DEVICES[device]);
        let clock = self.time.of(device);
        let (client, till, line) = if device == TILL {
            let opened = Till::open(&dir, clock, self.road.clone()).await;
            let (till, line) = opened.map_err(|error| error.to_string())?;
            (till.client().clone(), Some(till), line)
        } else {
            let vault = Arc::new(FileVault::new(self.dir.join(format!("{}.key", DEVICES[device]))));
            let config = Config { dir, vault, sheet: None, push: None };
            let setting = Setting { clock: Some(clock), extension: None };
            let opened = comptoir_client::testing::open(config, setting);
            let (client, line) = opened.map_err(|error| error.to_string())?;
            (client, None, line)
        };
        self.devices[device] = Device { client: Some(client), till, line: Some(line), ..Device::away() };
        Ok(())
    }

    /// A device's process ends, in good order or in the middle of a turn.
    pub async fn ends(&mut self, device: usize) {
        self.leaves(device).await;
        // The till holds the core too.
        self.devices[device] = Device::away();
        // What comes next may be another folder on the same disk, which must not be given what was cut off from this one.
        self.power_returns(device);
    }

    async fn leaves(&mut self, device: usize) {
        self.devices[device].down.clear();
        if let (Some(relay), Some(visit)) = (&self.relay, self.devices[device].visit.take()) {
            relay.leaves(visit).await;
        }
    }

    /// A device's line breaks, and it notices.
    pub async fn hang(&mut self, device: usize) {
        if self.devices[device].visit.is_none() {
            return;
        }
        self.leaves(device).await;
        let Device { client, line, .. } = &mut self.devices[device];
        if let (Some(client), Some(line)) = (client, line) {
            // What it said into the broken line is lost.
            while line.says().is_some() {}
            let _ = line.lost(client);
        }
    }

    /// A device's line comes up, if it has an account and is let in.
    pub async fn connect(&mut self, device: usize) {
        let relay = self.relay.as_ref().expect("it runs");
        let Device { client: Some(client), line: Some(line), visit, down, told_caught_up, .. } =
            &mut self.devices[device]
        else {
            return;
        };
        if visit.is_some() {
            return;
        }
        let Some(sign_in) = line.sign_in() else { return };
        if let Some(account) = sign_in.new_account {
            let answer = relay.ask_as_guest(wire::Request::CreateAccount(account)).await;
            if let wire::Reply::Refused(refusal) = answer {
                let _ = line.turned_away(client, refusal);
                return;
            }
        }
        match relay.sign_in(sign_in.device).await {
            Ok((welcome, opened)) => {
                (*visit, *told_caught_up) = (Some(opened), false);
                down.clear();
                let _ = line.connected(client, welcome);
            }
            Err(refusal) => {
                let _ = line.turned_away(client, refusal);
            }
        }
    }

    /// Frames go from a device to the relay. Says how many.
    pub async fn carry(&mut self, device: usize, frames: usize, fate: Fate) -> usize {
        for carried in 0..frames {
            let relay = self.relay.as_ref().expect("it runs");
            let Device { line: Some(line), visit: Some(visit), down, .. } = &mut self.devices[device] else {
                return carried;
            };
            let Some(said) = line.says() else { return carried };
            let fate = if carried + 1 == frames { fate } else { Fate::Arrives };
            if fate == Fate::Lost {
                self.hang(device).await;
                return carried + 1;
            }
            match said {
                Said::Asks(id, request) => {
                    let times = if fate == Fate::Twice { 2 } else { 1 };
                    for _ in 0..times {
                        if let Some(reply) = relay.ask(visit, request.clone()).await {
                            down.push_back(Down::Answer(id, reply));
                        }
                    }
                }
                Said::Acknowledges(upto_seq) => {
                    relay.ask(visit, wire::Request::Ack { upto_seq }).await;
                }
                Said::Redials => {
                    self.hang(device).await;
                    return carried + 1;
                }
            }
            if fate == Fate::AnswerLost {
                self.hang(device).await;
                return carried + 1;
            }
        }
        frames
    }

    /// Frames go from the relay to a device. Says how many.
    pub async fn hear(&mut self, device: usize, frames: usize) -> usize {
        for heard in 0..frames {
            let relay = self.relay.as_ref().expect("it runs");
            let Device { client: Some(client), line: Some(line), visit: Some(visit), down, told_caught_up, .. } =
                &mut self.devices[device]
            else {
                return heard;
            };
            if down.is_empty() {
                // A relay without power hands nothing out.
                let Ok(items) = relay.deliver(visit).await else { return heard };
                if !items.is_empty() {
                    down.push_back(Down::Items(items));
                } else if !*told_caught_up {
                    *told_caught_up = true;
                    down.push_back(Down::CaughtUp);
                }
            }
            let Some(next) = down.pop_front() else { return heard };
            let _ = match next {
                Down::Answer(id, reply) => line.answered(client, id, reply),
                Down::Items(items) => line.delivered(client, items),
                Down::CaughtUp => line.caught_up(client),
            };
        }
        frames
    }

    /// Everything that can move moves, until nothing does. Says whether that ended.
    pub async fn settle(&mut self) -> bool {
        self.road.awaits(Fate::Arrives);
        for _ in 0..2_000 {
            let mut moved = 0;
            for device in 0..DEVICES.len() {
                self.connect(device).await;
                moved += self.carry(device, 64, Fate::Arrives).await;
                moved += self.hear(device, 64).await;
            }
            if self.devices[TILL].till.is_some() {
                // It may say something.
                let _ = self.till().round().await;
                while self.webhook(Fate::Arrives).await {
                    moved += 1;
                }
            }
            if moved == 0 {
                return true;
            }
            if (0..=RELAY_PLACE).any(|place| self.is_dead(place)) {
                // Without power it would knock at the relay for ever.
                return false;
            }
        }
        false
    }

    /// The till does what is due.
    pub async fn work(&mut self, fate: Fate) {
        self.road.awaits(fate);
        let _ = self.till().round().await;
    }

    /// The provider's next webhook goes to the till. Says whether there was one.
    pub async fn webhook(&mut self, fate: Fate) -> bool {
        let Some((signature, body)) = self.road.next_webhook().await else {
            return false;
        };
        let times = match fate {
            Fate::Lost => 0,
            Fate::Arrives | Fate::AnswerLost => 1,
            Fate::Twice => 2,
        };
        for _ in 0..times {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&signature).expect("a header");
            headers.insert(HeaderName::from_static("sandbox-signature"), value);
            self.till().webhook("sandbox", headers, body.clone()).await;
        }
        true
    }

    #[must_use]
    pub fn road(&self) -> &Road {
        &self.road
    }
}

/// The folder of a place.
fn folder(place: usize) -> &'static str {
    DEVICES.get(place).unwrap_or(&"relay")
}

impl Device {
    fn away() -> Self {
        Self { client: None, till: None, line: None, visit: None, down: VecDeque::new(), told_caught_up: false }
    }
}
