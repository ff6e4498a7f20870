//! The commands as people type them: what they print, how they end, and that bad input is named and harms nothing.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use std::path::Path;

use comptoir_tests::Town;
use support::{APPROVE, comptoir, person, run};

const COMMANDS: &[&[&str]] = &[
    &["demo"],
    &["relay"],
    &["sandbox"],
    &["gateway", "init"],
    &["gateway", "run"],
    &["gateway", "orders"],
    &["gateway", "ledger"],
    &["gateway", "bill"],
    &["gateway", "code"],
    &["account", "create"],
    &["account", "show"],
    &["contact", "add"],
    &["contact", "block"],
    &["open"],
    &["chats"],
    &["read"],
    &["send"],
    &["tap"],
    &["pay"],
    &["receipts"],
    &["receipt", "export"],
    &["receipt", "verify"],
    &["refund"],
    &["qr", "show"],
    &["qr", "write"],
    &["qr", "split"],
    &["qr", "join"],
    &["qr", "parse"],
    &["qr", "scan"],
    &["verify"],
    &["sync"],
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = run(comptoir().args(*command).arg("--help"));
        assert_eq!(help.code, Some(0), "{command:?}: {}", help.err);
        assert!(help.out.contains("Example:\n  comptoir "), "{command:?} has no example:\n{}", help.out);
        assert!(help.out.contains("--json"), "{command:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["no-such-command"][..], &["send", "only-a-chat"], &["read", "x", "--limit", "many"]] {
        assert_eq!(run(comptoir().args(arguments)).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn input_that_cannot_be_read_is_named_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let alice = dir.path().join("alice");
    let offline = person(&alice, &["--wait", "0", "account", "create", "--relay", "ws://127.0.0.1:9"]);
    assert_eq!(offline.code, Some(0), "{} {}", offline.out, offline.err);
    let link = offline.json()["link"].as_str().unwrap().to_owned();
    let not_a_picture = dir.path().join("notes.txt");
    std::fs::write(&not_a_picture, "not a picture").unwrap();
    let path = not_a_picture.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["contact", "add", "COMPTOIR:CAAAA"], "link.unreadable"),
        (&["contact", "add", &link[..link.len() - 3]], "link.unreadable"),
        (&["contact", "add", "--image", path], "qr.unreadable"),
        (&["contact", "add", "--image", "/no/such/picture.png"], "qr.unreadable"),
        (&["receipt", "verify", path], "receipt.unreadable"),
        (&["qr", "scan", path], "qr.unreadable"),
        (&["receipt", "export", "not-an-order", "--out", "/dev/null"], "receipt.order"),
        (&["gateway", "run", "--shop", dir.path().to_str().unwrap()], "gateway.config"),
        (&["relay", "--config", path], "relay.config"),
    ];
    for (arguments, code) in cases {
        let ran = person(&alice, arguments);
        assert_eq!(ran.json()["error"]["code"], *code, "{arguments:?}: {} {}", ran.out, ran.err);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
    }
    assert_eq!(person(&alice, &["account", "show"]).json()["link"], link.as_str());
    let plain = person(&dir.path().join("bob"), &["account", "create", "--relay", "ws://relay.example"]);
    assert_eq!((plain.code, &plain.json()["error"]["code"]), (Some(2), &"relay.address".into()));
}

#[test]
fn one_bad_picture_does_not_end_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    let [bad, good] = ["bad.png", "good.png"].map(|name| dir.path().join(name));
    std::fs::write(&bad, "not a picture").unwrap();
    run(comptoir().args(["qr", "show", "two croissants", "--png"]).arg(&good));
    let scanned = run(comptoir().args(["--json", "qr", "scan"]).args([&bad, &good]));
    let lines: Vec<serde_json::Value> = scanned.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((scanned.code, lines.len()), (Some(2), 2), "{}", scanned.out);
    assert_eq!(lines[0]["error"]["code"], "qr.unreadable");
    assert_eq!(lines[0]["path"], bad.to_str().unwrap());
    assert_eq!(lines[1]["codes"][0]["text"], "two croissants");
    assert_eq!(lines[1]["codes"][0]["bytes"], "dHdvIGNyb2lzc2FudHM=");
}

#[test]
fn a_wrong_key_is_locked_and_the_file_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let alice = dir.path().join("alice");
    person(&alice, &["--wait", "0", "account", "create", "--relay", "ws://127.0.0.1:9"]);
    let database = std::fs::read(alice.join("comptoir.db")).unwrap();
    std::fs::write(alice.join("core.key"), [7; 32]).unwrap();
    let locked = person(&alice, &["account", "show"]);
    assert_eq!((locked.code, &locked.json()["error"]["code"]), (Some(1), &"storage.wrong_key".into()));
    assert_eq!(std::fs::read(alice.join("comptoir.db")).unwrap(), database);
    std::fs::remove_file(alice.join("core.key")).unwrap();
    let missing = person(&alice, &["account", "show"]);
    assert_eq!((missing.code, &missing.json()["error"]["code"]), (Some(1), &"vault.missing".into()));
    assert_eq!(std::fs::read(alice.join("comptoir.db")).unwrap(), database);
}

#[test]
fn a_bad_catalogue_or_config_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let shop = dir.path().join("shop");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "sk_practice_for_this_test_only").unwrap();
    let owner = dir.path().join("owner.key");
    let init = || {
        let mut command = comptoir();
        command
            .args(["--json", "gateway", "init", "--name", "Shop", "--relay", "ws://127.0.0.1:9", "--shop"])
            .arg(&shop);
        command.arg("--owner-key").arg(&owner).args(["--sandbox-url", "http://127.0.0.1:9", "--sandbox-secret-file"]);
        run(command.arg(&secret))
    };
    std::fs::create_dir_all(&shop).unwrap();
    let cases = [
        (
            "catalogue.toml",
            "greeting = 'Hi'\ncurrency = 'EUR'\n[[product]]\nid='a'\ntitle='A'\nprice_minor=0\n",
            "price_minor",
        ),
        ("catalogue.toml", "greeting = 'Hi'\ncurrency = 'EUR'\ncolour = 'red'\n", "colour"),
        (
            "gateway.toml",
            "operator_listen = '0.0.0.0:1'\n[providers.sandbox]\nurl='http://127.0.0.1:9'\naccount='a'\nsecret_key_file='sandbox.key'\n",
            "operator_listen",
        ),
        ("gateway.toml", "[providers]\n", "providers"),
        ("gateway.toml", "listen = 'nowhere'\n", "listen"),
    ];
    for (file, text, field) in cases {
        std::fs::write(shop.join(file), text).unwrap();
        let refused = init();
        assert_eq!(refused.code, Some(2), "{field}: {} {}", refused.out, refused.err);
        let detail = refused.json()["error"]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(field) && detail.contains(file), "{detail}");
        std::fs::remove_file(shop.join(file)).unwrap();
    }
    assert!(!owner.exists(), "nothing was made");
    assert_eq!(init().code, Some(0));
    assert!(owner.exists());
    assert_eq!(init().code, Some(1), "a shop is never made over another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_in_a_terminal_buys_breakfast() {
    let town = Town::with_real_time().await;
    let bakery = town.bakery().await;
    let alice = town.dir.path().join("alice-cli");
    assert_eq!(person(&alice, &["chats"]).json()["error"]["code"], "account.unknown");
    assert_eq!(person(&alice, &["account", "create", "--relay", &town.relay_url()]).code, Some(0));
    let picture = town.dir.path().join("code.png");
    let code = run(comptoir().args(["qr", "show", &bakery.link, "--png"]).arg(&picture));
    assert_eq!(code.code, Some(0), "{}", code.err);
    let scanned = person(&alice, &["qr", "scan", picture.to_str().unwrap()]).json();
    assert_eq!(
        (&scanned["codes"][0]["kind"], &scanned["codes"][0]["text"]),
        (&"comptoir".into(), &bakery.link.as_str().into())
    );
    assert_eq!(person(&alice, &["contact", "add", "--image", picture.to_str().unwrap()]).code, Some(0));
    assert_eq!(person(&alice, &["send", "acc_", "Bonjour"]).code, Some(0));
    let refused = person(&alice, &["send", "acc_", "my card is 4242 4242 4242 4242"]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(1), &"text.card_number".into()));
    let tapped = (0..100).any(|_| {
        person(&alice, &["sync"]);
        person(&alice, &["tap", "acc_", "croissant"]).code == Some(0)
    });
    assert!(tapped);
    let billed = (0..100).any(|_| {
        let bubbles = person(&alice, &["read", "acc_"]).json();
        bubbles.as_array().unwrap().iter().any(|bubble| bubble["kind"] == "invoice")
    });
    assert!(billed);
    let real = person(&alice, &["pay", "bakery", "--card", "4111 1111 1111 1111"]);
    assert_eq!((real.code, &real.json()["error"]["code"]), (Some(2), &"card.practice".into()));
    let declined = person(&alice, &["pay", "bakery", "--card", "4000 0000 0000 0002"]);
    assert_eq!((declined.code, &declined.json()["error"]["code"]), (Some(1), &"card.declined".into()));
    let paid = person(&alice, &["pay", "bakery", "--card", APPROVE]);
    assert_eq!((paid.code, &paid.json()["state"]), (Some(0), &"paid".into()), "{} {}", paid.out, paid.err);
    assert_eq!(person(&alice, &["pay", "bakery"]).json()["error"]["code"], "invoice.already_paid");

    let file = town.dir.path().join("receipt.comptoir");
    assert_eq!(person(&alice, &["receipt", "export", "--out", file.to_str().unwrap()]).code, Some(0));
    receipts_are_judged(&alice, &file);
    let order = person(&alice, &["receipts"]).json()[0]["order"].as_str().unwrap().to_owned();
    let shop = town.bakery_dir();
    let orders = run(comptoir().args(["--json", "gateway", "orders", "--shop"]).arg(&shop)).json();
    assert_eq!((&orders[0]["state"], &orders[0]["amount"]), (&"captured".into(), &"1.20 EUR".into()));
    let too_much = run(comptoir().args(["--json", "refund", &order, "--amount-minor", "121", "--shop"]).arg(&shop));
    assert_eq!((too_much.code, &too_much.json()["error"]["code"]), (Some(1), &"refund.too_large".into()));
    // The same id twice is one refund, and never another one.
    let id = "ref_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let refund = |minor: &str| {
        run(comptoir().args(["--json", "refund", &order, "--amount-minor", minor, "--id", id, "--shop"]).arg(&shop))
    };
    for _ in 0..2 {
        let part = refund("50");
        assert_eq!((part.code, &part.json()["refund"]), (Some(0), &id.into()), "{}", part.out);
    }
    assert_eq!(refund("20").json()["error"]["code"], "refund.id");
    let refunded = |minor: i64| {
        (0..100).any(|_| {
            person(&alice, &["sync"]);
            person(&alice, &["receipts"]).json()[0]["refunded_minor"] == minor
        })
    };
    assert!(refunded(50));
    // What a merchant reads is money as it stands on paper, never minor units.
    let words = |command: &str| run(comptoir().args(["gateway", command, "--shop"]).arg(&shop)).out;
    assert!(words("orders").starts_with("1.20 EUR  Croissant  captured, 0.50 EUR refunded\n"), "{}", words("orders"));
    assert!(words("ledger").contains("0.70 EUR"), "{}", words("ledger"));
    assert_eq!(run(comptoir().args(["--json", "refund", &order, "--shop"]).arg(&shop)).code, Some(0));
    assert!(refunded(120));
    let books = run(comptoir().args(["--json", "gateway", "ledger", "--shop"]).arg(&shop)).json();
    assert_eq!((&books["balanced"], &books["chain_holds"]), (&true.into(), &true.into()));

    a_bill_at_the_counter_is_paid(&town, &alice);
    who_paid_is_handed_the_order(&town, &alice);

    let number = person(&alice, &["verify", "bakery", "--confirm"]).json();
    assert_eq!(number["safety_number"].as_str().unwrap().replace(' ', "").len(), 60);
    assert_eq!(person(&alice, &["chats"]).json()[0]["verified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_verify_each_other_in_a_terminal() {
    let town = Town::with_real_time().await;
    let [alice, bob] = ["alice", "bob"].map(|name| town.dir.path().join(name));
    for dir in [&alice, &bob] {
        assert_eq!(person(dir, &["account", "create", "--relay", &town.relay_url()]).code, Some(0));
    }
    let account = |dir: &Path| person(dir, &["account", "show"]).json()["account"].as_str().unwrap().to_owned();
    let link = |dir: &Path| person(dir, &["account", "show"]).json()["link"].as_str().unwrap().to_owned();
    let (her, him) = (account(&alice), account(&bob));
    assert_eq!(person(&alice, &["contact", "add", &link(&bob)]).code, Some(0));
    assert_eq!(person(&bob, &["contact", "add", &link(&alice)]).code, Some(0));
    let picture = town.dir.path().join("bob.png");
    let shown = person(&bob, &["verify", &her, "--png", picture.to_str().unwrap()]);
    assert_eq!((shown.code, &shown.json()["verified"]), (Some(0), &false.into()), "{}", shown.out);
    let scanned = person(&alice, &["verify", &him, "--image", picture.to_str().unwrap()]);
    assert_eq!((scanned.code, &scanned.json()["verified"]), (Some(0), &true.into()), "{}", scanned.out);
    assert_eq!(person(&alice, &["chats"]).json()[0]["verified"], true);
    let own = person(&alice, &["verify", &him]).json()["code"].as_str().unwrap().to_owned();
    let refused = person(&alice, &["verify", &him, "--code", &own]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(1), &"contact.own_code".into()));
}

/// Of the two orders the newer one was paid at the counter; the other one went back.
fn who_paid_is_handed_the_order(town: &Town, alice: &Path) {
    let till =
        |args: &[&str]| run(comptoir().args(["--json", "gateway"]).args(args).arg("--shop").arg(town.bakery_dir()));
    let receipts = person(alice, &["receipts"]).json();
    let orders: Vec<&str> = receipts.as_array().unwrap().iter().map(|row| row["order"].as_str().unwrap()).collect();
    let [paid, refunded] = orders[..] else { panic!("{receipts}") };
    let picture = town.dir.path().join("question.png");
    let proof = |order: &str| {
        let asked = till(&["ask-payer", "--png", picture.to_str().unwrap()]).json();
        let proven = person(alice, &["receipt", "prove", order, asked["code"].as_str().unwrap()]);
        assert_eq!(proven.code, Some(0), "{} {}", proven.out, proven.err);
        proven.json()["code"].as_str().unwrap().to_owned()
    };
    let answer = proof(paid);
    let handed = till(&["redeem", &answer]);
    assert_eq!((handed.code, &handed.json()["title"]), (Some(0), &"Table 4".into()), "{} {}", handed.out, handed.err);
    let scanned = run(comptoir().args(["--json", "qr", "scan"]).arg(&picture)).json();
    assert!(scanned["codes"][0]["text"].as_str().unwrap().starts_with("COMPTOIR:Q"), "{scanned}");
    for (order, code) in [(paid, "payer.redeemed"), (refunded, "payer.unproven")] {
        let refused = till(&["redeem", &proof(order)]);
        assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(1), &code.into()), "{}", refused.out);
    }
}

fn a_bill_at_the_counter_is_paid(town: &Town, alice: &Path) {
    let picture = town.dir.path().join("bill.png");
    let bill = |line: &str, more: &[&str]| {
        let asks = ["--json", "gateway", "bill", "--title", "Table 4", "--line", line, "--line", "1:-20:Regular"];
        run(comptoir().args(asks).args(more).arg("--shop").arg(town.bakery_dir()).arg("--png").arg(&picture))
    };
    let id = "inv_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let made = bill("2:120:Croissant", &["--id", id]);
    assert_eq!((made.code, &made.json()["amount"]), (Some(0), &"2.20 EUR".into()), "{} {}", made.out, made.err);
    assert_eq!(bill("2:120:Croissant", &["--id", id]).json(), made.json(), "the same id is the same bill");
    assert_eq!(bill("3:120:Croissant", &["--id", id]).json()["error"]["code"], "bill.id");
    assert_eq!(bill("croissant", &[]).code, Some(2));
    let opened = person(alice, &["open", "--image", picture.to_str().unwrap()]);
    assert_eq!(opened.code, Some(0), "{} {}", opened.out, opened.err);
    let is_there = (0..100).any(|_| {
        person(alice, &["sync"]);
        person(alice, &["read", "bakery"]).out.contains("Table 4")
    });
    assert!(is_there);
    let paid = person(alice, &["pay", "bakery", "--card", APPROVE]);
    assert_eq!((paid.code, &paid.json()["state"]), (Some(0), &"paid".into()), "{} {}", paid.out, paid.err);
}

#[test]
fn a_refund_whose_answer_is_lost_says_how_to_repeat_it() {
    let shop = tempfile::tempdir().unwrap();
    let till = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(shop.path().join("operator.addr"), till.local_addr().unwrap().to_string()).unwrap();
    std::fs::write(shop.path().join("operator.token"), "token").unwrap();
    // A till that hears everything and answers nothing.
    let heard = std::thread::spawn(move || {
        let (mut line, _) = till.accept().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"}") {
            let mut part = [0; 1024];
            let read = std::io::Read::read(&mut line, &mut part).unwrap();
            heard.extend_from_slice(&part[..read]);
        }
        String::from_utf8(heard).unwrap()
    });
    let order = "ord_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let lost = run(comptoir().args(["--json", "refund", order, "--shop"]).arg(shop.path()));
    let (detail, heard) = (lost.json()["error"]["detail"].as_str().unwrap().to_owned(), heard.join().unwrap());
    let (_, id) = detail.split_once("Repeat it with --id ").unwrap_or_else(|| panic!("{detail}"));
    assert_eq!(lost.code, Some(75));
    assert!(id.starts_with("ref_") && heard.contains(&format!("\"refund\":\"{id}\"")), "{id}: {heard}");
}

fn receipts_are_judged(alice: &Path, file: &Path) {
    let holds = run(comptoir().args(["--json", "receipt", "verify"]).arg(file));
    assert_eq!((holds.code, &holds.json()["verdict"]), (Some(0), &"holds".into()), "{}", holds.out);
    let merchant = holds.json()["merchant"].as_str().unwrap().to_owned();
    let pinned = run(comptoir().args(["receipt", "verify", "--merchant", &merchant]).arg(file));
    assert_eq!(pinned.code, Some(0));
    let other = person(alice, &["account", "show"]).json()["account"].as_str().unwrap().to_owned();
    let elsewhere = run(comptoir().args(["--json", "receipt", "verify", "--merchant", &other]).arg(file));
    assert_eq!((elsewhere.code, &elsewhere.json()["error"]["code"]), (Some(1), &"receipt.unverified".into()));
    let mut bytes = std::fs::read(file).unwrap();
    bytes[400] ^= 1;
    let forged = file.with_extension("forged");
    std::fs::write(&forged, bytes).unwrap();
    let refused = run(comptoir().args(["--json", "receipt", "verify"]).arg(&forged));
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(1), &"receipt.unverified".into()));
}
