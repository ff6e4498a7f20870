//! The plug is pulled at every commit of the payment path: of the till, and of the customer's phone. Each time the real
//! process is killed there, started again, and the story goes on. In the end: one charge, one receipt, balanced books.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use comptoir_tests::Town;
use comptoir_tests::shop::Bakery;
use support::{APPROVE, comptoir, person, run};

/// More commits than a payment has; a story that reaches it never ends by itself.
const COMMITS_MAX: u32 = 60;

/// A till that is gone when the story is over, also when the story fails.
struct Till(Child);

impl Drop for Till {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_till(town: &Town, crash_at: Option<&str>) -> Option<Till> {
    let mut command = comptoir();
    command.args(["--json", "gateway", "run", "--shop"]).arg(town.bakery_dir());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(at) = crash_at {
        command.env("COMPTOIR_CRASH_AT", at);
    }
    let mut till = Till(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(till.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.contains("webhooks").then_some(till)
}

/// Ends a till in good order.
fn stop(mut till: Till) {
    let _ = Command::new("kill").args(["-TERM", &till.0.id().to_string()]).status();
    let _ = till.0.wait();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_killed_at_any_commit_of_a_payment_pays_once() {
    let (town, bakery, alice) = town().await;
    let till = start_till(&town, None).unwrap();
    let mut paid = 0;
    let mut killed = 0;
    'sides: for side in ["before", "after"] {
        for number in 1..COMMITS_MAX {
            assert!(new_bill(&alice, &bakery, paid), "no bill came");
            let mut command = comptoir();
            command.arg("--json").arg("--dir").arg(&alice).args(["pay", "acc_", "--card", APPROVE]);
            let armed = run(command.env("COMPTOIR_CRASH_AT", format!("{number}:{side}")));
            let survived = armed.code == Some(0);
            if !survived {
                assert_eq!(armed.code, None, "{side} {number}: {} {}", armed.out, armed.err);
                killed += 1;
                // She opens the app again and goes on where she was.
                let again = person(&alice, &["pay", "acc_", "--card", APPROVE]);
                let paid_already = again.json()["error"]["code"] == "invoice.already_paid";
                assert!(again.code == Some(0) || paid_already, "{side} {number}: {} {}", again.out, again.err);
            }
            paid += 1;
            assert_eq!(bakery.charges().await.len(), paid, "{side} {number}");
            assert_eq!(person(&alice, &["receipts"]).json().as_array().unwrap().len(), paid, "{side} {number}");
            if survived {
                continue 'sides;
            }
        }
        panic!("the payment has more than {COMMITS_MAX} commits");
    }
    assert!(killed >= 8, "only {killed} commits were found to be killed at");
    let books = bakery.books(&town).await;
    assert_eq!(
        (&books["postings"], &books["balanced"], &books["chain_holds"]),
        (&paid.into(), &true.into(), &true.into())
    );
    stop(till);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_killed_at_any_commit_of_a_payment_charges_once() {
    let (town, bakery, alice) = town().await;
    let first = start_till(&town, None).unwrap();
    assert!(new_bill(&alice, &bakery, 0), "no bill came");
    stop(first);
    let mut paid = 0;
    let mut killed = 0;
    'sides: for side in ["before", "after"] {
        for number in 1..COMMITS_MAX {
            let armed = start_till(&town, Some(&format!("{number}:{side}")));
            let mut command = comptoir();
            command.arg("--json").arg("--dir").arg(&alice).args(["--wait", "4", "pay", "acc_", "--card", APPROVE]);
            let tried = run(&mut command);
            let mut survived = false;
            if let Some(mut till) = armed {
                survived = till.0.try_wait().unwrap().is_none();
                if survived {
                    stop(till);
                }
            }
            killed += u32::from(!survived);
            let till = start_till(&town, None).unwrap();
            if tried.code != Some(0) {
                let again = person(&alice, &["pay", "acc_", "--card", APPROVE]);
                let paid_already = again.json()["error"]["code"] == "invoice.already_paid";
                assert!(again.code == Some(0) || paid_already, "{side} {number}: {} {}", again.out, again.err);
            }
            paid += 1;
            assert_eq!(bakery.charges().await.len(), paid, "{side} {number}");
            assert_eq!(person(&alice, &["receipts"]).json().as_array().unwrap().len(), paid, "{side} {number}");
            let books = bakery.books(&town).await;
            assert_eq!(
                (&books["postings"], &books["balanced"], &books["chain_holds"]),
                (&paid.into(), &true.into(), &true.into()),
                "{side} {number}"
            );
            assert!(new_bill(&alice, &bakery, paid), "no bill came");
            stop(till);
            if survived {
                continue 'sides;
            }
        }
        panic!("the payment has more than {COMMITS_MAX} commits");
    }
    assert!(killed >= 8, "only {killed} commits were found to be killed at");
}
