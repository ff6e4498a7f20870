//! Stores that the first version wrote, frozen as files, are opened by the newest code for ever: read, and gone on with, also
//! when the power is cut while they are brought up to date. Until the first release they are made anew with
//! `COMPTOIR_BLESS=1` whenever the first migration is edited; from then on never again.
#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use std::path::{Path, PathBuf};

use comptoir_client::{BubbleKind, Client, PayChoice, PaymentState, ReceiptVerdict};
use comptoir_content::{AccountId, ConversationId};
use comptoir_sandbox::PRACTICE_CARDS;
use comptoir_tests::storm::model::{bubbles, chat_with};
use comptoir_tests::storm::world::{self, DEVICES, RELAY_PLACE, TILL, World};
use comptoir_tests::{MINUTE_MS, copy_dir};

const ALICE: usize = 0;
const BOB: usize = 2;
const HOUR_MS: i64 = 3_600_000;

/// What is kept of the town. Alice's tablet and Carol are away for good.
const KEPT: [&str; 6] = ["alice", "alice.key", "bob", "bob.key", "bakery", "relay"];
/// What a process makes for itself when it opens its store.
const NOT_KEPT: [&str; 2] = ["ballast", "lock"];

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join("store").join("v1")
}

/// Everybody's threads as they were frozen, and when that was.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    now_ms: i64,
    lines: Vec<String>,
}

fn account(world: &World, device: usize) -> AccountId {
    world.client(device).identity().unwrap().unwrap().account
}

fn chat(world: &World, device: usize, with: usize) -> ConversationId {
    chat_with(&world.client(device), account(world, with)).unwrap().unwrap()
}

fn thread(world: &World, device: usize, with: usize) -> Vec<String> {
    let bubbles = bubbles(&world.client(device), chat(world, device, with)).unwrap();
    let line = |bubble: comptoir_client::Bubble| {
        let who = if bubble.mine { "own" } else { "their" };
        let paid = bubble.checkout.map(|bill| format!(", {:?}", bill.state)).unwrap_or_default();
        format!("{}: {who} {:?} {:?}{paid}", DEVICES[device], bubble.kind, bubble.text)
    };
    bubbles.into_iter().map(line).collect()
}

/// Everything that the three of them see.
fn everything(world: &World) -> Vec<String> {
    let pairs = [(ALICE, BOB), (ALICE, TILL), (BOB, ALICE)];
    let mut lines: Vec<String> = pairs.into_iter().flat_map(|(device, with)| thread(world, device, with)).collect();
    lines.extend(
        world.client(ALICE).receipts().unwrap().iter().map(|receipt| format!("receipt for {:?}", receipt.amount)),
    );
    lines.push(format!("books with {} postings", world.till().books().unwrap().postings));
    lines
}

/// Alice buys a croissant, from the greeting to the receipt.
async fn buys(world: &mut World) {
    let (alice, shop) = (world.client(ALICE), chat(world, ALICE, TILL));
    alice.send_text(shop, "Bonjour", None).await.unwrap();
    world.settle().await;
    let shown = bubbles(&alice, shop).unwrap();
    let greeting = shown.into_iter().rfind(|bubble| !bubble.replies.is_empty()).unwrap();
    alice.tap(shop, greeting.uid, "Croissant").await.unwrap();
    world.settle().await;
    let bill = newest_bill(&alice, shop);
    alice.pay(bill.invoice, PayChoice::default()).await.unwrap();
    world.settle().await;
    let comptoir_content::Handoff::Page { url } = newest_bill(&alice, shop).sheet.unwrap().handoff else {
        panic!("the practice provider has a page");
    };
    world.road().taps_on_page(&url, &serde_json::json!({ "card": PRACTICE_CARDS[0].number })).await;
    // The provider's webhook takes a moment.
    world.time.pass(MINUTE_MS);
    world.settle().await;
    assert_eq!(newest_bill(&alice, shop).state, PaymentState::Paid);
}

fn newest_bill(client: &Client, chat: ConversationId) -> comptoir_client::CheckoutView {
    bubbles(client, chat).unwrap().into_iter().rev().find_map(|bubble| bubble.checkout).unwrap()
}

/// Makes the town that is frozen: a conversation, a payment, a message that has not left yet.
async fn freeze(to: &Path) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(since.as_millis()).unwrap();
    let town = tempfile::tempdir().unwrap();
    world::dawn(town.path(), now_ms).await;
    let mut world = World::open(town.path(), now_ms, &[]).await;
    world.settle().await;
    let link = |world: &World, device: usize| world.client(device).identity().unwrap().unwrap().link;
    let (alice, bob) = (world.client(ALICE), world.client(BOB));
    let to_bob = alice.add_contact(&link(&world, BOB)).await.unwrap();
    alice.send_text(to_bob, "Bonjour, Bob", None).await.unwrap();
    alice.add_contact(&link(&world, TILL)).await.unwrap();
    world.settle().await;
    bob.send_text(chat(&world, BOB, ALICE), "Bonjour, Alice", None).await.unwrap();
    world.settle().await;
    buys(&mut world).await;
    world.hang(ALICE).await;
    alice.send_text(to_bob, "not sent yet", None).await.unwrap();
    let written = everything(&world);
    drop((alice, bob));
    world.close().await;
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for name in KEPT {
        let from = town.path().join(name);
        match from.is_dir() {
            true => copy_dir(&from, &to.join(name)),
            false => assert!(std::fs::copy(from, to.join(name)).is_ok()),
        }
    }
    forget(to);
    std::fs::write(to.join("written.txt"), format!("{now_ms}\n{}\n", written.join("\n"))).unwrap();
}

/// Takes away what need not be kept.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
        } else if path.extension().is_some_and(|end| NOT_KEPT.iter().any(|name| end == *name)) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// A copy of the frozen town, and what stands in it. To bless is to freeze another one first.
async fn thaw() -> (tempfile::TempDir, Written) {
    static BLESSED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let bless = || async {
        if std::env::var_os("COMPTOIR_BLESS").is_some() {
            let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations.lock");
            assert!(!released.exists(), "what was released is never made anew");
            freeze(&frozen()).await;
        }
    };
    BLESSED.get_or_init(bless).await;
    let town = tempfile::tempdir().unwrap();
    copy_dir(&frozen(), town.path());
    #[cfg(unix)]
    for secret in ["alice.key", "bob.key", "bakery"] {
        let_only_us_read(&town.path().join(secret));
    }
    let written = std::fs::read_to_string(town.path().join("written.txt")).unwrap();
    let mut lines = written.lines().map(str::to_owned);
    let now_ms = lines.next().unwrap().parse().unwrap();
    (town, Written { now_ms, lines: lines.collect() })
}

/// Secrets are not read from files that others can read, and a repository does not remember who can.
#[cfg(unix)]
fn let_only_us_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| let_only_us_read(&entry.unwrap().path()));
    }
}

#[tokio::test]
async fn what_the_first_version_wrote_is_read_and_gone_on_with() {
    let (town, written) = thaw().await;
    let mut world = World::open(town.path(), written.now_ms + HOUR_MS, &[]).await;
    assert_eq!(everything(&world), written.lines);
    let books = world.till().books().unwrap();
    assert!(books.balanced && books.chain_holds, "{books:?}");
    let receipt = world.client(ALICE).receipts().unwrap().remove(0);
    let file = world.client(ALICE).receipt_file(receipt.order, None).unwrap();
    assert!(matches!(world.client(ALICE).verify_receipt(&file).unwrap(), ReceiptVerdict::Holds { .. }));

    assert!(world.settle().await);
    let their = |text: &str| format!("bob: their {:?} {text:?}", BubbleKind::Text);
    assert!(thread(&world, BOB, ALICE).contains(&their("not sent yet")), "what had not left leaves now");
    let to_bob = chat(&world, ALICE, BOB);
    world.client(ALICE).send_text(to_bob, "and on we go", None).await.unwrap();
    assert!(world.settle().await);
    assert!(thread(&world, BOB, ALICE).contains(&their("and on we go")));
    buys(&mut world).await;
    assert_eq!(world.client(ALICE).receipts().unwrap().len(), 2);
    let books = world.till().books().unwrap();
    assert!(books.balanced && books.chain_holds, "{books:?}");
}

/// Opens the town again and again, and cuts the power of one place in each thing that it does to its disk while it opens, as
/// long as there is one more. Says how many there were.
async fn cuts_while_opening(place: usize, prepare: impl Fn(&Path), check: impl Fn(&World, &[String])) -> u64 {
    for operation in 1.. {
        let (town, written) = thaw().await;
        prepare(town.path());
        let mut world = World::open_with_cut(town.path(), written.now_ms + HOUR_MS, place, operation).await;
        let was_cut = world.lost_power(place);
        check(&world, &written.lines);
        world.close().await;
        if !was_cut {
            return operation - 1;
        }
    }
    unreachable!("the numbers end after the disk's operations")
}

#[tokio::test]
async fn a_power_cut_while_a_store_is_brought_up_to_date_loses_nothing_of_it() {
    for place in [ALICE, TILL, RELAY_PLACE] {
        // As many as the migrations since need; none when the frozen version is the newest.
        let all = |world: &World, lines: &[String]| assert_eq!(everything(world), lines, "place {place}");
        cuts_while_opening(place, |_| {}, all).await;
    }
}

#[tokio::test]
async fn a_power_cut_while_a_store_is_made_leaves_nothing_half_made() {
    let remove = |name: &'static str| move |dir: &Path| std::fs::remove_dir_all(dir.join(name)).unwrap();
    let is_new = |world: &World, _: &[String]| assert!(world.client(ALICE).identity().unwrap().is_none());
    let cuts = cuts_while_opening(ALICE, remove("alice"), is_new).await;
    assert!(cuts > 10, "a client's store was made by {cuts} operations");
    let others_are_well = |world: &World, lines: &[String]| assert_eq!(everything(world), lines);
    let cuts = cuts_while_opening(RELAY_PLACE, remove("relay"), others_are_well).await;
    assert!(cuts > 10, "a relay's store was made by {cuts} operations");
}
