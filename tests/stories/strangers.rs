//! People who were not invited: forged codes, garbage in the mailbox, somebody on the line.

use comptoir_client::{BubbleState, PaymentState, SheetHint};
use comptoir_content::{ContactCode, ConversationId, Hash, Link, ReceiptFile};
use comptoir_tests::Town;
use comptoir_tests::shop::types_card;
use comptoir_tests::stranger::Stranger;
use comptoir_wire::{DepositStatus, EnvelopeKind};

fn forged(link: &str, forge: impl FnOnce(&mut ContactCode)) -> String {
    let Ok(Link::Contact(mut code)) = Link::parse(link) else { panic!("{link} is a contact code") };
    forge(&mut code);
    code.to_link()
}

#[tokio::test]
async fn a_forged_code_of_somebody_known_changes_nothing() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("Bonjour").await;

    let other_past = forged(&bob.link(), |code| code.head.hash = Hash::of(b"another past"));
    let refused = alice.client.add_contact(&other_past).await.unwrap_err();
    assert_eq!(refused.code(), "contact.code_differs");
    // One that speaks of an entry to come cannot be told from a true one, and cannot keep the true one out.
    let other_future = forged(&bob.link(), |code| {
        code.head.len += 1;
        code.head.hash = Hash::of(b"another future");
    });
    assert_eq!(alice.client.add_contact(&other_future).await.unwrap(), chat);
    alice.syncs().await;

    let tablet = bob.links(&town, "bob-tablet").await;
    bob.takes_in(&town, &tablet, chat).await;
    tablet.says(chat, "from my tablet").await;
    alice.sees(chat, &["me: Bonjour", "you: from my tablet"]).await;
    assert_eq!(alice.chats()[0].peer.refused, None);
}

#[tokio::test]
async fn at_first_contact_what_the_relay_shows_must_fit_the_code() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    bob.syncs().await;
    let code = forged(&bob.link(), |code| code.head.hash = Hash::of(b"another past"));
    let chat = alice.client.add_contact(&code).await.unwrap();
    alice.says(chat, "Is it you?").await;
    alice.until("why it is not believed", |me| me.chats()[0].peer.refused.clone()).await;
    assert_eq!(alice.bubbles(chat)[0].state, BubbleState::Queued);
    // The code scanned again, the right one this time: what was said goes out.
    assert_eq!(alice.meets(&bob).await, chat);
    bob.sees(chat, &["you: Is it you?"]).await;
    assert_eq!(alice.chats()[0].peer.refused, None);
}

#[tokio::test]
async fn ones_own_code_is_no_contact() {
    let town = Town::new().await;
    let alice = town.arrives("alice").await;
    let error = alice.client.add_contact(&alice.link()).await.unwrap_err();
    assert_eq!(error.code(), "contact.own_code");
    assert!(alice.chats().is_empty());
}

#[tokio::test]
async fn garbage_in_the_mailbox_keeps_no_message_out() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    bob.syncs().await;
    let to = bob.client.identity().unwrap().unwrap();
    let mut mallory = Stranger::arrives(&town).await;
    let hers = ConversationId::between(mallory.account, to.account);
    // More than is kept of one conversation: words of groups to come, invitations and changes that are none.
    for kind in [EnvelopeKind::Message, EnvelopeKind::Welcome, EnvelopeKind::Commit] {
        for hundred in 0..6 {
            let statuses = mallory.throws(to.device, hers, kind, hundred * 50..(hundred + 1) * 50).await;
            assert_eq!(statuses, [DepositStatus::Accepted; 50]);
        }
    }
    let chat = ConversationId::between(alice.client.identity().unwrap().unwrap().account, to.account);
    let theirs = mallory.throws(to.device, chat, EnvelopeKind::Welcome, 0..1).await;
    assert_eq!(theirs, [DepositStatus::Forbidden], "not into a conversation of others");
    assert_eq!(alice.meets(&bob).await, chat);
    alice.says(chat, "Bonjour").await;
    bob.sees(chat, &["you: Bonjour"]).await;
    bob.says(chat, "Bonjour Alice").await;
    alice.sees(chat, &["me: Bonjour", "you: Bonjour Alice"]).await;
    assert_eq!(bob.chats().len(), 1, "Mallory said nothing");
}

#[tokio::test]
async fn the_line_shows_nothing_of_what_is_said_or_paid() {
    let (town, tape) = Town::with_a_tap().await;
    let bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    alice.says(chat, "Bonjour, two for my mother").await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, "4242 4242 4242 4242").await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    alice.syncs().await;

    let device = alice.client.identity().unwrap().unwrap().device;
    assert!(tape.shows(&device.0), "the tape holds what the relay has to know");
    assert!(tape.frames().len() > 20, "and all of it");
    let receipt =
        ReceiptFile::from_file(&alice.client.receipt_file(sheet.order, None).unwrap()).unwrap().receipt.encode();
    let secrets: [&[u8]; 9] = [
        b"Bonjour",
        b"mother",
        b"What can I get you",
        b"The Bakery",
        b"Bread since 1907",
        b"Croissant",
        b"EUR",
        &sheet.order.0,
        &receipt[receipt.len() - 32..],
    ];
    for secret in secrets {
        assert!(!tape.shows(secret), "{}", String::from_utf8_lossy(secret));
    }
    assert!(!tape.shows(&bill.invoice.0), "the invoice's hash");
}
