//! What is asked and what is answered: quota, check, store, answer. One function for each kind of frame.

use std::sync::Arc;

use comptoir_wire::{
    AccountId, ConversationId, DepositOutcome, DepositStatus, DeviceId, Envelope, ErrorCode, Gate, KeySignature,
    NewAccount, Ordered, Pass, PushEndpoint, Refusal, Reply, Request, SignedEntry, limits,
};
use ring::digest::{SHA256, digest};

use super::asking::Asker;
use crate::hub::Line;
use crate::log_chain;
use crate::membership::between;
use crate::server::{SWEEP_EVERY, Shared};
use crate::store::{Commit, Created, Opening, Rate, RelayStore, Removed, Sender, Spent, StoreError};

/// How long to wait at least when the store is busy or failed; at most twice as long, so that those who were refused together
/// do not come back together.
const RETRY_AFTER_MS: u64 = 1_000;

pub(super) enum Served {
    Answer(Reply),
    /// Nothing to say.
    Silently,
    /// Done; this device's connection ends after the answer.
    Removed(DeviceId),
}

pub(super) fn refuse(code: ErrorCode, detail: impl Into<String>) -> Reply {
    Reply::Refused(Refusal { code, detail: detail.into(), retry_after_ms: 0 })
}

pub(super) fn unavailable(error: &StoreError) -> Reply {
    if matches!(error, StoreError::Busy | StoreError::Closed) {
        tracing::warn!(%error, "not stored");
    } else {
        tracing::error!(%error, source = std::error::Error::source(error), "not stored");
    }
    let detail = "the relay cannot store anything right now".to_owned();
    let retry_after_ms = RETRY_AFTER_MS + crate::below(RETRY_AFTER_MS);
    Reply::Refused(Refusal { code: ErrorCode::Unavailable, detail, retry_after_ms })
}

fn limited(retry_after_ms: u64) -> Reply {
    let detail = "too much at once".to_owned();
    Reply::Refused(Refusal { code: ErrorCode::RateLimited, detail, retry_after_ms })
}

/// `Err` is an answer too: the question was not served.
type Answered = Result<Reply, Reply>;

pub(super) async fn serve<S: RelayStore>(
    shared: &Arc<Shared<S>>,
    line: &Line,
    asker: &Asker,
    request: Request,
) -> Served {
    let served = match (asker, request) {
        (asker, Request::CreateAccount(new)) => create_account(shared, asker, new).await,
        (asker, Request::ReadLog { account, from }) => read_log(shared, asker, account, from).await,
        (Asker::Guest { .. }, _) => Err(refuse(ErrorCode::Unauthenticated, "authenticate first")),
        (Asker::Device { device, account, .. }, request) => {
            let desk = Desk { shared, device: *device, account: *account };
            match request {
                Request::Ack { upto_seq } => {
                    desk.ack(line, upto_seq).await;
                    return Served::Silently;
                }
                Request::RemoveDevice { device, signed } => match desk.remove_device(device, signed).await {
                    Ok(()) => return Served::Removed(device),
                    Err(refused) => Err(refused),
                },
                Request::AddDevice { device, device_key } => desk.add_device(device, device_key).await,
                Request::AppendLog { account, expected_len, entry } => {
                    desk.append_log(account, expected_len, entry).await
                }
                Request::PublishKeyPackages { packages, last_resort } => {
                    desk.publish_key_packages(packages, last_resort).await
                }
                Request::SetPush { endpoint } => desk.set_push(endpoint).await,
                Request::SetGate { peer, gate } => desk.set_gate(peer, gate).await,
                Request::AddPasses { peer, passes } => desk.add_passes(peer, passes).await,
                Request::ClaimKeyPackages { devices } => desk.claim_key_packages(devices).await,
                Request::Deposit { envelopes } => desk.deposit(envelopes).await,
                Request::OpenGeneration { peer, conversation, generation, token_hash, envelopes } => {
                    let opening = Opening { from: desk.sender(), conversation, generation, token_hash, envelopes };
                    desk.open_generation(peer, opening).await
                }
                Request::SubmitCommit {
                    peer,
                    conversation,
                    generation,
                    epoch,
                    token,
                    next_token_hash,
                    uid,
                    envelopes,
                } => {
                    let mut token_hash = [0; 32];
                    token_hash.copy_from_slice(digest(&SHA256, &token.0).as_ref());
                    let from = desk.sender();
                    let commit =
                        Commit { from, conversation, generation, epoch, token_hash, next_token_hash, uid, envelopes };
                    desk.submit_commit(peer, commit).await
                }
                Request::Authenticate { .. } | Request::CreateAccount(_) | Request::ReadLog { .. } => {
                    Err(refuse(ErrorCode::Conflict, "body: not here"))
                }
            }
        }
    };
    Served::Answer(served.unwrap_or_else(|refused| refused))
}

async fn create_account<S: RelayStore>(shared: &Shared<S>, asker: &Asker, new: NewAccount) -> Answered {
    let Asker::Guest { network } = asker else {
        return Err(refuse(ErrorCode::Conflict, "device: this connection has one"));
    };
    if shared.disk_is_short() {
        let detail = "the relay has no room for new accounts".to_owned();
        let retry_after_ms = SWEEP_EVERY.as_millis() as u64;
        return Err(Reply::Refused(Refusal { code: ErrorCode::Unavailable, detail, retry_after_ms }));
    }
    grant(shared.spend_by_network("accounts", *network).await)?;
    let account = log_chain::verify_new(&new).map_err(|forged| refuse(ErrorCode::Forbidden, forged.to_string()))?;
    let created = shared.store.create_account(account, new).await.map_err(|error| unavailable(&error))?;
    created_answer(created)
}

async fn read_log<S: RelayStore>(shared: &Shared<S>, asker: &Asker, account: AccountId, from: u64) -> Answered {
    match asker {
        Asker::Guest { network } => grant(shared.spend_by_network("log_reads", *network).await)?,
        Asker::Device { account, .. } => {
            let rate = shared.config.quotas.log_reads;
            grant(shared.spend("log_reads", &[&account.0], 1, rate).await)?;
        }
    }
    let log = shared.store.read_log(account, from).await.map_err(|error| unavailable(&error))?;
    log.map(Reply::Log).ok_or_else(|| refuse(ErrorCode::NotFound, "account: not known here"))
}

fn created_answer(created: Created) -> Answered {
    match created {
        Created::Done => Ok(Reply::Done),
        Created::Conflict => Err(refuse(ErrorCode::Conflict, "it exists already, with other contents")),
        Created::TooMany => Err(refuse(ErrorCode::TooLarge, "device: the account has too many")),
    }
}

fn grant(spent: Spent) -> Result<(), Reply> {
    match spent {
        Spent::Granted => Ok(()),
        Spent::Limited { retry_after_ms } => Err(limited(retry_after_ms)),
    }
}

/// Where an authenticated device is served.
struct Desk<'a, S> {
    shared: &'a Shared<S>,
    device: DeviceId,
    account: AccountId,
}

impl<S: RelayStore> Desk<'_, S> {
    async fn add_device(&self, device: DeviceId, device_key: [u8; 32]) -> Answered {
        self.spend_change().await?;
        let added = self.shared.store.add_device(self.account, device, device_key).await;
        created_answer(added.map_err(|error| unavailable(&error))?)
    }

    async fn remove_device(&self, device: DeviceId, signed: Option<KeySignature>) -> Result<(), Reply> {
        self.spend_change().await?;
        if device != self.device {
            self.check_removal(device, signed).await?;
        }
        let now_ms = self.shared.clock.now_ms();
        match self.shared.store.remove_device(self.account, device, now_ms).await {
            Ok(Removed::Done) => Ok(()),
            Ok(Removed::NotFound) => Err(refuse(ErrorCode::Forbidden, "device: not of this account")),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// A device alone removes only itself: one that was stolen must not destroy what waits for its siblings.
    async fn check_removal(&self, device: DeviceId, signed: Option<KeySignature>) -> Result<(), Reply> {
        let forbidden = |why: String| refuse(ErrorCode::Forbidden, why);
        let unsigned = || forbidden("signature: another device is removed by the account's key".to_owned());
        let signed = signed.ok_or_else(unsigned)?;
        let head = self.shared.store.log_head(self.account).await.map_err(|error| unavailable(&error))?;
        let head = head.ok_or_else(|| refuse(ErrorCode::NotFound, "account: not known here"))?;
        log_chain::verify_removal(&head, self.account, device, &signed).map_err(|forged| forbidden(forged.to_string()))
    }

    async fn append_log(&self, account: AccountId, expected_len: u64, entry: SignedEntry) -> Answered {
        if account != self.account {
            return Err(refuse(ErrorCode::Forbidden, "account: not this device's"));
        }
        self.spend_change().await?;
        let store = &self.shared.store;
        let not_found = || refuse(ErrorCode::NotFound, "account: not known here");
        let head = store.log_head(account).await.map_err(|error| unavailable(&error))?.ok_or_else(not_found)?;
        if expected_len > head.len {
            return Ok(Reply::LogHead { appended: false, len: head.len });
        }
        // At an older place nothing can be appended any more; the store only looks whether this entry stands there.
        if expected_len == head.len {
            if head.len >= limits::LOG_ENTRIES_MAX as u64 {
                return Err(refuse(ErrorCode::TooLarge, "entry: the log is full"));
            }
            let verified = log_chain::verify_next(&head, &entry);
            verified.map_err(|forged| refuse(ErrorCode::Forbidden, forged.to_string()))?;
        }
        let appended = store.append_log(account, expected_len, entry).await.map_err(|error| unavailable(&error))?;
        let appended = appended.ok_or_else(not_found)?;
        Ok(Reply::LogHead { appended: appended.appended, len: appended.len })
    }

    async fn publish_key_packages(&self, packages: Vec<Vec<u8>>, last_resort: Option<Vec<u8>>) -> Answered {
        self.spend_change().await?;
        let left = self.shared.store.publish_key_packages(self.device, packages, last_resort).await;
        match left.map_err(|error| unavailable(&error))? {
            Some(left) => Ok(Reply::KeyPackageCount { left }),
            None => Err(refuse(ErrorCode::UnknownDevice, "device: was removed")),
        }
    }

    async fn set_push(&self, endpoint: Option<PushEndpoint>) -> Answered {
        self.spend_change().await?;
        // To be knocked at no more is granted always.
        if let Some(endpoint) = &endpoint {
            let off = || refuse(ErrorCode::NotFound, "endpoint: this relay sends no wake-ups");
            let pusher = self.shared.pusher.as_ref().ok_or_else(off)?;
            pusher.check(endpoint.as_str()).map_err(|why| refuse(ErrorCode::Forbidden, why))?;
        }
        match self.shared.store.set_push(self.device, endpoint).await {
            Ok(true) => Ok(Reply::Done),
            Ok(false) => Err(refuse(ErrorCode::UnknownDevice, "device: was removed")),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn sender(&self) -> Sender {
        Sender { account: self.account, device: self.device }
    }

    async fn set_gate(&self, peer: AccountId, gate: Gate) -> Answered {
        self.spend_change().await?;
        let set = self.shared.store.set_gate(self.account, peer, gate, self.shared.clock.now_ms()).await;
        set.map(|()| Reply::Done).map_err(|error| unavailable(&error))
    }

    async fn add_passes(&self, peer: AccountId, passes: Vec<Pass>) -> Answered {
        self.spend_change().await?;
        let added = self.shared.store.add_passes(self.account, peer, passes, self.shared.clock.now_ms()).await;
        added.map(|()| Reply::Done).map_err(|error| unavailable(&error))
    }

    async fn claim_key_packages(&self, devices: Vec<DeviceId>) -> Answered {
        let (shared, quotas) = (self.shared, &self.shared.config.quotas);
        grant(shared.spend("claim_frames", &[&self.account.0], 1, quotas.claim_frames).await)?;
        // Only a device that is there gets a quota: ids that somebody made up must not fill the table.
        let mut claims = Vec::with_capacity(devices.len());
        for device in &devices {
            let known = shared.store.device(*device).await.map_err(|error| unavailable(&error))?;
            if known.is_some_and(|known| !known.removed) {
                claims.push((device.0, 1));
            }
        }
        grant(shared.spend_all("claims", &self.account.0, claims.into_iter(), quotas.claims).await)?;
        let claimed = shared.store.claim_key_packages(devices).await;
        claimed.map(Reply::KeyPackages).map_err(|error| unavailable(&error))
    }

    async fn deposit(&self, envelopes: Vec<Envelope>) -> Answered {
        self.check_envelopes(&envelopes, None).await?;
        let to = recipients(&envelopes);
        let outcomes = self.shared.store.deposit(self.sender(), envelopes, self.shared.clock.now_ms()).await;
        let outcomes = outcomes.map_err(|error| unavailable(&error))?;
        self.deposited(&to, &outcomes);
        Ok(Reply::Deposited(outcomes))
    }

    async fn open_generation(&self, peer: AccountId, opening: Opening) -> Answered {
        self.check_membership(opening.conversation, peer)?;
        self.check_envelopes(&opening.envelopes, Some((opening.conversation, opening.generation))).await?;
        let to = recipients(&opening.envelopes);
        let ordered = self.shared.store.open_generation(opening, self.shared.clock.now_ms()).await;
        self.ordered(&to, ordered)
    }

    async fn submit_commit(&self, peer: AccountId, commit: Commit) -> Answered {
        self.check_membership(commit.conversation, peer)?;
        self.check_envelopes(&commit.envelopes, Some((commit.conversation, commit.generation))).await?;
        let to = recipients(&commit.envelopes);
        let ordered = self.shared.store.submit_commit(commit, self.shared.clock.now_ms()).await;
        self.ordered(&to, ordered)
    }

    /// Before the store is asked: what it answers tells where a conversation stands.
    fn check_membership(&self, conversation: ConversationId, peer: AccountId) -> Result<(), Reply> {
        if conversation == between(self.account, peer) {
            return Ok(());
        }
        Err(refuse(ErrorCode::Forbidden, "conversation: not of this account and the peer"))
    }

    async fn ack(&self, line: &Line, upto_seq: u64) {
        line.acked(upto_seq);
        // There is no answer. An acknowledgement that is lost brings its envelopes once more.
        if let Err(error) = self.shared.store.ack(vec![(self.device, upto_seq)]).await {
            tracing::warn!(%error, "an acknowledgement was not stored");
        }
    }

    /// Sizes and quota. What rides along with a group change must belong to it.
    async fn check_envelopes(
        &self,
        envelopes: &[Envelope],
        belongs_to: Option<(ConversationId, u32)>,
    ) -> Result<(), Reply> {
        let config = &self.shared.config;
        if envelopes.len() > config.limits.envelopes_per_frame_max {
            let detail = format!("envelopes: more than {}", config.limits.envelopes_per_frame_max);
            return Err(refuse(ErrorCode::TooLarge, detail));
        }
        if envelopes.iter().any(|envelope| envelope.sealed.len() > config.limits.envelope_bytes_max) {
            let detail = format!("sealed: more than {} bytes", config.limits.envelope_bytes_max);
            return Err(refuse(ErrorCode::TooLarge, detail));
        }
        if let Some(belongs_to) = belongs_to {
            let of = |envelope: &Envelope| (envelope.conversation, envelope.generation);
            if envelopes.iter().any(|envelope| of(envelope) != belongs_to) {
                return Err(refuse(ErrorCode::BadFrame, "envelopes: of another conversation or generation"));
            }
        }
        let cost = (envelopes.len() as u32).max(1);
        grant(self.shared.spend("envelopes", &[&self.account.0], cost, config.quotas.envelopes).await)
    }

    async fn spend_change(&self) -> Result<(), Reply> {
        let rate: Rate = self.shared.config.quotas.changes;
        grant(self.shared.spend("changes", &[&self.account.0], 1, rate).await)
    }

    fn ordered(&self, to: &[DeviceId], ordered: Result<Ordered, StoreError>) -> Answered {
        let ordered = ordered.map_err(|error| unavailable(&error))?;
        self.shared.metrics.order(ordered.status);
        self.deposited(to, &ordered.outcomes);
        Ok(Reply::Ordered(ordered))
    }

    /// Counts, and wakes whoever got something.
    fn deposited(&self, to: &[DeviceId], outcomes: &[DepositOutcome]) {
        for (device, outcome) in to.iter().zip(outcomes) {
            self.shared.metrics.deposit(outcome.status);
            if outcome.status == DepositStatus::Accepted && !self.shared.hub.wake(*device) {
                self.shared.look_for_wake_ups();
            }
        }
    }
}

fn recipients(envelopes: &[Envelope]) -> Vec<DeviceId> {
    envelopes.iter().map(|envelope| envelope.to).collect()
}
