//! What the actor says to the relay, and what it does about the answers: each is a turn.

use comptoir_content::ConversationId;
use comptoir_sqlcipher::crash;
use comptoir_wire as wire;

use super::Actor;
use crate::error::TurnError;
use crate::facade::Connection;
use crate::link::{Command, Lost, News, Tag};
use crate::store::Question;
use crate::turns::{account, answered, checkout, contacts, flush, gates, held, members, push, receive};

/// The relay and this core do not understand each other.
pub(crate) const VERSION: &str = "relay.version";

impl Actor {
    /// One envelope, one turn. What one of them opens (a commit, an invitation) asks for the others again by itself.
    pub(super) fn retry_held(&mut self, conversation: ConversationId) -> Result<(), TurnError> {
        for id in self.turn(|tx| held::held_in(tx, conversation))? {
            match self.turn(|tx| held::retry_one(tx, id)) {
                Ok(()) => {}
                Err(error) if error.is_storage() => return Err(error),
                Err(error) => self.turn(|tx| held::retry_failed(tx, id, &error))?,
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), TurnError> {
        let in_flight = std::mem::take(&mut self.in_flight);
        let envelopes_max = self.envelopes_max;
        let due = self.turn(|tx| flush::due(tx, &in_flight, envelopes_max));
        self.in_flight = in_flight;
        for (sent, request) in due? {
            self.in_flight.extend(sent.rows());
            self.tell_link(Command::Send(Tag::Outbox(sent), request));
        }
        Ok(())
    }

    /// Asks the relay, once at a time. What cannot be asked now is asked again after the next connection.
    pub(super) fn ask(&mut self, question: Question) {
        if !self.is_online() || self.asked.contains(&question) {
            return;
        }
        let request = match &question {
            Question::Log { account, from } => {
                Ok(wire::Request::ReadLog { account: wire::AccountId(account.0), from: *from })
            }
            Question::Claim { devices, .. } => Ok(wire::Request::ClaimKeyPackages {
                devices: devices.iter().map(|device| wire::DeviceId(device.0)).collect(),
            }),
            Question::KeyPackages => self.turn(account::key_packages),
            Question::AddDevice { device, key } => {
                Ok(wire::Request::AddDevice { device: wire::DeviceId(device.0), device_key: *key })
            }
            Question::Push { endpoint } => Ok(wire::Request::SetPush { endpoint: endpoint.clone() }),
            Question::Gate { account, gate } => {
                Ok(wire::Request::SetGate { peer: wire::AccountId(account.0), gate: *gate })
            }
            Question::Passes { account, ids } => self
                .turn(|tx| gates::passes(tx, ids))
                .map(|passes| wire::Request::AddPasses { peer: wire::AccountId(account.0), passes }),
            Question::AppendLog { len } => {
                let len = *len;
                self.turn(|tx| account::append_request(tx, len))
            }
        };
        match request {
            Ok(request) => {
                self.asked.insert(question.clone());
                self.tell_link(Command::Send(Tag::Question(question), request));
            }
            Err(error) => tracing::error!(%error, "asking the relay"),
        }
    }

    /// Tells the relay what the shell said last about being woken, unless it is being told already.
    pub(super) fn tell_push(&mut self) {
        if self.asked.iter().any(|question| matches!(question, Question::Push { .. })) {
            return;
        }
        if let Some(endpoint) = self.push_next.take() {
            self.report("hearing where to be woken", |actor| actor.turn(|tx| push::target_heard(tx, endpoint)));
        }
    }

    pub(super) fn tell_link(&self, command: Command) {
        match &command {
            Command::Send(..) => crash::point("client.send"),
            Command::Ack(_) => crash::point("client.ack"),
            Command::Login(_) | Command::Now | Command::Redial | Command::Pause => {}
        }
        // The link ends only with this actor.
        let _ = self.link.send(command);
    }

    pub(super) fn log_in(&mut self) -> Result<(), TurnError> {
        if let Some(login) = self.turn(account::login)? {
            self.tell_link(Command::Login(Box::new(login)));
        }
        Ok(())
    }

    pub(super) fn heard(&mut self, news: News) {
        match news {
            News::Connected(welcome) => {
                self.connection = Connection::Online;
                self.deaf = false;
                let accepted = usize::try_from(welcome.limits.envelopes_per_frame_max).unwrap_or(usize::MAX);
                self.envelopes_max = accepted.clamp(1, wire::limits::ENVELOPES_PER_FRAME_MAX);
                self.in_flight.clear();
                self.asked.clear();
                if let Err(error) = self.turn(|tx| account::connected(tx, &welcome)) {
                    // What it had to say may change everything that is sent after it. It says it again on the next line.
                    tracing::error!(%error, "connecting");
                    self.connection = Connection::Offline;
                    self.deaf = true;
                    self.tell_link(Command::Redial);
                }
            }
            // Something before it could not be stored: it comes again.
            News::CaughtUp if self.deaf => {}
            News::CaughtUp => {
                if !self.caught_up {
                    self.report("asking about payments", |actor| actor.turn(checkout::ask_now));
                }
                self.caught_up = true;
            }
            News::Delivery(items) => self.deliver(&items),
            News::Answer(tag, reply) => self.answered(tag, reply),
            News::Lost(lost) => {
                self.connection = Connection::Offline;
                self.caught_up = false;
                self.in_flight.clear();
                self.asked.clear();
                if let Lost::Refused { code, detail } = lost {
                    self.report("not being let in", |actor| {
                        if actor.turn(|tx| account::not_let_in(tx, code))? {
                            return actor.log_in();
                        }
                        if let Some(reason) = for_good(code) {
                            actor.connection = Connection::Refused { code: reason.to_owned(), detail };
                        }
                        Ok(())
                    });
                }
            }
        }
    }

    /// A batch in one transaction; if anything in it fails, one by one, and what cannot be opened is kept with the reason.
    fn deliver(&mut self, items: &[wire::Item]) {
        if self.deaf || self.turn(|tx| receive::receive_batch(tx, items)).is_ok() {
            return;
        }
        for item in items {
            let Err(error) = self.turn(|tx| receive::receive_one(tx, item)) else {
                continue;
            };
            let error = if error.is_storage() || matches!(error, TurnError::Gap) {
                error
            } else {
                tracing::warn!(%error, "an envelope is held");
                match self.turn(|tx| held::hold(tx, item, &error)) {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            };
            // Our own disk, or one is missing before it. Nothing after it may be acknowledged, for an acknowledgement
            // speaks for everything before: the line ends, and the relay gives it again on the next one.
            tracing::error!(%error, "storing what arrived");
            self.deaf = true;
            self.tell_link(Command::Redial);
            return;
        }
    }

    fn answered(&mut self, tag: Tag, reply: wire::Reply) {
        match tag {
            Tag::Outbox(sent) => {
                for row in sent.rows() {
                    self.in_flight.remove(&row);
                }
                self.report("taking an answer", |actor| {
                    actor.turn(|tx| match (&sent, &reply) {
                        (flush::Sent::Envelopes(about), wire::Reply::Deposited(outcomes)) => {
                            answered::deposited(tx, about, outcomes)
                        }
                        (flush::Sent::Change { row, devices }, wire::Reply::Ordered(ordered)) => {
                            answered::ordered(tx, *row, devices, ordered)
                        }
                        (_, wire::Reply::Refused(refusal)) => answered::refused(tx, &sent, refusal),
                        _ => Ok(()),
                    })
                });
            }
            Tag::Question(question) => {
                self.asked.remove(&question);
                if let wire::Reply::Refused(refusal) = &reply {
                    tracing::warn!(code = ?refusal.code, detail = refusal.detail, "the relay refused a question");
                }
                self.report("taking an answer", |actor| {
                    actor.turn(|tx| match (question, reply) {
                        (Question::Log { account, .. }, wire::Reply::Log(slice)) => {
                            contacts::log_arrived(tx, account, &slice)
                        }
                        (Question::Claim { conversation, devices }, wire::Reply::KeyPackages(claimed)) => {
                            members::claimed(tx, conversation, &devices, claimed)
                        }
                        (Question::Claim { conversation, devices }, wire::Reply::Refused(_)) => {
                            members::claimed(tx, conversation, &devices, Vec::new())
                        }
                        (Question::Log { account, .. }, wire::Reply::Refused(refusal)) => {
                            contacts::log_refused(tx, account, refusal.code)
                        }
                        (Question::KeyPackages, wire::Reply::KeyPackageCount { .. }) => {
                            account::key_packages_published(tx)
                        }
                        (Question::Push { endpoint }, wire::Reply::Done) => push::target_told(tx, endpoint.as_ref()),
                        (Question::Gate { account, gate }, wire::Reply::Done) => gates::gate_told(tx, account, gate),
                        (Question::Passes { account, ids }, wire::Reply::Done) => gates::passes_told(tx, account, &ids),
                        (Question::AppendLog { .. }, wire::Reply::LogHead { len, .. }) => {
                            account::log_appended(tx, len)
                        }
                        _ => Ok(()),
                    })
                });
                self.tell_push();
            }
        }
    }
}

/// Why the relay will not let this device in until a person does something, as a key of the registry of reasons. Whatever
/// else it says is over by itself: a device that it does not know yet is waiting for its sibling to say that it is one.
fn for_good(code: wire::ErrorCode) -> Option<&'static str> {
    match code {
        wire::ErrorCode::Forbidden => Some("relay.removed"),
        wire::ErrorCode::Unauthenticated => Some("relay.unauthenticated"),
        wire::ErrorCode::BadFrame | wire::ErrorCode::TooLarge => Some(VERSION),
        wire::ErrorCode::UnknownDevice
        | wire::ErrorCode::Conflict
        | wire::ErrorCode::NotFound
        | wire::ErrorCode::RateLimited
        | wire::ErrorCode::Unavailable => None,
    }
}
