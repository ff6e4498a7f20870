//! The story of a thief who copies a phone, key and all, gives it back unnoticed, and listens from then on.
#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use comptoir_client::headless::Setting;
use comptoir_client::testing::{Line, Said, open};
use comptoir_client::{Client, Config, FileVault, Place};
use comptoir_content::{ConversationId, Timestamp};
use comptoir_relay::Clock;
use comptoir_relay::testing::{Counter, Visit};
use comptoir_tests::copy_dir;
use comptoir_wire as wire;

const RELAY: &str = "ws://127.0.0.1:1";
const DAY_MS: i64 = 24 * 3_600_000;

/// A core worked by hand, and everything that the relay ever handed to it.
struct Phone {
    client: Arc<Client>,
    line: Line,
    visit: Option<Visit>,
    heard: Vec<wire::Item>,
}

struct Street {
    dir: tempfile::TempDir,
    now_ms: Arc<AtomicI64>,
    relay: Counter,
}

impl Street {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now_ms = Arc::new(AtomicI64::new(i64::try_from(since.as_millis()).unwrap()));
        let config = comptoir_relay::Config::local(dir.path().join("relay"));
        let relay = Counter::open(config, Clock::shared(now_ms.clone())).await.unwrap();
        Self { dir, now_ms, relay }
    }

    fn opens(&self, folder: &Path) -> Phone {
        let now_ms = self.now_ms.clone();
        let clock = Arc::new(move || Timestamp(now_ms.load(Ordering::SeqCst)));
        let vault = Arc::new(FileVault::new(folder.join("key")));
        let config = Config { dir: folder.join("store"), vault, sheet: None, push: None };
        let (client, line) = open(config, Setting { clock: Some(clock), extension: None }).unwrap();
        Phone { client, line, visit: None, heard: Vec::new() }
    }

    async fn arrives(&self, name: &str) -> Phone {
        let phone = self.opens(&self.dir.path().join(name));
        phone.client.create_account(RELAY).await.unwrap();
        phone
    }

    /// Frames go to and fro until nobody has anything to say.
    async fn settles(&self, phones: &mut [&mut Phone]) {
        loop {
            let mut moved = false;
            for phone in &mut *phones {
                moved |= self.moves(phone).await;
            }
            if !moved {
                return;
            }
        }
    }

    async fn moves(&self, phone: &mut Phone) -> bool {
        let Phone { client, line, visit, heard } = phone;
        if visit.is_none() {
            let sign_in = line.sign_in().unwrap();
            if let Some(account) = sign_in.new_account {
                self.relay.ask_as_guest(wire::Request::CreateAccount(account)).await;
            }
            let (welcome, opened) = self.relay.sign_in(sign_in.device).await.unwrap();
            *visit = Some(opened);
            line.connected(client, welcome).unwrap();
            line.caught_up(client).unwrap();
        }
        let visit = visit.as_mut().unwrap();
        let mut moved = false;
        while let Some(said) = line.says() {
            moved = true;
            match said {
                Said::Asks(id, request) => {
                    if let Some(reply) = self.relay.ask(visit, request).await {
                        line.answered(client, id, reply).unwrap();
                    }
                }
                Said::Acknowledges(upto_seq) => {
                    self.relay.ask(visit, wire::Request::Ack { upto_seq }).await;
                }
                Said::Redials => panic!("what was delivered could not be stored"),
            }
        }
        let items = self.relay.deliver(visit).await.unwrap();
        if !items.is_empty() {
            moved = true;
            heard.extend(items.clone());
            line.delivered(client, items).unwrap();
        }
        moved
    }

    /// Time goes by, and everybody looks at the clock once.
    async fn pass(&self, ms: i64, phones: &mut [&mut Phone]) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
        for phone in &mut *phones {
            phone.client.tick().await.unwrap();
        }
        self.settles(phones).await;
    }
}

impl Phone {
    fn reads(&self, chat: ConversationId) -> Vec<String> {
        let page = self.client.page(chat, Place::Newest, 100).unwrap();
        page.bubbles.into_iter().map(|bubble| bubble.text).collect()
    }

    async fn says(&self, chat: ConversationId, text: &str) {
        self.client.send_text(chat, text, None).await.unwrap();
    }
}

/// Alice's phone is copied; from then on the thief has every envelope that comes for it. Says what each of them reads in the
/// end of what Bob said `days` later.
async fn listened(days: i64) -> (Vec<String>, Vec<String>) {
    let street = Street::new().await;
    let (mut alice, mut bob) = (street.arrives("alice").await, street.arrives("bob").await);
    street.settles(&mut [&mut alice, &mut bob]).await;
    let chat = alice.client.add_contact(&bob.client.identity().unwrap().unwrap().link).await.unwrap();
    alice.says(chat, "one").await;
    street.settles(&mut [&mut alice, &mut bob]).await;
    bob.says(chat, "two").await;
    street.settles(&mut [&mut alice, &mut bob]).await;

    let stolen = street.dir.path().join("stolen");
    copy_dir(&street.dir.path().join("alice"), &stolen);
    alice.heard.clear();

    bob.says(chat, "three").await;
    street.settles(&mut [&mut alice, &mut bob]).await;
    // Alice says something too, so that her keys are in use.
    alice.says(chat, "four").await;
    street.settles(&mut [&mut alice, &mut bob]).await;
    street.pass(days * DAY_MS, &mut [&mut alice, &mut bob]).await;
    bob.says(chat, "five").await;
    street.settles(&mut [&mut alice, &mut bob]).await;

    let mut thief = street.opens(&stolen);
    thief.line.delivered(&thief.client, alice.heard.clone()).unwrap();
    let of_bob = |phone: &Phone| phone.reads(chat).into_iter().filter(|text| text != "four").collect();
    (of_bob(&alice), of_bob(&thief))
}

#[tokio::test]
async fn who_copied_a_phone_reads_on_until_it_renews_its_keys_and_no_further() {
    let (alice, thief) = listened(1).await;
    assert_eq!(alice, ["one", "two", "three", "five"]);
    assert_eq!(thief, alice, "with the same keys one reads the same: otherwise this shows nothing");
    let (alice, thief) = listened(8).await;
    assert_eq!(alice, ["one", "two", "three", "five"]);
    assert_eq!(thief, ["one", "two", "three"]);
}

#[tokio::test]
async fn where_nothing_is_said_no_keys_are_renewed() {
    let street = Street::new().await;
    let (mut alice, mut bob) = (street.arrives("alice").await, street.arrives("bob").await);
    street.settles(&mut [&mut alice, &mut bob]).await;
    let chat = alice.client.add_contact(&bob.client.identity().unwrap().unwrap().link).await.unwrap();
    alice.says(chat, "one").await;
    street.settles(&mut [&mut alice, &mut bob]).await;
    let mut commits = Vec::new();
    for _ in 0..6 {
        street.pass(8 * DAY_MS, &mut [&mut alice, &mut bob]).await;
        let heard = alice.heard.iter().chain(&bob.heard);
        commits.push(heard.filter(|item| item.envelope.kind == wire::EnvelopeKind::Commit).count());
    }
    assert!(commits[0] > 0, "each heard a word, and renews once: {commits:?}");
    assert_eq!(commits[2..], [2; 4], "then there is nothing to renew: {commits:?}");
    bob.says(chat, "two").await;
    street.settles(&mut [&mut alice, &mut bob]).await;
    assert_eq!(alice.reads(chat), ["one", "two"]);
}
