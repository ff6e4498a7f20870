//! What must be true, small enough to hold in the head: what was promised to people, and what that obliges everybody to.
//!
//! * A message that a core took (`send_text` returned) is on that device from then on, stands once in the thread of every
//!   device of both people in the end, and after everything that the same device had said before in that chat.
//! * Nobody ever reads anything that was not said in that chat.
//! * Nobody is charged twice for a bill, no phone says "paid" without a charge, and in the end every charge has one receipt and
//!   one posting, and nothing is left unknown.

use std::collections::{BTreeMap, BTreeSet};

use comptoir_client::{BubbleKind, ChatRow, Client, PaymentState, Place};
use comptoir_content::{AccountId, ConversationId, Hash, OrderId, ReceiptFile};

use super::world::{DEVICES, PEOPLE, PEOPLE_COUNT, SHOP, TILL, World};

/// Something that a core took, or may have taken.
#[derive(Clone, Debug)]
struct Promise {
    device: usize,
    to: usize,
    text: String,
    /// False when the core was killed while it took it: it may or may not be.
    kept: bool,
}

#[derive(Default)]
pub struct Model {
    accounts: Vec<AccountId>,
    promises: Vec<Promise>,
    count: usize,
    /// For each device: how much had been promised when its copy was taken. What a device that was restored from it had said
    /// since may never have left it.
    copied: [usize; DEVICES.len()],
    /// A device that was restored from a copy does not know what happened since. It need not get to read everything; but
    /// what it says from then on is read by everybody else.
    restored: [bool; DEVICES.len()],
    pub relay_restored: bool,
}

/// A promise that was broken.
pub type Broken = String;

/// What a step can have changed.
#[derive(Clone, Debug)]
pub struct Moved {
    pub devices: Vec<usize>,
    /// Charges, receipts or books.
    pub money: bool,
}

impl Moved {
    #[must_use]
    pub fn everything() -> Self {
        Self { devices: (0..DEVICES.len()).collect(), money: true }
    }
}

impl Model {
    #[must_use]
    pub fn new(world: &World) -> Self {
        let account = |person: usize| {
            let device = PEOPLE.iter().position(|of| *of == person).expect("everybody has a device");
            world.client(device).identity().expect("readable").expect("an account").account
        };
        Self { accounts: (0..PEOPLE_COUNT).map(account).collect(), ..Self::default() }
    }

    /// The next text of somebody; no two are alike.
    pub fn words(&mut self, device: usize) -> String {
        self.count += 1;
        format!("{} {}", DEVICES[device], self.count)
    }

    /// A core took a text, or was killed while it did.
    pub fn said(&mut self, device: usize, to: usize, text: String, kept: bool) {
        self.promises.push(Promise { device, to, text, kept });
    }

    /// A copy of a device was taken aside.
    pub fn copied(&mut self, device: usize) {
        self.copied[device] = self.promises.len();
    }

    /// A device is what it was when it was copied.
    pub fn restored(&mut self, device: usize) {
        self.restored[device] = true;
        for promise in &mut self.promises[self.copied[device]..] {
            promise.kept &= promise.device != device;
        }
    }

    /// It was taken after all.
    pub fn was_taken(&mut self, text: &str) {
        if let Some(promise) = self.promises.iter_mut().find(|promise| promise.text == text) {
            promise.kept = true;
        }
    }

    /// How many texts were taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.promises.iter().filter(|promise| promise.kept).count()
    }

    /// Somebody's account.
    #[must_use]
    pub fn account(&self, person: usize) -> AccountId {
        self.accounts[person]
    }

    /// What must hold at every moment, as far as something has moved.
    ///
    /// # Errors
    /// The promise that was broken.
    pub async fn check_now(&self, world: &World, moved: &Moved) -> Result<(), Broken> {
        for device in &moved.devices {
            self.check_device(world, *device)?;
        }
        if moved.money { self.check_money(world).await } else { Ok(()) }
    }

    /// One device: its threads, and what it has said itself.
    fn check_device(&self, world: &World, device: usize) -> Result<(), Broken> {
        let name = DEVICES[device];
        let Some(client) = &world.devices[device].client else { return Ok(()) };
        let mut said: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for row in chats(client)? {
            let Some(peer) = self.accounts.iter().position(|account| *account == row.peer.account) else {
                return Err(format!("{name} has a chat with a stranger"));
            };
            let texts = texts(client, row.chat)?;
            self.check_thread(device, peer, &texts)?;
            said.insert(peer, texts.into_iter().map(|(_, text)| text).collect());
        }
        for promise in self.promises.iter().filter(|promise| promise.kept && promise.device == device) {
            if !said.get(&promise.to).is_some_and(|said| said.contains(&promise.text)) {
                return Err(format!("{name} has lost its own {:?}", promise.text));
            }
        }
        Ok(())
    }

    /// One thread: nothing twice, nothing that was not said here.
    fn check_thread(&self, device: usize, peer: usize, texts: &[(bool, String)]) -> Result<(), Broken> {
        let me = PEOPLE[device];
        let mut seen = BTreeSet::new();
        for (mine, text) in texts {
            if !seen.insert(text) {
                return Err(format!("{} reads {text:?} twice", DEVICES[device]));
            }
            let (from, to) = if *mine { (me, peer) } else { (peer, me) };
            let said = |promise: &Promise| promise.text == *text && PEOPLE[promise.device] == from && promise.to == to;
            if !self.promises.iter().any(said) {
                return Err(format!("{} reads {text:?}, which nobody said here", DEVICES[device]));
            }
        }
        Ok(())
    }

    async fn check_money(&self, world: &World) -> Result<(), Broken> {
        let charges = charges(world).await;
        let mut payments = BTreeSet::new();
        for charge in &charges {
            // The till's reference: a payment, and which attempt at it this was.
            let payment = charge.rsplit_once('.').map_or(charge.as_str(), |(payment, _)| payment);
            if !payments.insert(payment) {
                return Err(format!("{payment} was charged twice"));
            }
        }
        let mut paid: BTreeSet<String> = BTreeSet::new();
        let mut bills: BTreeMap<Hash, String> = BTreeMap::new();
        for (device, name) in DEVICES.into_iter().enumerate().take(TILL) {
            let Some(client) = &world.devices[device].client else { continue };
            for receipt in client.receipts().map_err(|error| error.to_string())? {
                let order = receipt.order.to_string();
                let bill = bill_of(client, receipt.order)?;
                if bills.entry(bill).or_insert_with(|| order.clone()) != &order {
                    return Err(format!("{name} has paid one bill twice"));
                }
                paid.insert(order);
            }
        }
        if paid.len() > charges.len() {
            return Err(format!("{} receipts for {} charges", paid.len(), charges.len()));
        }
        if world.devices[TILL].till.is_some() {
            let books = world.till().books().map_err(|error| error.to_string())?;
            if !books.balanced || !books.chain_holds {
                return Err(format!("the books do not hold: {books:?}"));
            }
        }
        Ok(())
    }

    /// What must hold in the end, when everything that can move has moved.
    ///
    /// # Errors
    /// The promise that was broken.
    pub async fn check_end(&self, world: &World) -> Result<(), Broken> {
        self.check_now(world, &Moved::everything()).await?;
        for (device, name) in DEVICES.into_iter().enumerate() {
            let client = world.client(device);
            let status = client.status().map_err(|error| error.to_string())?;
            if status.unsent > 0 || status.asking > 0 || !status.caught_up {
                return Err(format!("{name} is not done: {status:?}"));
            }
        }
        for (device, person) in PEOPLE.into_iter().enumerate() {
            for with in (0..PEOPLE_COUNT).filter(|with| *with != person) {
                let client = world.client(device);
                let chat = chat_with(&client, self.accounts[with])?;
                let thread = chat.map(|chat| texts(&client, chat)).transpose()?.unwrap_or_default();
                let between = |promise: &&Promise| {
                    (PEOPLE[promise.device], promise.to) == (person, with)
                        || (PEOPLE[promise.device], promise.to) == (with, person)
                };
                for promise in self.promises.iter().filter(between) {
                    self.check_arrived(&client, chat, &thread, promise, device)?;
                }
            }
        }
        self.check_paid(world).await
    }

    fn check_arrived(
        &self,
        client: &Client,
        chat: Option<ConversationId>,
        texts: &[(bool, String)],
        promise: &Promise,
        device: usize,
    ) -> Result<(), Broken> {
        let place = texts.iter().position(|(_, text)| *text == promise.text);
        let Some(place) = place else {
            let held = chat.map(|chat| held(client, chat)).unwrap_or_default();
            return match promise.kept && !self.restored[device] {
                true => {
                    Err(format!("{} never read {:?}; it reads {texts:?}; held: {held}", DEVICES[device], promise.text))
                }
                false => Ok(()),
            };
        };
        // Whatever the same device had said before in this chat comes before.
        if self.relay_restored {
            // What it lost is said again, and arrives after what it did not lose.
            return Ok(());
        }
        let earlier = self.promises.iter().take_while(|other| other.text != promise.text);
        for other in earlier.filter(|other| other.device == promise.device && other.to == promise.to) {
            if texts[place..].iter().any(|(_, text)| *text == other.text) {
                return Err(format!("{} reads {:?} before {:?}", DEVICES[device], promise.text, other.text));
            }
        }
        Ok(())
    }

    async fn check_paid(&self, world: &World) -> Result<(), Broken> {
        let charges = charges(world).await;
        check_books(world).await?;
        let orders = world.till().orders().map_err(|error| error.to_string())?;
        if let Some(order) = orders.iter().find(|order| !matches!(order.state.as_str(), "captured" | "dead")) {
            return Err(format!("an order is left {}: {order:?}", order.state));
        }
        // Each customer's devices together have a receipt for each charge, once, and none shows anything unknown.
        let mut receipts = BTreeSet::new();
        for (device, name) in DEVICES.into_iter().enumerate().take(TILL) {
            let client = world.client(device);
            let found = client.receipts().map_err(|error| error.to_string())?;
            let once: BTreeSet<String> = found.iter().map(|receipt| receipt.order.to_string()).collect();
            if once.len() != found.len() {
                return Err(format!("{name} has two receipts of one order"));
            }
            receipts.extend(once);
            let Some(chat) = chat_with(&client, self.accounts[SHOP])? else { continue };
            for checkout in bubbles(&client, chat)?.into_iter().filter_map(|bubble| bubble.checkout) {
                use PaymentState as S;
                let unknown = match checkout.state {
                    S::Placed | S::AwaitingConsent | S::Settling => true,
                    S::Offered | S::NotPaid | S::Paid | S::PartRefunded | S::Refunded | S::Expired => false,
                };
                if unknown {
                    let state = checkout.state;
                    return Err(format!("{name} is left with a bill that is {state:?}"));
                }
            }
        }
        // A phone that is older than its payment does not know it.
        let forgot = self.restored.contains(&true);
        if receipts.len() != charges.len() && !forgot {
            return Err(format!("{} charges, but {} receipts", charges.len(), receipts.len()));
        }
        Ok(())
    }
}

/// Everything that the provider did is in the books.
pub(super) async fn check_books(world: &World) -> Result<(), Broken> {
    let (charged, given_back) = (charges(world).await.len(), refunds(world).await);
    let postings = world.till().books().map_err(|error| error.to_string())?.postings;
    if postings == (charged + given_back) as i64 {
        return Ok(());
    }
    Err(format!("{charged} charges and {given_back} refunds, but {postings} postings"))
}

/// The till's references of everything that was charged, once for each charge.
pub async fn charges(world: &World) -> Vec<String> {
    happened(world, "payment.succeeded").await
}

async fn refunds(world: &World) -> usize {
    happened(world, "refund.succeeded").await.len()
}

async fn happened(world: &World, kind: &str) -> Vec<String> {
    let events = world.road().events().await;
    let of_kind = events.iter().filter(|event| event["type"] == kind);
    of_kind.map(|event| event["data"]["reference"].as_str().expect("a reference").to_owned()).collect()
}

/// The invoice that a receipt is for.
fn bill_of(client: &Client, order: OrderId) -> Result<Hash, Broken> {
    let file = client.receipt_file(order, None).map_err(|error| error.to_string())?;
    let file = ReceiptFile::from_file(&file).map_err(|error| error.to_string())?;
    let receipt = file.receipt.verify().map_err(|error| error.to_string())?;
    Ok(receipt.invoice_hash)
}

pub fn chats(client: &Client) -> Result<Vec<ChatRow>, Broken> {
    client.chats(None, 100).map(|page| page.rows).map_err(|error| error.to_string())
}

pub fn chat_with(client: &Client, account: AccountId) -> Result<Option<ConversationId>, Broken> {
    Ok(chats(client)?.into_iter().find(|row| row.peer.account == account).map(|row| row.chat))
}

pub fn bubbles(client: &Client, chat: ConversationId) -> Result<Vec<comptoir_client::Bubble>, Broken> {
    client.page(chat, Place::Newest, 200).map(|page| page.bubbles).map_err(|error| error.to_string())
}

/// What people said in a chat, oldest first. The shop's own words are not part of the promise.
fn texts(client: &Client, chat: ConversationId) -> Result<Vec<(bool, String)>, Broken> {
    use comptoir_client::BubbleState as S;
    let spoken = bubbles(client, chat)?
        .into_iter()
        .filter(|bubble| bubble.kind == BubbleKind::Text && bubble.state != S::Held && bubble.text.contains(' '));
    Ok(spoken.map(|bubble| (bubble.mine, bubble.text)).collect())
}

fn held(client: &Client, chat: ConversationId) -> String {
    let held = bubbles(client, chat).unwrap_or_default().into_iter().filter_map(|bubble| bubble.why);
    held.collect::<Vec<_>>().join(", ")
}
