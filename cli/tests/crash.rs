//! The crash matrix: the plug is pulled at every commit and at every act of the payment path, of the customer's phone, of the
//! till and of the relay, and of a relay that wakes a sleeping phone. Each time the real process is killed there, started again,
//! and the story goes on. In the end: one charge, one receipt, balanced books; every message once, and a phone that was woken.
//!
//! The story is told once to write down the points that a process comes to (`core/sqlcipher/src/crash.rs`). How often it comes
//! to one is a matter of luck now and then, so a few of them may not be reached again; of each name some must be.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use comptoir_client::{BubbleState, Client};
use comptoir_content::ConversationId;
use comptoir_tests::push::{Distributor, PushService};
use comptoir_tests::shop::Bakery;
use comptoir_tests::{Person, Town};
use support::{APPROVE, Ran, comptoir, person, run};

/// A server that is gone when the story is over, also when the story fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn if_it_runs(mut self) -> Option<Self> {
        self.0.try_wait().unwrap().is_none().then_some(self)
    }
}

/// What a process is told about crash points.
#[derive(Clone, Copy)]
enum Orders<'a> {
    None,
    /// Write down every point in this file.
    Log(&'a Path),
    /// Die at this one.
    Die(&'a str),
}

impl Orders<'_> {
    fn to(self, command: &mut Command) {
        match self {
            Self::None => command,
            Self::Log(file) => command.env("COMPTOIR_CRASH_LOG", file),
            Self::Die(at) => command.env("COMPTOIR_CRASH_AT", at),
        };
    }
}

/// The points in a log, each with the how manieth time it was: `client.send:3`.
fn points(log: &Path) -> Vec<String> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let text = std::fs::read_to_string(log).unwrap();
    let number = |name| {
        let times = seen.entry(name).or_default();
        *times += 1;
        format!("{name}:{times}")
    };
    text.lines().map(number).collect()
}

/// How often a point is tried that was not reached.
const TRIES: usize = 4;

/// Where a process was killed, to see that no name was left out.
#[derive(Default)]
struct Killed(Vec<String>);

impl Killed {
    fn check(&self, points: &[String], names: &[&str]) {
        let name = |point: &String| point.rsplit_once(':').unwrap().0.to_owned();
        let (there, killed): (BTreeSet<_>, BTreeSet<_>) =
            (points.iter().map(name).collect(), self.0.iter().map(name).collect());
        assert_eq!(there, names.iter().map(|name| (*name).to_owned()).collect(), "the points of this process");
        assert_eq!(killed, there, "a point where it was never killed");
        assert!(self.0.len() * 4 >= points.len() * 3, "only {} of {} points were reached", self.0.len(), points.len());
    }
}

/// Starts a server, which says this word when it is ready. `None`: it was killed before.
fn start(args: &[&OsStr], ready: &str, orders: Orders<'_>) -> Option<Server> {
    let mut command = comptoir();
    command.arg("--json").args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    orders.to(&mut command);
    let mut server = Server(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.contains(ready).then_some(server)
}

fn start_till(town: &Town, orders: Orders<'_>) -> Option<Server> {
    start(&["gateway".as_ref(), "run".as_ref(), "--shop".as_ref(), town.bakery_dir().as_ref()], "webhooks", orders)
}

/// Ends a server in good order.
fn stop(mut server: Server) {
    let _ = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status();
    let _ = server.0.wait();
}

/// A town whose till is a process, and Alice with a folder of her own who has written once.
async fn town() -> (Town, Bakery, PathBuf) {
    let town = Town::with_real_time().await;
    let mut bakery = town.bakery().await;
    bakery.closes().await;
    let alice = town.dir.path().join("alice-cli");
    assert_eq!(person(&alice, &["account", "create", "--relay", &town.relay_url()]).code, Some(0));
    (town, bakery, alice)
}

/// Alice says hello and taps a croissant, until there is one more bill than she had.
fn new_bill(alice: &Path, bakery: &Bakery, known: usize) -> bool {
    if known == 0 {
        person(alice, &["contact", "add", &bakery.link]);
    }
    person(alice, &["send", "acc_", "Bonjour"]);
    for _ in 0..100 {
        let bubbles = person(alice, &["read", "acc_", "--limit", "5000"]).json();
        let bubbles = bubbles.as_array().cloned().unwrap_or_default();
        if bubbles.iter().filter(|bubble| bubble["kind"] == "invoice").count() > known {
            return true;
        }
        if bubbles.iter().any(|bubble| bubble["replies"].as_array().is_some_and(|replies| !replies.is_empty())) {
            person(alice, &["tap", "acc_", "Croissant"]);
        }
    }
    false
}

/// One more payment is made, and everything is as it should be.
async fn is_paid(town: &Town, bakery: &Bakery, alice: &Path, paid: usize, at: &str) {
    assert_eq!(bakery.charges().await.len(), paid, "{at}");
    assert_eq!(person(alice, &["receipts"]).json().as_array().unwrap().len(), paid, "{at}");
    let books = bakery.books(town).await;
    assert_eq!(
        (&books["postings"], &books["balanced"], &books["chain_holds"]),
        (&paid.into(), &true.into(), &true.into()),
        "{at}"
    );
}

/// She opens the app again and goes on where she was.
fn pays_again(alice: &Path, at: &str) {
    let again = person(alice, &["pay", "acc_", "--card", APPROVE]);
    let paid_already = again.json()["error"]["code"] == "invoice.already_paid";
    assert!(again.code == Some(0) || paid_already, "{at}: {} {}", again.out, again.err);
}

fn pay(alice: &Path, wait: &str, orders: Orders<'_>) -> Ran {
    let mut command = comptoir();
    command.arg("--json").arg("--dir").arg(alice).args(["--wait", wait, "pay", "acc_", "--card", APPROVE]);
    orders.to(&mut command);
    run(&mut command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_killed_at_any_point_of_a_payment_pays_once() {
    let (town, bakery, alice) = town().await;
    let till = start_till(&town, Orders::None).unwrap();
    let log = town.dir.path().join("points");
    assert!(new_bill(&alice, &bakery, 0), "no bill came");
    assert_eq!(pay(&alice, "30", Orders::Log(&log)).code, Some(0));
    let (points, mut killed) = (points(&log), Killed::default());
    for (paid, at) in points.iter().enumerate() {
        assert!(new_bill(&alice, &bakery, paid + 1), "no bill came");
        let armed = pay(&alice, "30", Orders::Die(at));
        if armed.code != Some(0) {
            assert_eq!(armed.code, None, "{at}: {} {}", armed.out, armed.err);
            killed.0.push(at.clone());
            pays_again(&alice, at);
        }
        is_paid(&town, &bakery, &alice, paid + 2, at).await;
    }
    stop(till);
    killed.check(&points, &["client.ack", "client.commit.after", "client.commit.before", "client.send"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_killed_at_any_point_of_a_payment_charges_once() {
    let (town, bakery, alice) = town().await;
    let log = town.dir.path().join("points");
    let first = start_till(&town, Orders::None).unwrap();
    assert!(new_bill(&alice, &bakery, 0), "no bill came");
    stop(first);
    let surveyed = start_till(&town, Orders::Log(&log)).unwrap();
    assert_eq!(pay(&alice, "30", Orders::None).code, Some(0));
    bakery.provider_has_told_all().await;
    let (points, mut killed) = (points(&log), Killed::default());
    assert!(new_bill(&alice, &bakery, 1), "no bill came");
    stop(surveyed);
    // What was not reached is tried again, as long as the till was never killed at a point of that name.
    let name = |point: &str| point.rsplit_once(':').unwrap().0.to_owned();
    let tries: Vec<&String> = points.iter().flat_map(|at| [at; TRIES]).collect();
    let mut paid = 0;
    for (number, at) in tries.into_iter().enumerate() {
        let is_again = number % TRIES > 0;
        if is_again && killed.0.iter().any(|before| name(before) == name(at)) {
            continue;
        }
        let armed = start_till(&town, Orders::Die(at));
        let tried = pay(&alice, "4", Orders::None);
        let mut armed = armed.and_then(Server::if_it_runs);
        if armed.is_some() {
            // Alice may be done before the till has heard of it from the provider, who tells it in any case.
            bakery.provider_has_told_all().await;
            armed = armed.and_then(Server::if_it_runs);
        }
        match armed {
            Some(survivor) => stop(survivor),
            None => killed.0.push(at.clone()),
        }
        let till = start_till(&town, Orders::None).unwrap();
        if tried.code != Some(0) {
            pays_again(&alice, at);
        }
        // What could not be told while there was no till does not stand in the way of the next payment.
        bakery.provider_has_told_all().await;
        is_paid(&town, &bakery, &alice, paid + 2, at).await;
        assert!(new_bill(&alice, &bakery, paid + 2), "no bill came");
        stop(till);
        paid += 1;
    }
    let names = [
        "client.ack",
        "client.commit.after",
        "client.commit.before",
        "client.send",
        "gateway.call.after",
        "gateway.call.before",
        "gateway.webhook.acknowledge",
    ];
    killed.check(&points, &names);
}

/// A relay in a process of its own, and again after it was killed.
struct Keeper {
    config: PathBuf,
}

impl Keeper {
    /// Takes over from the town's own relay. It knocks at push services on this machine, as often as somebody sleeps.
    async fn takes_over(town: &mut Town) -> Self {
        town.stop_relay().await;
        let config = town.dir.path().join("relay.toml");
        let address = town.relay_url();
        let text = format!(
            "listen = \"{}\"\ndata_dir = {:?}\noperator_listen = \"127.0.0.1:0\"\n\
             [limits]\ndisk_free_min_percent = 0\n[push]\nloopback = true\nwithin_ms = 0\n\
             [quotas]\nwake_ups = {{ burst = 1000, refill_ms = 1 }}\n",
            address.trim_start_matches("ws://"),
            town.relay_dir(),
        );
        std::fs::write(&config, text).unwrap();
        Self { config }
    }

    fn start(&self, orders: Orders<'_>) -> Option<Server> {
        start(&["relay".as_ref(), "--config".as_ref(), self.config.as_ref()], "operator", orders)
    }
}

/// Pays with a relay that is started for it.
fn pay_with(keeper: &Keeper, alice: &Path) -> Ran {
    let relay = keeper.start(Orders::None).expect("a relay without orders starts");
    let paid = pay(alice, "30", Orders::None);
    stop(relay);
    paid
}

/// Whoever runs a relay starts it again when it falls; the phone and the till notice by themselves. Says whether it fell.
fn pay_while_it_falls(keeper: &Keeper, mut armed: Server, alice: &Path) -> (Ran, bool) {
    let pid = armed.0.id().to_string();
    std::thread::scope(|scope| {
        let watching = scope.spawn(move || {
            let fell = armed.0.wait().unwrap().code().is_none();
            fell.then(|| keeper.start(Orders::None).expect("a relay without orders starts"))
        });
        let paid = pay(alice, "30", Orders::None);
        if !watching.is_finished() {
            let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        }
        let again = watching.join().unwrap();
        let fell = again.is_some();
        again.into_iter().for_each(stop);
        (paid, fell)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_killed_at_any_point_of_a_payment_loses_nothing() {
    let (mut town, bakery, alice) = town().await;
    let log = town.dir.path().join("points");
    let keeper = Keeper::takes_over(&mut town).await;
    let relay = keeper.start(Orders::None).unwrap();
    let till = start_till(&town, Orders::None).unwrap();
    assert!(new_bill(&alice, &bakery, 0), "no bill came");
    stop(relay);
    let mut relay = keeper.start(Orders::Log(&log)).unwrap();
    assert_eq!(pay(&alice, "30", Orders::None).code, Some(0));
    let (points, mut killed) = (points(&log), Killed::default());
    for (paid, at) in points.iter().enumerate() {
        assert!(new_bill(&alice, &bakery, paid + 1), "no bill came");
        stop(relay);
        let (tried, fell) = match keeper.start(Orders::Die(at)) {
            None => (pay_with(&keeper, &alice), true),
            Some(armed) => pay_while_it_falls(&keeper, armed, &alice),
        };
        if fell {
            killed.0.push(at.clone());
        }
        relay = keeper.start(Orders::None).expect("a relay without orders starts");
        if tried.code != Some(0) {
            pays_again(&alice, at);
        }
        is_paid(&town, &bakery, &alice, paid + 2, at).await;
    }
    stop(till);
    stop(relay);
    killed.check(&points, &["relay.answer", "relay.commit.after", "relay.commit.before", "relay.deliver"]);
}

/// Alice, and Bob whose phone sleeps and has a push service.
struct Asleep {
    alice: Person,
    bob: Person,
    chat: ConversationId,
    service: PushService,
    said: Vec<String>,
}

impl Asleep {
    async fn begin(town: &Town) -> Self {
        let service = PushService::opens().await;
        let distributor = Distributor::giving(Some(service.endpoint("bob")));
        let alice = town.arrives("alice").await;
        let mut config = town.config("bob");
        config.push = Some(distributor.clone());
        let client = Client::open_headless(config, town.setting()).unwrap();
        let bob = Person { client, name: "bob".to_owned() };
        bob.client.create_account(&town.relay_url()).await.unwrap();
        bob.syncs().await;
        let chat = alice.meets(&bob).await;
        alice.says(chat, "one").await;
        bob.sees(chat, &["you: one"]).await;
        // Told, and asked once more to see that nothing changed meanwhile.
        distributor.was_asked(2).await;
        Self { alice, bob, chat, service, said: vec!["you: one".to_owned()] }
    }

    async fn falls_asleep(&mut self) {
        self.bob.syncs().await;
        let client = self.bob.client.clone();
        tokio::task::spawn_blocking(move || client.suspend(10_000)).await.unwrap().unwrap();
    }

    /// Alice writes, Bob's push service hears of it, and Bob finds what she wrote, once.
    async fn is_woken(&mut self, at: &str) {
        self.alice.says(self.chat, at).await;
        self.said.push(format!("you: {at}"));
        self.service.hears().await;
        self.alice.mine_is(self.chat, BubbleState::Sent).await;
        self.bob.client.resume().unwrap();
        let said: Vec<&str> = self.said.iter().map(String::as_str).collect();
        self.bob.sees(self.chat, &said).await;
    }

    /// Whatever knocked so far was heard.
    fn is_quiet_from_now_on(&mut self) {
        while !self.service.is_quiet() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_killed_at_any_point_of_a_wake_up_wakes() {
    let mut town = Town::with_real_time().await;
    let log = town.dir.path().join("points");
    let mut story = Asleep::begin(&town).await;
    story.falls_asleep().await;
    let keeper = std::sync::Arc::new(Keeper::takes_over(&mut town).await);
    let surveyed = keeper.start(Orders::Log(&log)).unwrap();
    story.is_woken("two").await;
    stop(surveyed);
    let (points, mut killed) = (points(&log), Killed::default());
    for at in &points {
        let before = keeper.start(Orders::None).expect("a relay without orders starts");
        story.falls_asleep().await;
        stop(before);
        story.is_quiet_from_now_on();
        let armed = keeper.start(Orders::Die(at));
        let pid = armed.as_ref().map(|armed| armed.0.id().to_string());
        let again = std::sync::Arc::clone(&keeper);
        // Whoever runs it starts it again when it falls.
        let watching = tokio::task::spawn_blocking(move || {
            let fell = armed.is_none_or(|mut armed| armed.0.wait().unwrap().code().is_none());
            fell.then(|| again.start(Orders::None).expect("a relay without orders starts"))
        });
        story.is_woken(at).await;
        if let Some(pid) = pid.filter(|_| !watching.is_finished()) {
            let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        }
        if let Some(again) = watching.await.unwrap() {
            killed.0.push(at.clone());
            stop(again);
        }
    }
    let names = [
        "relay.answer",
        "relay.commit.after",
        "relay.commit.before",
        "relay.deliver",
        "relay.knock.after",
        "relay.knock.before",
    ];
    killed.check(&points, &names);
}
