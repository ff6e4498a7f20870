//! Disks that are full, and files that somebody tampered with: named for what they are, and nothing is lost or made anew.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use comptoir_client::{Client, ClientError, Config, FileVault, Place};
use comptoir_content::ConversationId;
use comptoir_sqlcipher::faults::Disk;
use comptoir_tests::{MINUTE_MS, PATIENCE, Person, Town};

const PAGE: usize = 4096;

#[tokio::test]
async fn a_full_disk_still_takes_what_arrives_and_begins_nothing_new() {
    let town = Town::new().await;
    fs::create_dir_all(town.dir.path().join("alice")).unwrap();
    let disk = Disk::below(&town.dir.path().join("alice"));
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    let chat = bob.meets(&alice).await;
    bob.says(chat, "one").await;
    alice.sees(chat, &["you: one"]).await;
    alice.syncs().await;
    let ballast = town.dir.path().join("alice").join("comptoir.ballast");
    assert!(ballast.exists());

    disk.room(Some(0));
    bob.says(chat, &"two ".repeat(400)).await;
    bob.syncs().await;
    let gone = async {
        while ballast.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is let go");
    // The room that it had is there for what arrives.
    disk.room(Some(2 << 20));
    alice.client.connect().unwrap();
    alice.until("what arrived", |me| (me.thread(chat).len() == 2).then_some(())).await;
    let refused = alice.client.send_text(chat, "three", None).await.unwrap_err();
    assert_eq!(refused.code(), "storage.full");
    assert_eq!(alice.thread(chat).len(), 2, "nothing was begun");

    // Somebody made room.
    disk.room(None);
    town.pass(MINUTE_MS);
    alice.says(chat, "three").await;
    assert!(ballast.exists());
    bob.until("the answer", |me| me.thread(chat).contains(&"you: three".to_owned()).then_some(())).await;
}

/// Alice's folder with a chat in it, closed; what stands in the chat.
async fn a_closed_folder() -> (Town, ConversationId, Vec<String>) {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    bob.syncs().await;
    let chat = alice.meets(&bob).await;
    for number in 0..40 {
        alice.says(chat, &format!("{number} {}", "words ".repeat(40))).await;
    }
    alice.syncs().await;
    let thread = alice.thread(chat);
    alice.client.shutdown().unwrap();
    (town, chat, thread)
}

fn open(town: &Town) -> Result<Arc<Client>, ClientError> {
    Client::open_headless(town.config("alice"), town.setting())
}

/// Opens the folder with this database in it, and reads everything. Either that is what stood there, or an error says that
/// the file is damaged. The file is never another one afterwards because it could not be opened.
fn check(town: &Town, chat: ConversationId, thread: &[String], database: &[u8], what: &str) -> bool {
    let path = town.dir.path().join("alice").join("comptoir.db");
    for left in ["comptoir.db-wal", "comptoir.db-shm"] {
        let _ = fs::remove_file(town.dir.path().join("alice").join(left));
    }
    fs::write(&path, database).unwrap();
    let client = match open(town) {
        Ok(client) => client,
        Err(error) => {
            assert_eq!(error.code(), "storage.damaged", "{what}: {error}");
            assert_eq!(fs::read(&path).unwrap(), database, "{what}: it was touched");
            return true;
        }
    };
    let found = client.page(chat, Place::Newest, 200);
    let damaged = match found {
        Ok(page) => {
            let texts: Vec<String> = page.bubbles.iter().map(|bubble| format!("me: {}", bubble.text)).collect();
            assert_eq!(texts, thread, "{what}: a wrong answer");
            false
        }
        Err(error) => {
            assert_eq!(error.code(), "storage.damaged", "{what}: {error}");
            true
        }
    };
    let _ = client.shutdown();
    damaged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_or_a_transplanted_page_is_damage_and_never_a_wrong_answer() {
    let (town, chat, thread) = a_closed_folder().await;
    let database = fs::read(town.dir.path().join("alice").join("comptoir.db")).unwrap();
    assert!(!check(&town, chat, &thread, &database, "as it was"));
    let mut damaged = 0;
    for place in (0..database.len()).step_by(database.len() / 60 + 7) {
        let mut flipped = database.clone();
        flipped[place] ^= 0x40;
        damaged += u32::from(check(&town, chat, &thread, &flipped, &format!("byte {place}")));
    }
    let pages = database.len() / PAGE;
    for (from, to) in (1..pages).zip((1..pages).rev()).step_by(pages / 30 + 1).filter(|(from, to)| from != to) {
        let mut transplanted = database.clone();
        transplanted[to * PAGE..(to + 1) * PAGE].copy_from_slice(&database[from * PAGE..(from + 1) * PAGE]);
        damaged += u32::from(check(&town, chat, &thread, &transplanted, &format!("page {from} over {to}")));
    }
    // Most of the file is not read for one chat: what is damaged there is found when it is needed.
    assert!(damaged >= 4, "only {damaged} were noticed where they are read");
    // Put back as it was, it opens.
    assert!(!check(&town, chat, &thread, &database, "as it was"));
}

#[tokio::test]
async fn a_wrong_key_is_never_called_damage() {
    let (town, ..) = a_closed_folder().await;
    let dir = town.dir.path().join("alice");
    let before = fs::read(dir.join("comptoir.db")).unwrap();
    let vault = |name: &str| {
        let path = town.dir.path().join(name);
        fs::write(&path, [9; 32]).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Arc::new(FileVault::new(path))
    };
    let config = Config { dir: dir.clone(), vault: vault("another.key"), sheet: None, push: None };
    let refused = Client::open(config).err().unwrap();
    assert!(matches!(&refused, ClientError::Locked { code, .. } if code == "storage.wrong_key"), "{refused}");
    assert_eq!(fs::read(dir.join("comptoir.db")).unwrap(), before, "it was touched");
    let alice = Person { client: open(&town).unwrap(), name: "alice".to_owned() };
    assert_eq!(alice.chats().len(), 1);
}

/// A folder whose key was lost is locked, and stays as it is.
#[tokio::test]
async fn a_key_that_is_gone_locks_and_nothing_is_made_anew() {
    let (town, ..) = a_closed_folder().await;
    let key: &Path = &town.dir.path().join("alice.key");
    let kept = fs::read(key).unwrap();
    fs::remove_file(key).unwrap();
    let refused = open(&town).err().unwrap();
    assert_eq!(refused.code(), "vault.missing");
    assert!(!key.exists(), "no other key was made");
    fs::write(key, kept).unwrap();
    fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    open(&town).unwrap();
}
