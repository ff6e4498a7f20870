//! Groups of devices: who gets in, who is kept out, and that nobody outside reads or moves anything.

use comptoir_content::{
    AccountId, AccountKind, AccountLog, ConversationId, DeviceCertificate, DeviceId, DeviceRole, Genesis, Hash, Signed,
    Statement,
};
use comptoir_engine::account::Account;
use comptoir_engine::session::{
    Change, Group, Invitee, Me, Opened, Roster, SessionError, make_key_package, read_key_package,
};
use openmls_rust_crypto::OpenMlsRustCrypto;

use crate::bakery::*;

/// A device with its own key store, and what its account says of itself.
pub(crate) struct Phone {
    pub(crate) me: Me,
    pub(crate) provider: OpenMlsRustCrypto,
}

/// An account and its devices; the account key is `n`, the key of device `d` is `d`.
pub(crate) fn person(n: u8, devices: &[u8]) -> (Account, Vec<Phone>) {
    let genesis = Genesis {
        kind: AccountKind::Person,
        account_key: key(n).public(),
        recovery_hash: key(99).public().hash(),
        nonce: [n; 16],
    };
    let mut account = Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap();
    let phones = devices.iter().map(|device| phone(&mut account, n, *device)).collect();
    (account, phones)
}

/// Adds a device to an account.
fn phone(account: &mut Account, n: u8, device: u8) -> Phone {
    let certificate = certificate(account.id, device, device);
    let signed = Signed::sign(&certificate, &key(n));
    account.append(&account.next_link(Statement::DeviceAdded(signed.clone()), &key(n), NOW)).unwrap();
    phone_with(&certificate, signed, device)
}

pub(crate) fn certificate(account: AccountId, device: u8, certified: u8) -> DeviceCertificate {
    DeviceCertificate {
        account,
        device: DeviceId([device; 16]),
        key: key(certified).public(),
        role: DeviceRole::Person,
        created_at: NOW,
        expires_at: NOW.plus_ms(DAY_MS),
    }
}

pub(crate) fn phone_with(certificate: &DeviceCertificate, signed: Signed<DeviceCertificate>, n: u8) -> Phone {
    let me = Me { certificate: signed, device: certificate.device, account: certificate.account, key: key(n) };
    Phone { me, provider: OpenMlsRustCrypto::default() }
}

impl Phone {
    fn packet(&self) -> Vec<u8> {
        make_key_package(&self.provider, &self.me, false).unwrap()
    }

    /// What `reader` makes of this device's key package.
    fn invitee(&self, reader: &Self, accounts: &[Account]) -> Result<Invitee, SessionError> {
        with(accounts, |roster| read_key_package(&reader.provider, &self.packet(), self.me.device, roster))
    }

    fn joins(&self, change: &Change, accounts: &[Account]) -> Result<Group, SessionError> {
        let find = |id| accounts.iter().find(|account| account.id == id).cloned();
        Group::join(&self.provider, &self.me, change.welcome.as_deref().unwrap(), &find).map(|(group, _)| group)
    }

    fn hears(&self, group: &mut Group, sealed: &[u8], accounts: &[Account]) -> Result<Opened, SessionError> {
        with(accounts, |roster| group.open(&self.provider, sealed, roster))
    }

    /// Takes over a commit of somebody else.
    fn follows(&self, group: &mut Group, change: &Change, accounts: &[Account]) {
        match self.hears(group, &change.commit, accounts) {
            Ok(Opened::Commit { staged, .. }) => group.merge(&self.provider, *staged).unwrap(),
            other => panic!("no commit: {:?}", other.err()),
        }
    }
}

pub(crate) fn with<T>(accounts: &[Account], ask: impl FnOnce(&Roster<'_>) -> T) -> T {
    let allowed: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let find = |id| accounts.iter().find(|account| account.id == id).cloned();
    ask(&Roster { allowed: &allowed, find: &find })
}

pub(crate) fn refused<T>(result: Result<T, SessionError>) -> &'static str {
    match result {
        Err(SessionError::Member { why }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}

/// Alice's phone and tablet, Bob's phone: the phones in a group, the tablet not yet.
struct Scene {
    accounts: [Account; 2],
    alice: Phone,
    tablet: Phone,
    bob: Phone,
    hers: Group,
    his: Group,
}

fn scene() -> Scene {
    let (alice_account, mut hers) = person(10, &[1, 2]);
    let (bob_account, mut his) = person(20, &[3]);
    let (tablet, alice, bob) = (hers.pop().unwrap(), hers.pop().unwrap(), his.pop().unwrap());
    let accounts = [alice_account, bob_account];
    let conversation = ConversationId::between(accounts[0].id, accounts[1].id);
    let invitees = vec![bob.invitee(&alice, &accounts).unwrap()];
    let (group, change) = Group::create(&alice.provider, &alice.me, conversation, 4, invitees).unwrap();
    let joined = bob.joins(&change, &accounts).unwrap();
    Scene { accounts, alice, tablet, bob, hers: group, his: joined }
}

/// The key package that a relay gives when it has no other: it is taken, and it invites more than once.
#[test]
fn a_last_resort_invites_as_often_as_it_has_to() {
    let s = scene();
    let last_resort = make_key_package(&s.bob.provider, &s.bob.me, true).unwrap();
    let conversation = ConversationId::between(s.accounts[0].id, s.accounts[1].id);
    for generation in [5, 6] {
        let read = |roster: &Roster<'_>| read_key_package(&s.alice.provider, &last_resort, s.bob.me.device, roster);
        let invitee = with(&s.accounts, read).unwrap();
        let (mut hers, change) =
            Group::create(&s.alice.provider, &s.alice.me, conversation, generation, vec![invitee]).unwrap();
        let mut his = s.bob.joins(&change, &s.accounts).unwrap();
        let sealed = hers.seal(&s.alice.provider, &s.alice.me, b"Bonjour").unwrap();
        let Ok(Opened::Message { plaintext, .. }) = s.bob.hears(&mut his, &sealed, &s.accounts) else { panic!() };
        assert_eq!(plaintext.as_slice(), b"Bonjour");
    }
}

#[test]
fn what_is_sealed_is_opened_by_members_and_shows_no_length() {
    let mut s = scene();
    assert_eq!((s.hers.epoch(), s.his.epoch(), s.his.generation), (1, 1, 4));
    let devices = |group: &Group| group.members().map(|member| member.device.0[0]).collect::<Vec<_>>();
    assert_eq!((devices(&s.hers), devices(&s.his)), (vec![1, 3], vec![1, 3]));
    let yes = s.hers.seal(&s.alice.provider, &s.alice.me, b"yes").unwrap();
    let no = s.hers.seal(&s.alice.provider, &s.alice.me, b"no, thank you").unwrap();
    assert_eq!(yes.len(), no.len());
    let Ok(Opened::Message { sender, plaintext }) = s.bob.hears(&mut s.his, &yes, &s.accounts) else { panic!() };
    assert_eq!(
        (sender.account, sender.device, plaintext.as_slice()),
        (s.accounts[0].id, s.alice.me.device, &b"yes"[..])
    );
    assert!(matches!(s.alice.hears(&mut s.hers, &yes, &s.accounts), Err(SessionError::Own)));
    assert!(matches!(s.bob.hears(&mut s.his, b"garbage", &s.accounts), Err(SessionError::Unreadable { .. })));
    let mut flipped = no.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(s.bob.hears(&mut s.his, &flipped, &s.accounts), Err(SessionError::Unreadable { .. })));
}

#[test]
fn a_group_is_there_again_after_a_restart_and_gone_when_deleted() {
    let s = scene();
    let (conversation, epoch) = (s.hers.conversation, s.hers.epoch());
    drop(s.hers);
    let again = Group::load(&s.alice.provider, conversation, 4).unwrap().unwrap();
    assert_eq!(
        (again.epoch(), again.generation, again.conversation, again.is_active()),
        (epoch, 4, conversation, true)
    );
    assert!(Group::load(&s.alice.provider, conversation, 5).unwrap().is_none());
    again.delete(&s.alice.provider).unwrap();
    assert!(Group::load(&s.alice.provider, conversation, 4).unwrap().is_none());
}

#[test]
fn a_device_is_invited_and_reads_from_then_on() {
    let mut s = scene();
    let early = s.hers.seal(&s.alice.provider, &s.alice.me, b"before").unwrap();
    let invitees = vec![s.tablet.invitee(&s.alice, &s.accounts).unwrap()];
    let change = s.hers.invite(&s.alice.provider, &s.alice.me, invitees).unwrap();
    assert_eq!(s.hers.epoch(), 1, "not before the relay has ordered it");
    let ahead = {
        s.hers.merge_pending(&s.alice.provider).unwrap();
        s.hers.seal(&s.alice.provider, &s.alice.me, b"after").unwrap()
    };
    assert_eq!(s.hers.epoch(), 2);
    // Bob hears what was said after before he hears of the change: it waits.
    assert!(matches!(s.bob.hears(&mut s.his, &ahead, &s.accounts), Err(SessionError::Early)));
    s.bob.follows(&mut s.his, &change, &s.accounts);
    assert!(matches!(s.bob.hears(&mut s.his, &ahead, &s.accounts), Ok(Opened::Message { .. })));
    assert!(matches!(s.bob.hears(&mut s.his, &early, &s.accounts), Ok(Opened::Message { .. })), "an epoch back");
    let mut third = s.tablet.joins(&change, &s.accounts).unwrap();
    assert_eq!(third.members().count(), 3);
    let reply = s.his.seal(&s.bob.provider, &s.bob.me, b"welcome").unwrap();
    assert!(matches!(s.tablet.hears(&mut third, &reply, &s.accounts), Ok(Opened::Message { .. })));
    // The relay is shown a secret of the epoch before, and told what to ask for next.
    let next = third.remove(&s.tablet.provider, &s.tablet.me, &[s.bob.me.device]).unwrap();
    assert_eq!(Hash::of(next.token.as_slice()).0, change.next_token_hash);
    assert_ne!(next.token.as_slice(), change.token.as_slice());
}

#[test]
fn a_change_that_was_not_ordered_is_forgotten() {
    let mut s = scene();
    let invitees = vec![s.tablet.invitee(&s.alice, &s.accounts).unwrap()];
    s.hers.invite(&s.alice.provider, &s.alice.me, invitees).unwrap();
    s.hers.forget_pending(&s.alice.provider).unwrap();
    let sealed = s.hers.seal(&s.alice.provider, &s.alice.me, b"still here").unwrap();
    assert!(matches!(s.bob.hears(&mut s.his, &sealed, &s.accounts), Ok(Opened::Message { .. })));
    assert_eq!((s.hers.epoch(), s.hers.members().count()), (1, 2));
}

#[test]
fn the_echo_of_our_own_change_moves_nothing() {
    let mut s = scene();
    let invitees = vec![s.tablet.invitee(&s.alice, &s.accounts).unwrap()];
    let change = s.hers.invite(&s.alice.provider, &s.alice.me, invitees).unwrap();
    let heard = s.alice.hears(&mut s.hers, &change.commit, &s.accounts);
    assert!(matches!(heard, Err(SessionError::Own)));
    assert_eq!(s.hers.epoch(), 1, "the relay's answer is what moves it");
}

#[test]
fn only_a_device_on_the_log_of_a_member_account_is_invited() {
    let s = scene();
    let (stranger_account, strangers) = person(30, &[7]);
    let all = [s.accounts[0].clone(), s.accounts[1].clone(), stranger_account];
    assert_eq!(refused(strangers[0].invitee(&s.alice, &s.accounts)), "its account is not part of this conversation");
    assert!(strangers[0].invitee(&s.alice, &all).is_ok(), "where it belongs");
    // The relay gives the key package of another device than was asked for.
    let swapped =
        with(&s.accounts, |roster| read_key_package(&s.alice.provider, &s.tablet.packet(), s.bob.me.device, roster));
    assert_eq!(refused(swapped), "the relay gave the key package of another device");
    // A leaf with a key that is not the one in its certificate.
    let signed = s.tablet.me.certificate.clone();
    let thief = phone_with(&certificate(s.accounts[0].id, 2, 2), signed, 77);
    assert_eq!(refused(thief.invitee(&s.alice, &s.accounts)), "its leaf has another key than its certificate");
    // A certificate that the account key never signed, and one of a device that the log has under another.
    let forged = certificate(s.accounts[0].id, 8, 8);
    let by_itself = phone_with(&forged, Signed::sign(&forged, &key(8)), 8);
    assert!(matches!(by_itself.invitee(&s.alice, &s.accounts), Err(SessionError::UnknownAccount(_))));
    let again = certificate(s.accounts[0].id, 2, 9);
    let replaced = phone_with(&again, Signed::sign(&again, &key(10)), 9);
    let why = "its device was revoked or its certificate replaced";
    assert_eq!(refused(replaced.invitee(&s.alice, &s.accounts)), why);
    let mut revoked = s.accounts.clone();
    let statement = Statement::DeviceRevoked { device: s.tablet.me.device };
    revoked[0].append(&revoked[0].next_link(statement, &key(10), NOW)).unwrap();
    assert_eq!(refused(s.tablet.invitee(&s.alice, &revoked)), why);
    assert!(with(&s.accounts, |roster| read_key_package(&s.alice.provider, b"x", s.bob.me.device, roster)).is_err());
}

#[test]
fn an_invitation_is_into_the_conversation_of_two_accounts_and_nothing_else() {
    let s = scene();
    let conversation = ConversationId::between(s.accounts[0].id, s.accounts[1].id);
    let (carol_account, carols) = person(30, &[7]);
    let all = [s.accounts[0].clone(), s.accounts[1].clone(), carol_account.clone()];
    let generation = std::cell::Cell::new(9);
    let open = |conversation, invited: &[&Phone]| {
        generation.set(generation.get() + 1);
        let invitees = invited.iter().map(|phone| phone.invitee(&s.alice, &all).unwrap()).collect();
        Group::create(&s.alice.provider, &s.alice.me, conversation, generation.get(), invitees).unwrap().1
    };
    let ghost = open(conversation, &[&s.bob, &carols[0]]);
    assert_eq!(refused(s.bob.joins(&ghost, &all)), "a conversation is of two accounts");
    let other = ConversationId::between(s.accounts[0].id, carol_account.id);
    let elsewhere = open(other, &[&s.bob]);
    assert_eq!(refused(s.bob.joins(&elsewhere, &all)), "the conversation is of other accounts");
    let alone = open(other, &[&s.tablet]);
    assert_eq!(refused(s.tablet.joins(&alone, &all)), "a conversation is of two accounts");
    // Alice's log is not here yet: it is fetched, and the same invitation opens then.
    let good = open(ConversationId::between(s.accounts[0].id, carol_account.id), &[&carols[0]]);
    let missing = carols[0].joins(&good, std::slice::from_ref(&carol_account));
    assert!(matches!(missing, Err(SessionError::UnknownAccount(id)) if id == s.accounts[0].id));
    assert!(s.bob.joins(&Change { welcome: Some(vec![1, 2, 3]), ..ghost }, &all).is_err());
}

#[test]
fn a_commit_removes_own_devices_and_revoked_ones_only() {
    let mut s = scene();
    // Bob removes Alice's phone, which nobody revoked.
    let hostile = s.his.remove(&s.bob.provider, &s.bob.me, &[s.alice.me.device]).unwrap();
    let heard = s.alice.hears(&mut s.hers, &hostile.commit, &s.accounts).map(drop);
    assert_eq!(refused(heard), "it removes a device of the other account");

    // Once it was revoked, he may; and she is out.
    let mut s = scene();
    let change = s.his.remove(&s.bob.provider, &s.bob.me, &[s.alice.me.device]).unwrap();
    let mut revoked = s.accounts.clone();
    let statement = Statement::DeviceRevoked { device: s.alice.me.device };
    revoked[0].append(&revoked[0].next_link(statement, &key(10), NOW)).unwrap();
    s.alice.follows(&mut s.hers, &change, &revoked);
    assert!(!s.hers.is_active());

    // One's own devices may always go.
    let mut s = scene();
    let invitees = vec![s.tablet.invitee(&s.alice, &s.accounts).unwrap()];
    let change = s.hers.invite(&s.alice.provider, &s.alice.me, invitees).unwrap();
    s.hers.merge_pending(&s.alice.provider).unwrap();
    s.bob.follows(&mut s.his, &change, &s.accounts);
    let change = s.hers.remove(&s.alice.provider, &s.alice.me, &[s.tablet.me.device]).unwrap();
    s.bob.follows(&mut s.his, &change, &s.accounts);
    assert_eq!(s.his.members().count(), 2);
}

#[test]
fn a_commit_brings_in_nobody_from_outside() {
    let mut s = scene();
    let (mallory_account, mallorys) = person(30, &[7]);
    let all = [s.accounts[0].clone(), s.accounts[1].clone(), mallory_account];
    // Bob's phone, taken over, lets a stranger in. Alice's roster has two accounts.
    let ghost = mallorys[0].invitee(&s.bob, &all).unwrap();
    let change = s.his.invite(&s.bob.provider, &s.bob.me, vec![ghost]).unwrap();
    let heard = s.alice.hears(&mut s.hers, &change.commit, &s.accounts).map(drop);
    assert_eq!(refused(heard), "its account is not part of this conversation");
    assert_eq!(s.hers.epoch(), 1, "nothing moved");
}

#[test]
fn what_belongs_to_another_group_opens_nowhere_else() {
    let mut s = scene();
    let conversation = s.hers.conversation;
    let invitees = vec![s.bob.invitee(&s.alice, &s.accounts).unwrap()];
    let (mut next, _) = Group::create(&s.alice.provider, &s.alice.me, conversation, 5, invitees).unwrap();
    let sealed = next.seal(&s.alice.provider, &s.alice.me, b"in the fifth generation").unwrap();
    assert!(matches!(s.bob.hears(&mut s.his, &sealed, &s.accounts), Err(SessionError::Unreadable { .. })));
}
