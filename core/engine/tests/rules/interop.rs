//! Our groups with members that use another MLS library. Whatever one side makes the other must take, and whatever one
//! refuses the other must have no use for: then we speak RFC 9420 and not a dialect of one library.

use comptoir_content::{AccountId, Body, Content, ConversationId, DeviceId, Hash, Text, Timestamp, Uid};
use comptoir_engine::account::Account;
use comptoir_engine::session::{
    Change, Group, Invitee, Me, Opened, PAST_EPOCHS, SessionError, make_key_package, read_key_package,
};
use mls_rs::client_builder::PaddingMode;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::BasicCredential;

use crate::bakery::*;
use crate::groups::{Phone, certificate, person, phone_with, refused, with};
use crate::peer::{Heard, Manner, Peer};

/// How ours are done: sealed handshakes, and no padding but that of the content.
const OURS: Manner = Manner { always_new_keys: true, padding: PaddingMode::None, sealed: true };

/// A device with our engine.
struct Own {
    phone: Phone,
    group: Option<Group>,
    accounts: Vec<Account>,
    at: (ConversationId, u32),
}

/// A device with either library. Both do the same things in the same words.
enum Device {
    Own(Box<Own>),
    Peer(Box<Peer>),
}

/// What a group is to become.
enum Plan {
    Invite(Vec<(DeviceId, Vec<u8>)>),
    Remove(DeviceId),
    Renew,
}

impl Own {
    fn new(phone: Phone, accounts: &[Account], at: (ConversationId, u32)) -> Self {
        Self { phone, group: None, accounts: accounts.to_vec(), at }
    }

    fn invitees(&self, packets: &[(DeviceId, Vec<u8>)]) -> Result<Vec<Invitee>, SessionError> {
        let read = |(device, packet): &(DeviceId, Vec<u8>)| {
            with(&self.accounts, |roster| read_key_package(&self.phone.provider, packet, *device, roster))
        };
        packets.iter().map(read).collect()
    }

    fn hear(&mut self, sealed: &[u8]) -> Result<Heard, SessionError> {
        let heard = self.try_to_hear(sealed);
        match &heard {
            Ok(Heard::Out) => self.group.take().unwrap().delete(&self.phone.provider).unwrap(),
            Ok(_) => {}
            Err(_) => self.restart(),
        }
        heard
    }

    fn try_to_hear(&mut self, sealed: &[u8]) -> Result<Heard, SessionError> {
        let group = self.group.as_mut().unwrap();
        match with(&self.accounts, |roster| group.open(&self.phone.provider, sealed, roster))? {
            Opened::Message { sender, plaintext } => Ok(Heard::Said { by: sender.device, content: plaintext.to_vec() }),
            Opened::Commit { staged, .. } => {
                group.merge(&self.phone.provider, *staged)?;
                Ok(if group.is_active() { Heard::Moved } else { Heard::Out })
            }
        }
    }

    fn restart(&mut self) {
        let (conversation, generation) = self.at;
        self.group = Group::load(&self.phone.provider, conversation, generation).unwrap();
    }
}

impl Device {
    fn me(&self) -> &Me {
        match self {
            Self::Own(own) => &own.phone.me,
            Self::Peer(peer) => &peer.me,
        }
    }

    fn packet(&self, last_resort: bool) -> (DeviceId, Vec<u8>) {
        let packet = match self {
            Self::Own(own) => make_key_package(&own.phone.provider, &own.phone.me, last_resort).unwrap(),
            Self::Peer(peer) => peer.packet(last_resort),
        };
        (self.me().device, packet)
    }

    fn create(&mut self, (conversation, generation): (ConversationId, u32), packets: &[(DeviceId, Vec<u8>)]) -> Change {
        match self {
            Self::Own(own) => {
                let (invitees, phone) = (own.invitees(packets).unwrap(), &own.phone);
                let (group, change) =
                    Group::create(&phone.provider, &phone.me, conversation, generation, invitees).unwrap();
                (own.group, own.at) = (Some(group), (conversation, generation));
                change
            }
            Self::Peer(peer) => peer.create(conversation, generation, &only_bytes(packets)),
        }
    }

    fn join(&mut self, welcome: &[u8]) {
        match self {
            Self::Own(own) => {
                let find = |id: AccountId| own.accounts.iter().find(|account| account.id == id).cloned();
                let (group, _) = Group::join(&own.phone.provider, &own.phone.me, welcome, &find).unwrap();
                own.at = (group.conversation, group.generation);
                own.group = Some(group);
            }
            Self::Peer(peer) => peer.join(welcome).unwrap(),
        }
    }

    fn stage(&mut self, plan: &Plan) -> Change {
        match self {
            Self::Own(own) => {
                let invitees =
                    if let Plan::Invite(packets) = plan { own.invitees(packets).unwrap() } else { Vec::new() };
                let (phone, group) = (&own.phone, own.group.as_mut().unwrap());
                match plan {
                    Plan::Invite(_) => group.invite(&phone.provider, &phone.me, invitees).unwrap(),
                    Plan::Remove(device) => group.remove(&phone.provider, &phone.me, &[*device]).unwrap(),
                    Plan::Renew => group.renew(&phone.provider, &phone.me).unwrap(),
                }
            }
            Self::Peer(peer) => match plan {
                Plan::Invite(packets) => peer.invite(&only_bytes(packets)).unwrap(),
                Plan::Remove(device) => peer.remove(&[*device]).unwrap(),
                Plan::Renew => peer.renew().unwrap(),
            },
        }
    }

    fn settle(&mut self, accepted: bool) {
        match self {
            Self::Own(own) => {
                let group = own.group.as_mut().unwrap();
                let provider = &own.phone.provider;
                if accepted { group.merge_pending(provider).unwrap() } else { group.forget_pending(provider).unwrap() }
            }
            Self::Peer(peer) => peer.settle(accepted),
        }
    }

    fn say(&mut self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Own(own) => own.group.as_mut().unwrap().seal(&own.phone.provider, &own.phone.me, content).unwrap(),
            Self::Peer(peer) => peer.say(content),
        }
    }

    fn hear(&mut self, sealed: &[u8]) -> Result<Heard, String> {
        match self {
            Self::Own(own) => own.hear(sealed).map_err(|error| error.to_string()),
            Self::Peer(peer) => peer.hear(sealed).map_err(|error| format!("{error:?}")),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Own(own) => own.restart(),
            Self::Peer(peer) => peer.restart(),
        }
    }

    /// The epoch, and who is in it, sorted.
    fn sees(&self) -> Option<(u64, Vec<DeviceId>)> {
        let (epoch, mut devices) = match self {
            Self::Own(own) => {
                let group = own.group.as_ref()?;
                (group.epoch(), group.members().map(|member| member.device).collect::<Vec<_>>())
            }
            Self::Peer(peer) => peer.sees()?,
        };
        devices.sort();
        Some((epoch, devices))
    }
}

fn only_bytes(packets: &[(DeviceId, Vec<u8>)]) -> Vec<Vec<u8>> {
    packets.iter().map(|(_, packet)| packet.clone()).collect()
}

fn text(number: usize, len: usize) -> Vec<u8> {
    let mut uid = [0; 16];
    uid[..8].copy_from_slice(&number.to_be_bytes());
    let body = Text { body: "Bonjour ! ".repeat(len / 10 + 1), ..Text::default() };
    let fallback = "Bonjour !".to_owned();
    let sent_at = Timestamp(NOW.0 + i64::try_from(number).unwrap());
    Content { uid: Uid(uid), sent_at, fallback, basis: None, head: None, body: Body::Text(body) }.encode()
}

/// A chain of devices of two accounts, every other one with the other library.
struct Game {
    dice: u64,
    devices: Vec<Device>,
    /// Whose device is whose.
    owner: Vec<usize>,
    /// Who is in which epoch; the last is now.
    epochs: Vec<Vec<usize>>,
    /// The commit that ended each epoch.
    commits: Vec<Vec<u8>>,
    /// Which epoch a device has come to. None: it is not in the group.
    seats: Vec<Option<usize>>,
    /// What the relay asks of the next commit.
    token_hash: [u8; 32],
    mail: Vec<Mail>,
    said: usize,
    seen: Seen,
}

/// A sealed message on its way to one device.
struct Mail {
    by: usize,
    to: usize,
    epoch: usize,
    sealed: Vec<u8>,
    content: Vec<u8>,
}

/// What a game has shown, so that a game which shows nothing fails.
#[derive(Debug, Default)]
struct Seen {
    opened: usize,
    late: usize,
    too_late: usize,
    early: usize,
    lost: usize,
    twice: usize,
    changed: usize,
    of_the_gone: usize,
    invited: usize,
    removed: usize,
    renewed: usize,
    races: usize,
    restarts: usize,
}

const DEVICES: u8 = 8;

impl Game {
    fn new(seed: u64) -> Self {
        let (alice, hers) = person(10, &[1, 2, 3, 4]);
        let (bob, his) = person(20, &[5, 6, 7, 8]);
        let accounts = [alice, bob];
        let at = (ConversationId::between(accounts[0].id, accounts[1].id), 7);
        let mut phones: Vec<Option<Phone>> = hers.into_iter().chain(his).map(Some).collect();
        let first = usize::try_from(seed % 2).unwrap();
        let device = |(n, phone): (usize, &mut Option<Phone>)| {
            let phone = phone.take().unwrap();
            if n % 2 == first {
                return Device::Own(Box::new(Own::new(phone, &accounts, at)));
            }
            let padding = [PaddingMode::None, PaddingMode::StepFunction, PaddingMode::Padme][n % 3];
            let manner = Manner { always_new_keys: n % 4 < 2, padding, sealed: true };
            Device::Peer(Box::new(Peer::new(phone.me, &accounts, manner)))
        };
        let mut devices: Vec<Device> = phones.iter_mut().enumerate().map(device).collect();
        // The first device opens the conversation with one more of its own and two of the other account.
        let invited = [1, 4, 5];
        let packets: Vec<_> = invited.iter().map(|n| devices[*n].packet(false)).collect();
        let change = devices[0].create(at, &packets);
        for n in invited {
            devices[n].join(change.welcome.as_deref().unwrap());
        }
        let owner = (0..usize::from(DEVICES)).map(|n| n / 4).collect();
        let mut seats = vec![None; usize::from(DEVICES)];
        for n in [0, 1, 4, 5] {
            seats[n] = Some(1);
        }
        Self {
            dice: seed,
            devices,
            owner,
            epochs: vec![vec![0], vec![0, 1, 4, 5]],
            commits: vec![change.commit],
            seats,
            token_hash: change.next_token_hash,
            mail: Vec::new(),
            said: 0,
            seen: Seen::default(),
        }
    }

    /// A number below `end` (splitmix64).
    fn roll(&mut self, end: usize) -> usize {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_of(&mut self, some: &[usize]) -> usize {
        some[self.roll(some.len())]
    }

    fn now(&self) -> usize {
        self.epochs.len() - 1
    }

    fn seated(&self) -> Vec<usize> {
        (0..self.devices.len()).filter(|n| self.seats[*n].is_some()).collect()
    }

    fn round(&mut self) {
        match self.roll(20) {
            0..=3 => self.somebody_speaks(),
            4..=12 => self.mail_arrives(),
            13..=17 => {
                let seated = self.seated();
                let device = self.one_of(&seated);
                self.follows_one(device);
            }
            18 => self.the_group_changes(),
            _ => {
                let seated = self.seated();
                let device = self.one_of(&seated);
                self.devices[device].restart();
                self.seen.restarts += 1;
            }
        }
    }

    /// The relay takes messages of the newest epochs, to everybody who is in them.
    fn somebody_speaks(&mut self) {
        let recent = |seat: &Option<usize>| seat.is_some_and(|epoch| epoch + PAST_EPOCHS >= self.now());
        let able: Vec<usize> = (0..self.devices.len()).filter(|n| recent(&self.seats[*n])).collect();
        let by = self.one_of(&able);
        let epoch = self.seats[by].unwrap();
        let len = [0, 40, 240, 300, 3000][self.roll(5)];
        self.said += 1;
        let content = text(self.said, len);
        let sealed = self.devices[by].say(&content);
        for to in self.epochs[epoch].clone() {
            // Somebody who was removed meanwhile is no longer handed anything.
            if to == by || self.seats[to].is_none() || !self.stayed(to, epoch) {
                continue;
            }
            if self.roll(12) == 0 {
                self.seen.lost += 1;
                continue;
            }
            self.mail.push(Mail { by, to, epoch, sealed: sealed.clone(), content: content.clone() });
        }
    }

    /// In every epoch since.
    fn stayed(&self, device: usize, since: usize) -> bool {
        self.epochs[since..].iter().all(|members| members.contains(&device))
    }

    /// Any message that is on its way, in any order.
    fn mail_arrives(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        let at = self.roll(self.mail.len());
        let (changed, twice) = (self.roll(6) == 0, self.roll(6) == 0);
        let mail = &self.mail[at];
        let (to, here) = (mail.to, self.seats[mail.to].unwrap());
        if mail.epoch > here {
            self.devices[to].hear(&mail.sealed).expect_err("sealed in an epoch that is still to come");
            self.seen.early += 1;
            return;
        }
        let mail = self.mail.swap_remove(at);
        if changed {
            let mut sealed = mail.sealed.clone();
            let place = sealed.len() - 1 - self.roll(64);
            sealed[place] ^= 1 << self.roll(8);
            self.devices[to].hear(&sealed).expect_err("changed on its way");
            self.seen.changed += 1;
        }
        self.opens(&mail, here);
        if twice {
            self.devices[to].hear(&mail.sealed).expect_err("the same message twice");
            self.seen.twice += 1;
        }
    }

    fn opens(&mut self, mail: &Mail, here: usize) {
        let heard = self.devices[mail.to].hear(&mail.sealed);
        if mail.epoch + PAST_EPOCHS < here {
            heard.expect_err("the secrets of that epoch are gone");
            self.seen.too_late += 1;
            return;
        }
        // mls-rs takes nothing from whoever has gone since, however early it was said; ours does.
        let gone = !self.epochs[mail.epoch..=here].iter().all(|members| members.contains(&mail.by));
        if gone && heard.is_err() && matches!(self.devices[mail.to], Device::Peer(_)) {
            self.seen.of_the_gone += 1;
            return;
        }
        match heard {
            Ok(Heard::Said { by, content }) => {
                assert_eq!((by, content), (self.devices[mail.by].me().device, mail.content.clone()));
            }
            other => panic!("from {} in {} to {} in {here}: {other:?}", mail.by, mail.epoch, mail.to),
        }
        self.seen.opened += 1;
        self.seen.late += usize::from(mail.epoch < here);
    }

    /// A device hears of the next change, if there is one.
    fn follows_one(&mut self, device: usize) {
        let here = self.seats[device].unwrap();
        let Some(commit) = self.commits.get(here) else { return };
        let heard = self.devices[device].hear(commit);
        if self.epochs[here + 1].contains(&device) {
            assert!(matches!(heard, Ok(Heard::Moved)), "{device} in {here}: {heard:?}");
            self.seats[device] = Some(here + 1);
            self.agrees(device);
        } else {
            assert!(matches!(heard, Ok(Heard::Out)), "{device} in {here}: {heard:?}");
            self.seats[device] = None;
            self.mail.retain(|mail| mail.to != device);
        }
    }

    fn catches_up(&mut self, device: usize) {
        while self.seats[device].is_some_and(|here| here < self.now()) {
            self.follows_one(device);
        }
    }

    /// A device sees the epoch that it is in as everybody does.
    fn agrees(&self, device: usize) {
        let here = self.seats[device].unwrap();
        let mut expected: Vec<DeviceId> = self.epochs[here].iter().map(|n| self.devices[*n].me().device).collect();
        expected.sort();
        assert_eq!(self.devices[device].sees(), Some((u64::try_from(here).unwrap(), expected)), "{device}");
    }

    /// One or two members change the group at once. The relay takes the first, whose token it knows.
    fn the_group_changes(&mut self) {
        let members = self.epochs[self.now()].clone();
        let first = self.one_of(&members);
        let others: Vec<usize> = members.iter().copied().filter(|n| *n != first).collect();
        let rival = (self.roll(3) == 0).then(|| self.one_of(&others));
        for device in [Some(first), rival].into_iter().flatten() {
            self.catches_up(device);
        }
        let (plan, next) = self.plan(first);
        let change = self.devices[first].stage(&plan);
        assert_eq!(Hash::of(change.token.as_slice()).0, self.token_hash, "the relay knows {first}");
        if let Some(rival) = rival {
            let (plan, _) = self.plan(rival);
            let late = self.devices[rival].stage(&plan);
            assert_eq!(Hash::of(late.token.as_slice()).0, self.token_hash, "the relay knows {rival}");
            self.devices[rival].restart();
            self.devices[rival].settle(false);
            self.seen.races += 1;
        }
        self.devices[first].restart();
        self.devices[first].settle(true);
        let new: Vec<usize> = next.iter().copied().filter(|n| !members.contains(n)).collect();
        self.epochs.push(next);
        self.commits.push(change.commit);
        self.token_hash = change.next_token_hash;
        self.seats[first] = Some(self.now());
        for device in new {
            // It may have been here before, and not have heard yet that it went.
            if self.seats[device].is_some() {
                let before_it_came = self.now() - 1;
                while self.seats[device].is_some_and(|here| here < before_it_came) {
                    self.follows_one(device);
                }
            }
            self.devices[device].join(change.welcome.as_deref().unwrap());
            self.seats[device] = Some(self.now());
            self.agrees(device);
        }
        self.agrees(first);
    }

    /// Something that a member may do: invite one or two, let one of its own account go, or take new keys.
    fn plan(&mut self, by: usize) -> (Plan, Vec<usize>) {
        let mut members = self.epochs[self.now()].clone();
        let out: Vec<usize> = (0..self.devices.len()).filter(|n| !members.contains(n)).collect();
        let own: Vec<usize> =
            members.iter().copied().filter(|n| *n != by && self.owner[*n] == self.owner[by]).collect();
        match self.roll(3) {
            0 if !out.is_empty() => {
                let mut invited = vec![self.one_of(&out)];
                let second = self.one_of(&out);
                if second != invited[0] {
                    invited.push(second);
                }
                let last_resort = self.roll(3) == 0;
                let packets = invited.iter().map(|n| self.devices[*n].packet(last_resort)).collect();
                members.extend(&invited);
                self.seen.invited += invited.len();
                (Plan::Invite(packets), members)
            }
            1 if !own.is_empty() => {
                let gone = self.one_of(&own);
                members.retain(|n| *n != gone);
                self.seen.removed += 1;
                (Plan::Remove(self.devices[gone].me().device), members)
            }
            _ => {
                self.seen.renewed += 1;
                (Plan::Renew, members)
            }
        }
    }

    /// Everybody hears everything, and says one last thing to all.
    fn ends(&mut self) {
        for device in self.seated() {
            self.catches_up(device);
        }
        while !self.mail.is_empty() {
            self.mail_arrives();
        }
        for by in self.seated() {
            let content = text(0, 80);
            let sealed = self.devices[by].say(&content);
            for to in self.seated().into_iter().filter(|to| *to != by) {
                let mail = Mail { by, to, epoch: self.now(), sealed: sealed.clone(), content: content.clone() };
                self.opens(&mail, self.now());
            }
        }
    }
}

/// Both libraries, as creators, members and newcomers, through everything that a group and a network do.
#[test]
fn devices_of_both_libraries_live_in_one_conversation() {
    for seed in 0..4 {
        let mut game = Game::new(seed);
        for _ in 0..300 {
            game.round();
        }
        game.ends();
        let Seen { opened, late, too_late, early, lost, twice, changed, .. } = game.seen;
        let Seen { invited, removed, renewed, races, restarts, .. } = game.seen;
        let messages = [opened, late, too_late, early, lost, twice, changed];
        let changes = [invited, removed, renewed, races, restarts];
        assert!(messages.into_iter().chain(changes).all(|count| count > 0), "seed {seed}: {:?}", game.seen);
    }
}

/// Alice's phone with our engine, and Bob's with the other library.
struct Pair {
    accounts: Vec<Account>,
    hers: Device,
    his: Peer,
    tablet: Phone,
}

/// Who opened the conversation.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Her,
    Him,
}

fn pair(opened: By, manner: Manner) -> Pair {
    let (alice, mut hers) = person(10, &[1, 2]);
    let (bob, mut his) = person(20, &[3]);
    let (tablet, phone) = (hers.pop().unwrap(), hers.pop().unwrap());
    let accounts = vec![alice, bob];
    let at = (ConversationId::between(accounts[0].id, accounts[1].id), 1);
    let mut hers = Device::Own(Box::new(Own::new(phone, &accounts, at)));
    let mut his = Device::Peer(Box::new(Peer::new(his.pop().unwrap().me, &accounts, manner)));
    let (first, second) = if opened == By::Her { (&mut hers, &mut his) } else { (&mut his, &mut hers) };
    let change = first.create(at, &[second.packet(false)]);
    second.join(change.welcome.as_deref().unwrap());
    let Device::Peer(his) = his else { unreachable!("made above") };
    Pair { accounts, hers, his: *his, tablet }
}

impl Pair {
    /// What she makes of it.
    fn hears(&mut self, sealed: &[u8]) -> Result<Heard, SessionError> {
        let Device::Own(own) = &mut self.hers else { unreachable!("made so") };
        own.hear(sealed)
    }
}

fn unreadable<T: std::fmt::Debug>(result: Result<T, SessionError>) -> String {
    match result {
        Err(SessionError::Unreadable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_last_resort_of_the_other_library_invites_as_often_as_it_has_to() {
    let mut s = pair(By::Her, OURS);
    let (conversation, packet) = (ConversationId::between(s.accounts[0].id, s.accounts[1].id), s.his.packet(true));
    let her_packet = s.hers.packet(true);
    let mut his = Device::Peer(Box::new(s.his));
    for generation in [2, 3] {
        let change = s.hers.create((conversation, generation), &[(his.me().device, packet.clone())]);
        his.join(change.welcome.as_deref().unwrap());
        assert!(matches!(his.hear(&s.hers.say(b"Bonjour")), Ok(Heard::Said { content, .. }) if content == b"Bonjour"));
        let change = his.create((conversation, generation + 10), std::slice::from_ref(&her_packet));
        s.hers.join(change.welcome.as_deref().unwrap());
        assert!(matches!(s.hers.hear(&his.say(b"Salut")), Ok(Heard::Said { content, .. }) if content == b"Salut"));
    }
}

/// Both sides pad a content to the same length, so that nobody can tell by it who uses which.
#[test]
fn a_content_has_one_length_with_both_libraries() {
    let mut s = pair(By::Her, OURS);
    for len in [0, 3, 252, 253, 700, 5000] {
        let content = vec![7; len];
        assert_eq!(s.hers.say(&content).len(), s.his.say(&content).len(), "{len}");
    }
}

#[test]
fn a_stranger_with_the_other_library_is_refused_like_any_other() {
    let s = pair(By::Her, OURS);
    let (mallory, mut strangers) = person(30, &[7]);
    let Device::Own(own) = &s.hers else { unreachable!("made so") };
    let asks = |me: Me, accounts: &[Account], device: DeviceId| {
        let packet = Peer::new(me, accounts, OURS).packet(false);
        refused(own.invitees(&[(device, packet)]).map(drop))
    };
    let stranger = strangers.pop().unwrap().me;
    let hers = std::slice::from_ref(&mallory);
    assert_eq!(asks(stranger.clone(), hers, stranger.device), "its account is not part of this conversation");
    let tablet = &s.tablet.me;
    assert_eq!(
        asks(tablet.clone(), &s.accounts, own.phone.me.device),
        "the relay gave the key package of another device"
    );
    let thief = phone_with(&certificate(s.accounts[0].id, 2, 2), tablet.certificate.clone(), 77);
    assert_eq!(asks(thief.me, &s.accounts, tablet.device), "its leaf has another key than its certificate");
    // Ours, taken over, lets the stranger in: the other library's customs say the same.
    let mut s = pair(By::Him, OURS);
    let all = [s.accounts.clone(), vec![mallory]].concat();
    let Device::Own(own) = &mut s.hers else { unreachable!("made so") };
    own.accounts.clone_from(&all);
    let packet = Peer::new(stranger.clone(), &all, OURS).packet(false);
    let change = s.hers.stage(&Plan::Invite(vec![(stranger.device, packet)]));
    let heard = s.his.hear(&change.commit);
    assert!(format!("{heard:?}").contains("its account is not part of this conversation"), "{heard:?}");
    assert_eq!(s.his.sees().unwrap().0, 1, "nothing moved");
}

/// A member that does what our clients cannot even say. Nothing of it moves her group.
#[test]
fn a_member_who_uses_more_of_mls_than_we_do_is_refused() {
    let open = |opened| pair(opened, OURS);
    let stays = |mut s: Pair| {
        assert_eq!(s.hers.sees().unwrap().0, 1, "nothing moved");
        let said = s.hers.say(b"still here");
        assert!(matches!(s.his.hear(&said), Ok(Heard::Said { .. })));
    };

    // In the open.
    let mut s = pair(By::Her, Manner { sealed: false, ..OURS });
    let commit = s.his.renew().unwrap().commit;
    assert!(unreadable(s.hears(&commit)).contains("IncompatibleWireFormat"));
    s.his.settle(false);
    stays(s);

    // Without our padding.
    let mut s = open(By::Him);
    let bare = s.his.group().encrypt_application_message(b"bare", Vec::new()).unwrap().to_bytes().unwrap();
    assert_eq!(unreadable(s.hears(&bare)), "padding");
    stays(s);

    // A proposal by itself.
    let mut s = open(By::Her);
    let proposal = s.his.group().propose_update(Vec::new()).unwrap().to_bytes().unwrap();
    assert_eq!(unreadable(s.hears(&proposal)), "a proposal by itself");
    s.his.group().clear_proposal_cache();
    stays(s);

    // Another protocol for the whole group.
    let mut s = open(By::Him);
    let builder = s.his.group().commit_builder();
    let suite = mls_rs::CipherSuite::CURVE25519_AES128;
    let version = mls_rs::ProtocolVersion::MLS_10;
    let none = mls_rs::ExtensionList::new();
    let commit = builder.reinit(None, version, suite, none).unwrap().build().unwrap();
    let commit = commit.commit_message().to_bytes().unwrap();
    assert_eq!(refused(s.hears(&commit)), "a commit that does more than add and remove");
    s.his.settle(false);
    stays(s);

    // The other account's device, which nobody revoked.
    let mut s = open(By::Her);
    let hers = s.hers.me().device;
    let commit = s.his.remove(&[hers]).unwrap().commit;
    assert_eq!(refused(s.hears(&commit)), "it removes a device of the other account");
    s.his.settle(false);
    stays(s);
}

/// Bob's second phone, stolen with its key, takes the place of the first: also a valid credential of the same account is not
/// the same device.
#[test]
fn a_leaf_of_the_other_library_stays_the_same_device() {
    let (alice, mut hers) = person(10, &[1]);
    let (bob, mut his) = person(20, &[3, 4]);
    let accounts = [alice, bob];
    let at = (ConversationId::between(accounts[0].id, accounts[1].id), 1);
    let (stolen, phone) = (his.pop().unwrap().me, his.pop().unwrap().me);
    let mut hers = Device::Own(Box::new(Own::new(hers.pop().unwrap(), &accounts, at)));
    let mut liar = Peer::who_takes_any_successor(phone, &accounts, OURS);
    let (_, packet) = hers.packet(false);
    let welcome = liar.create(at.0, at.1, &[packet]).welcome;
    hers.join(welcome.as_deref().unwrap());
    let public = stolen.key.public().0;
    let credential = BasicCredential::new(stolen.certificate.encode()).into_credential();
    let identity = SigningIdentity::new(credential, public.to_vec().into());
    let secret = [&stolen.key.to_seed()[..], &public].concat();
    let commit = liar.group().commit_builder().set_new_signing_identity(secret.into(), identity).build().unwrap();
    let commit = commit.commit_message().to_bytes().unwrap();
    let Device::Own(own) = &mut hers else { unreachable!("made above") };
    assert_eq!(refused(own.hear(&commit)), "a leaf became another device");
    assert_eq!(hers.sees().unwrap().0, 1, "nothing moved");
}
