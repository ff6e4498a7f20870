//! Turns about this device's own account: creating it, being known to the relay, linking a sibling device.

use comptoir_content::{
    AccountKind, AccountLog, DeviceCertificate, DeviceId, DeviceRequest, DeviceRole, Genesis, Signed, SigningKey,
    Statement, TillCertificate, Timestamp,
};
use comptoir_engine::Refused;
use comptoir_engine::account::Account;
use comptoir_engine::linking::{self, REQUEST_LIFE_MS};
use comptoir_engine::session::make_key_package;
use comptoir_sqlcipher::rusqlite::params;
use comptoir_wire as wire;
use zeroize::Zeroizing;

use super::contacts::Wanted;
use crate::error::TurnError;
use crate::store::{Effect, Notice, Question, Tx};

/// A device certificate holds for three years.
const CERTIFICATE_LIFE_MS: i64 = 3 * 365 * 24 * 3_600_000;
/// Key packages that the relay should hold for us, and when to refill.
pub(crate) const KEY_PACKAGES_WANTED: u32 = 50;
pub(crate) const KEY_PACKAGES_FEW: u32 = 20;
/// Key packages are replaced after this long, well before they expire: 30 days, in milliseconds.
const KEY_PACKAGES_RENEWED_MS: i64 = 30 * 24 * 3_600_000;

/// What a new account is made with.
pub(crate) struct NewAccount<'a> {
    pub(crate) kind: AccountKind,
    pub(crate) role: DeviceRole,
    pub(crate) relay: &'a str,
    /// Till certificates to put into the log from the start.
    pub(crate) tills: &'a [TillCertificate],
    /// Keep the account key and the recovery key in this database. A till does not.
    pub(crate) keep_account_key: bool,
}

/// The owner's keys of a new account.
pub(crate) struct OwnerKeys {
    pub(crate) account_key: SigningKey,
    pub(crate) recovery_key: SigningKey,
}

pub(crate) fn create_account(tx: &mut Tx<'_>, new: &NewAccount<'_>) -> Result<(Account, OwnerKeys), TurnError> {
    if tx.me_row()?.is_some() {
        return Err(Refused::AccountThere.into());
    }
    let (account_key, recovery_key, device_key) = (tx.random.key(), tx.random.key(), tx.random.key());
    let genesis = Genesis {
        kind: new.kind,
        account_key: account_key.public(),
        recovery_hash: recovery_key.public().hash(),
        nonce: tx.random.bytes(),
    };
    let mut account = Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() })?;
    let device = DeviceId(tx.new_id());
    let certificate = DeviceCertificate {
        account: account.id,
        device,
        key: device_key.public(),
        role: new.role,
        created_at: tx.now,
        expires_at: tx.now.plus_ms(CERTIFICATE_LIFE_MS),
    };
    let certificate = Signed::sign(&certificate, &account_key);
    let link = account.next_link(Statement::DeviceAdded(certificate.clone()), &account_key, tx.now);
    account.append(&link)?;
    for till in new.tills {
        let link = account.next_link(Statement::TillCertified(till.clone()), &account_key, tx.now);
        account.append(&link)?;
    }
    let kept = |key: &SigningKey| new.keep_account_key.then(|| *key.to_seed());
    insert_me(tx, &account, device, &device_key, &certificate, new.relay, kept(&account_key), kept(&recovery_key))?;
    Ok((account, OwnerKeys { account_key, recovery_key }))
}

#[allow(clippy::too_many_arguments, reason = "one row, written in two places")]
fn insert_me(
    tx: &mut Tx<'_>,
    account: &Account,
    device: DeviceId,
    device_key: &SigningKey,
    certificate: &Signed<DeviceCertificate>,
    relay: &str,
    account_seed: Option<[u8; 32]>,
    recovery_seed: Option<[u8; 32]>,
) -> Result<(), TurnError> {
    tx.sql.execute(
        "INSERT INTO me (one, account, device, device_seed, account_seed, recovery_seed, certificate, relay, created_at)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            account.id.0,
            device.0,
            *device_key.to_seed(),
            account_seed,
            recovery_seed,
            certificate.encode(),
            relay,
            tx.now.0
        ],
    )?;
    tx.insert_account(account.id, account.kind, relay)?;
    tx.save_log(account)?;
    tx.effect(Effect::Notify(Notice::Chats));
    Ok(())
}

/// How this device presents itself to the relay.
pub(crate) struct Login {
    pub(crate) device: wire::DeviceId,
    pub(crate) key: SigningKey,
    pub(crate) relay: String,
    /// The account, as long as the relay may not know it.
    pub(crate) new_account: Option<wire::NewAccount>,
}

pub(crate) fn login(tx: &mut Tx<'_>) -> Result<Option<Login>, TurnError> {
    let Some(me) = tx.me_row()? else {
        return Ok(None);
    };
    let account = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    let new_account = (!me.registered).then(|| wire::NewAccount {
        genesis: account.log().genesis.clone(),
        log_key: first_key(&account),
        recovery_hash: recovery_hash(&account),
        entries: account
            .log()
            .links
            .iter()
            .map(|link| wire::SignedEntry {
                entry: link.entry.clone(),
                signature: link.signature,
                signer: link.signer.0,
                next_key: None,
            })
            .collect(),
        device: wire::DeviceId(me.device.0),
        device_key: me.device_key.public().0,
    });
    Ok(Some(Login { device: wire::DeviceId(me.device.0), key: me.device_key, relay: me.relay, new_account }))
}

fn genesis_of(account: &Account) -> Genesis {
    Genesis::decode(&account.log().genesis).expect("an account is read from a genesis record that decodes")
}

fn first_key(account: &Account) -> [u8; 32] {
    genesis_of(account).account_key.0
}

fn recovery_hash(account: &Account) -> [u8; 32] {
    genesis_of(account).recovery_hash.0
}

/// The relay opened our mailbox. Whatever waited for it goes out now.
pub(crate) fn connected(tx: &mut Tx<'_>, welcome: &wire::Welcome) -> Result<(), TurnError> {
    let me = tx.me_row()?.ok_or(TurnError::NotFound { what: "account" })?;
    tx.sql.execute("UPDATE me SET registered = 1", [])?;
    let incarnation = tx.kv("relay.incarnation")?;
    let seq = tx.kv_u64("relay.seq")?;
    let other_life = incarnation.as_deref() != Some(&welcome.incarnation.0[..]);
    // The relay has left behind what this disk never saw, or has taken what this disk never said. Either the disk is an older
    // copy: its ratchets have been used, and whatever is said with them again cannot be read. Or it was away for longer than
    // mail is kept, commits among it. In both cases all conversations begin another generation.
    let is_behind = !other_life && welcome.acked_seq > seq;
    let is_older = is_behind || !has_said(tx, welcome.last_uid)?;
    if is_older {
        tracing::warn!("the relay knows more than this store; its conversations begin anew");
        super::members::begin_anew(tx)?;
        tx.set_kv_u64("key_packages.lost", 1)?;
        // Once is enough: the same last word would tell it again at the next welcome.
        if let Some(uid) = welcome.last_uid {
            tx.sql.prepare_cached("INSERT INTO said (uid) VALUES (?1)")?.execute([uid.0])?;
        }
    }
    // Another life of the relay's database, or an older one of the same: its numbers are not the ones we counted. And what
    // it forgot before this device came back is not waited for.
    let other_numbers = other_life || welcome.head_seq < seq || welcome.acked_seq > seq;
    if other_numbers {
        tx.set_kv("relay.incarnation", &welcome.incarnation.0)?;
        tx.set_kv_u64("relay.seq", welcome.acked_seq)?;
    }
    if other_life && incarnation.is_some() {
        super::members::begin_anew_when_spoken_in(tx)?;
    }
    if other_life && incarnation.is_some() && welcome.lost_since_ms > 0 {
        let by_relay = |ms: u64| Timestamp(i64::try_from(ms).unwrap_or(i64::MAX));
        super::resend::lost_since(tx, by_relay(welcome.lost_since_ms), by_relay(welcome.server_time_ms))?;
    }
    super::push::connected(tx, welcome, other_numbers)?;
    super::gates::connected(tx, other_numbers)?;
    let are_lost = tx.kv_u64("key_packages.lost")? > 0;
    if other_life || are_lost || welcome.key_packages_left < KEY_PACKAGES_FEW || are_key_packages_old(tx)? {
        tx.effect(Effect::Ask(Question::KeyPackages));
    }
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    tx.effect(Effect::Ask(Question::Log { account: me.account, from: own.head.len }));
    if me.account_key.is_some() {
        // A sibling that was linked while the relay was away has no mailbox yet; to have one already is fine.
        for sibling in own.active_devices().filter(|device| device.device != me.device) {
            tx.effect(Effect::Ask(Question::AddDevice { device: sibling.device, key: sibling.key.0 }));
        }
    }
    super::contacts::ask_for_logs(tx, Wanted::All)?;
    super::members::catch_up(tx)?;
    super::members::begin_all(tx)?;
    tx.effect(Effect::Flush);
    Ok(())
}

/// True when this store knows that it said this. What is on its way is in the outbox, what was answered lately is remembered.
fn has_said(tx: &Tx<'_>, uid: Option<wire::Uid>) -> Result<bool, TurnError> {
    let Some(uid) = uid else {
        return Ok(true);
    };
    Ok(tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE uid = ?1) OR EXISTS (SELECT 1 FROM said WHERE uid = ?1)",
        )?
        .query_row([uid.0], |row| row.get(0))?)
}

/// True when the key packages at the relay were made so long ago that others should be there before they expire.
fn are_key_packages_old(tx: &Tx<'_>) -> Result<bool, TurnError> {
    let made_at = i64::try_from(tx.kv_u64("key_packages.made_at")?).unwrap_or(0);
    Ok(tx.now.since_ms(Timestamp(made_at)) >= KEY_PACKAGES_RENEWED_MS)
}

/// Makes key packages for the relay to hand out while this device is away, the last resort among them. The relay keeps
/// the newest. An older copy has no keys for those that were given to it since: it gives so many that none of them is kept. So does
/// who gives some because the last ones are old: the copy may be older than it knows.
pub(crate) fn key_packages(tx: &mut Tx<'_>) -> Result<wire::Request, TurnError> {
    let me = tx.me()?;
    let are_renewed = tx.kv("key_packages.made_at")?.is_some() && are_key_packages_old(tx)?;
    let are_lost = tx.kv_u64("key_packages.lost")? > 0 || are_renewed;
    let count = if are_lost { wire::limits::KEY_PACKAGES_MAX } else { KEY_PACKAGES_WANTED as usize };
    let packages = (0..count).map(|_| make_key_package(&tx.mls, &me, false)).collect::<Result<Vec<_>, _>>()?;
    let last_resort = Some(make_key_package(&tx.mls, &me, true)?);
    Ok(wire::Request::PublishKeyPackages { packages, last_resort })
}

/// The relay has them.
pub(crate) fn key_packages_published(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    tx.set_kv_u64("key_packages.used", 0)?;
    tx.set_kv_u64("key_packages.lost", 0)?;
    tx.set_kv_u64("key_packages.made_at", u64::try_from(tx.now.0).unwrap_or(0))
}

/// Somebody invited this device, with one of its key packages. A device that stays connected for weeks has to see to it
/// that some are left.
pub(crate) fn key_package_used(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let used = tx.kv_u64("key_packages.used")?.saturating_add(1);
    tx.set_kv_u64("key_packages.used", used)?;
    if used >= u64::from(KEY_PACKAGES_WANTED - KEY_PACKAGES_FEW) || are_key_packages_old(tx)? {
        tx.effect(Effect::Ask(Question::KeyPackages));
    }
    Ok(())
}

/// The relay does not let this device in. Says whether another try should go differently: one that does not know the
/// device may have been restored from a copy that is older than the account, so the account is made known again; one that
/// knows the account without the device has to hear of it from a sibling.
pub(crate) fn not_let_in(tx: &mut Tx<'_>, code: wire::ErrorCode) -> Result<bool, TurnError> {
    let registered = match code {
        wire::ErrorCode::UnknownDevice => false,
        wire::ErrorCode::Conflict => true,
        wire::ErrorCode::BadFrame
        | wire::ErrorCode::Unauthenticated
        | wire::ErrorCode::NotFound
        | wire::ErrorCode::Forbidden
        | wire::ErrorCode::RateLimited
        | wire::ErrorCode::Unavailable
        | wire::ErrorCode::TooLarge => return Ok(false),
    };
    let changed = tx.sql.execute("UPDATE me SET registered = ?1 WHERE registered <> ?1", [registered])?;
    Ok(changed > 0)
}

/// The relay's copy of our own log is `len` entries long. What it lacks goes on, entry by entry.
pub(crate) fn log_appended(tx: &mut Tx<'_>, len: u64) -> Result<(), TurnError> {
    let me = tx.me()?;
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    if len < own.head.len {
        tx.effect(Effect::Ask(Question::AppendLog { len }));
    }
    Ok(())
}

/// Certifies a sibling device: it is written into the log, the relay is told, and it is invited into all conversations.
pub(crate) fn link_device(
    tx: &mut Tx<'_>,
    request: &DeviceRequest,
) -> Result<(Account, Signed<DeviceCertificate>, String), TurnError> {
    let me = tx.me_row()?.ok_or(TurnError::NotFound { what: "account" })?;
    let account_key = me.account_key.ok_or(Refused::NoAccountKey)?;
    let mut account = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    linking::check(request, &account, tx.now)?;
    let DeviceRequest { device, key, .. } = *request;
    let role = match account.kind {
        AccountKind::Person => DeviceRole::Person,
        AccountKind::Business => DeviceRole::Merchant,
    };
    let certificate = DeviceCertificate {
        account: account.id,
        device,
        key,
        role,
        created_at: tx.now,
        expires_at: tx.now.plus_ms(CERTIFICATE_LIFE_MS),
    };
    let certificate = Signed::sign(&certificate, &account_key);
    let before = account.head.len;
    let link = account.next_link(Statement::DeviceAdded(certificate.clone()), &account_key, tx.now);
    account.append(&link)?;
    tx.save_log(&account)?;
    tx.effect(Effect::Ask(Question::AddDevice { device, key: key.0 }));
    tx.effect(Effect::Ask(Question::AppendLog { len: before }));
    super::members::begin_all(tx)?;
    Ok((account, certificate, me.relay))
}

/// The entry of our own log that comes after `len` others, for the relay.
pub(crate) fn append_request(tx: &mut Tx<'_>, len: u64) -> Result<wire::Request, TurnError> {
    let me = tx.me()?;
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    let place = usize::try_from(len).unwrap_or(usize::MAX);
    let link = own.log().links.get(place).ok_or(TurnError::Corrupt { what: "own account log" })?;
    Ok(wire::Request::AppendLog {
        account: wire::AccountId(me.account.0),
        expected_len: len,
        entry: wire::SignedEntry {
            entry: link.entry.clone(),
            signature: link.signature,
            signer: link.signer.0,
            next_key: None,
        },
    })
}

/// On the new device: takes over the account it was linked to.
pub(crate) fn finish_link(
    tx: &mut Tx<'_>,
    log: &AccountLog,
    certificate: &Signed<DeviceCertificate>,
    device: DeviceId,
    device_key: &SigningKey,
    relay: &str,
) -> Result<Account, TurnError> {
    if tx.me_row()?.is_some() {
        return Err(Refused::AccountThere.into());
    }
    let account = Account::read(log)?;
    let checked = account.check_certificate(certificate)?;
    if checked.device != device || checked.key != device_key.public() || checked.expires_at <= tx.now {
        return Err(Refused::GrantDiffers.into());
    }
    insert_me(tx, &account, device, device_key, certificate, relay, None, None)?;
    tx.sql.execute("UPDATE me SET registered = 1", [])?;
    tx.sql.execute("DELETE FROM kv WHERE k = ?1", [LINK_KEYS])?;
    Ok(account)
}

/// Where the keys wait of a device that is to be linked: its id, the seed of its key, and until when it asks with them.
const LINK_KEYS: &str = "link.keys";
const LINK_KEYS_LEN: usize = 16 + 32 + 8;

/// The keys with which this device asks to be linked: the same ones until it is.
pub(crate) fn link_keys(tx: &mut Tx<'_>) -> Result<(DeviceId, SigningKey), TurnError> {
    if tx.me_row()?.is_some() {
        return Err(Refused::AccountThere.into());
    }
    let (device, key, _) = stored_keys(tx)?.ok_or(Refused::GrantDiffers)?;
    Ok((device, key))
}

/// What a new device shows to be linked: the same until it expires, then with other keys.
pub(crate) fn link_request(tx: &mut Tx<'_>) -> Result<DeviceRequest, TurnError> {
    if tx.me_row()?.is_some() {
        return Err(Refused::AccountThere.into());
    }
    let shown = stored_keys(tx)?.filter(|(_, _, expires_at)| *expires_at > tx.now);
    let (device, key, expires_at) = match shown {
        Some(shown) => shown,
        None => {
            let (device, key) = (DeviceId(tx.new_id()), tx.random.key());
            let expires_at = tx.now.plus_ms(REQUEST_LIFE_MS);
            let mut bytes = Zeroizing::new([0; LINK_KEYS_LEN]);
            bytes[..16].copy_from_slice(&device.0);
            bytes[16..48].copy_from_slice(&*key.to_seed());
            bytes[48..].copy_from_slice(&expires_at.0.to_be_bytes());
            tx.set_kv(LINK_KEYS, &*bytes)?;
            (device, key, expires_at)
        }
    };
    Ok(DeviceRequest { device, key: key.public(), expires_at })
}

fn stored_keys(tx: &Tx<'_>) -> Result<Option<(DeviceId, SigningKey, Timestamp)>, TurnError> {
    let stored = tx.kv(LINK_KEYS)?.map(Zeroizing::new);
    let Some((device, rest)) = stored.as_ref().and_then(|stored| stored.split_first_chunk::<16>()) else {
        return Ok(None);
    };
    let corrupt = || TurnError::Corrupt { what: "request to be linked" };
    let (seed, expires_at) = rest.split_first_chunk::<32>().ok_or_else(corrupt)?;
    let expires_at = i64::from_be_bytes(expires_at.try_into().map_err(|_| corrupt())?);
    Ok(Some((DeviceId(*device), SigningKey::from_seed(*seed), Timestamp(expires_at))))
}
