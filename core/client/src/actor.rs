//! The actor: the one writer. It takes one input at a time, runs one turn, commits, and then acts.

#[cfg(feature = "testing")]
mod by_hand;
mod input;
mod relay;
mod running;

#[cfg(feature = "testing")]
pub(crate) use by_hand::start_by_hand;
pub(crate) use input::{FinishLink, Input};
pub(crate) use relay::VERSION;
pub(crate) use running::{Running, start};

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use comptoir_content::{AccountKind, ConversationId, DeviceRole, Timestamp};
use comptoir_sqlcipher::crash;
use comptoir_sqlcipher::rusqlite::TransactionBehavior;
use tokio::sync::{mpsc, oneshot};

use crate::changes::{Bell, View};
use crate::error::TurnError;
use crate::facade::{ClientError, Connection, Status};
use crate::link::Command;
use crate::random::Random;
use crate::store::{Effect, INDEX_BATCH, Notice, Question, Store, Tx, TxProvider, index_pending, waiting};
use crate::turns::account::NewAccount;
use crate::turns::{account, checkout, contacts, flush, gates, held, send, wake};

/// After an alarm that failed, the next one waits this long.
const SNOOZE: Duration = Duration::from_secs(5);
/// With nothing else to do for this long, the search index is brought up to date.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ClientError>>;

/// The time, as the actor takes it. A test hands in its own.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

pub(crate) struct Actor {
    store: Store,
    clock: Clock,
    random: Random,
    link: mpsc::UnboundedSender<Command>,
    bell: Bell,
    /// Makes the shell say where it can be woken.
    push: Option<Sender<()>>,
    /// What it said last while the relay was still being told of another one.
    push_next: Option<Option<comptoir_wire::PushEndpoint>>,
    connection: Connection,
    /// Something that was delivered could not be stored: nothing more of this line is taken.
    deaf: bool,
    /// Envelopes that the relay takes in one frame.
    envelopes_max: usize,
    /// Outbox rows and questions that are on their way. Forgotten when the line breaks: the database remembers.
    in_flight: HashSet<i64>,
    asked: HashSet<Question>,
    /// Conversations whose held envelopes are to be tried again, one after the other.
    retries: VecDeque<ConversationId>,
    retrying: bool,
    /// An alarm failed, most likely on the disk: it is not tried again before this.
    snoozed: Option<Instant>,
    unindexed: bool,
    /// The index is being brought up, batch by batch, with what comes in between.
    indexing: bool,
    caught_up: bool,
    /// As it was counted last.
    unsent: u64,
}

impl Actor {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        link: mpsc::UnboundedSender<Command>,
        bell: Bell,
        push: Option<Sender<()>>,
    ) -> Self {
        Self {
            store,
            clock,
            random: Random::new(),
            link,
            bell,
            push,
            push_next: None,
            connection: Connection::Offline,
            deaf: false,
            envelopes_max: 1,
            retries: VecDeque::new(),
            retrying: false,
            snoozed: None,
            in_flight: HashSet::new(),
            asked: HashSet::new(),
            unindexed: true,
            indexing: false,
            caught_up: false,
            unsent: 0,
        }
    }

    /// Runs until [`Input::Stop`], or until `stop` is set: then what waits is not begun.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>, stop: &AtomicBool) {
        self.begin();
        loop {
            let alarm = self.next_alarm();
            let now = self.clock.now();
            let snooze = self.snoozed.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            let until = alarm.map(|at| Duration::from_millis(u64::try_from(at.since_ms(now)).unwrap_or(0)).max(snooze));
            let idle = self.unindexed.then_some(if self.indexing { Duration::ZERO } else { IDLE });
            let wait = [until, idle, Some(Duration::from_secs(3600))].into_iter().flatten().min();
            match inputs.recv_timeout(wait.unwrap_or(IDLE)) {
                Ok(Input::Stop) => return,
                Ok(_) if stop.load(Ordering::Acquire) => return,
                Ok(input) => {
                    self.take(input);
                    self.tell_status();
                    if waiting(&self.store.db).is_ok_and(|waiting| waiting >= INDEX_BATCH) {
                        self.index();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let awake = self.snoozed.is_none_or(|until| until <= Instant::now());
                    if awake && alarm.is_some_and(|at| at <= self.clock.now()) {
                        let woken = self.turn(wake::wake);
                        self.snoozed = woken.is_err().then(|| Instant::now() + SNOOZE);
                        self.report("waking", |_| woken);
                    } else if self.unindexed {
                        self.index();
                    }
                }
            }
        }
    }

    /// What a new process begins with.
    fn begin(&mut self) {
        self.report("trying what was held", |actor| actor.turn(held::retry_all));
        self.report("logging in", Self::log_in);
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Link(news) => self.heard(news),
            Input::CreateAccount { relay, reply } => {
                let new = NewAccount {
                    kind: AccountKind::Person,
                    role: DeviceRole::Person,
                    relay: &relay,
                    tills: &[],
                    keep_account_key: true,
                };
                let created = self.begun(|tx| account::create_account(tx, &new).map(drop));
                if created.is_ok() {
                    self.report("logging in", Self::log_in);
                }
                answer(reply, created);
            }
            Input::AddContact { code, reply } => {
                let added = self.begun(|tx| contacts::add_contact(tx, &code));
                answer(reply, added.map(|conversation| conversation.uid));
            }
            Input::SendText { chat, text, reply_to, reply } => {
                let sent = self.begun(|tx| {
                    let conversation = tx.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
                    let text = comptoir_content::Text { body: text, reply_to, quick_replies: Vec::new() };
                    send::send(tx, &conversation, comptoir_content::Body::Text(text), None)
                });
                answer(reply, sent);
            }
            Input::SendTexts { chat, texts, reply } => {
                let sent = self.begun(|tx| {
                    let conversation = tx.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
                    send::send_texts(tx, &conversation, texts)
                });
                answer(reply, sent);
            }
            Input::Tap { chat, on, title, reply } => {
                let tapped = self.begun(|tx| {
                    let conversation = tx.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
                    send::tap(tx, &conversation, on, &title)
                });
                answer(reply, tapped);
            }
            Input::GiveToken { chat, reply } => {
                let given = self.begun(|tx| {
                    let conversation = tx.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
                    gates::give_token(tx, &conversation)
                });
                answer(reply, given);
            }
            Input::MarkRead { chat, upto, reply } => {
                let read = self.turn(|tx| {
                    let conversation = tx.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
                    send::mark_read(tx, &conversation, upto)
                });
                answer(reply, read);
            }
            Input::Block { account, blocked, reply } => {
                answer(reply, self.turn(|tx| gates::block(tx, account, blocked)));
            }
            Input::SetVerified { account, verified, reply } => {
                answer(reply, self.turn(|tx| tx.set_account_flag(account, "verified", verified)));
            }
            Input::AskBill { code, reply } => {
                let asked = self.begun(|tx| contacts::ask_bill(tx, &code));
                answer(reply, asked.map(|conversation| conversation.uid));
            }
            Input::CheckCode { expected, code, reply } => {
                let checked = self.turn(|tx| contacts::check_code(tx, expected, &code));
                answer(reply, checked.and_then(|checked| checked.map_err(TurnError::from)));
            }
            Input::Pay { invoice, tapped, reply } => {
                answer(reply, self.begun(|tx| checkout::place_order(tx, invoice, tapped)));
            }
            Input::SheetClosed { order, hint, reply } => {
                answer(reply, self.turn(|tx| checkout::sheet_closed(tx, order, hint)));
            }
            Input::AskNow { reply } => answer(reply, self.turn(checkout::ask_now)),
            Input::LinkDevice { request, reply } => {
                answer(reply, self.turn(|tx| account::link_device(tx, &request)));
            }
            Input::FinishLink { grant, reply } => {
                let finished = self.turn(|tx| {
                    account::finish_link(tx, &grant.log, &grant.certificate, grant.device, &grant.key, &grant.relay)
                });
                if finished.is_ok() {
                    self.report("logging in", Self::log_in);
                }
                answer(reply, finished.map(drop));
            }
            Input::Extension(turn) => turn(self),
            // One at a time, so that the relay keeps the newest: the next one waits for the answer, whatever it is.
            Input::Push { endpoint } => {
                self.push_next = Some(endpoint);
                self.tell_push();
            }
            Input::Tick { reply } => answer(reply, self.turn(wake::wake)),
            Input::Connect { reply } => {
                // Whatever the relay had against this device, it is asked again.
                if matches!(self.connection, Connection::Refused { .. }) {
                    self.connection = Connection::Offline;
                }
                self.tell_link(Command::Now);
                self.tell_status();
                if let Some(reply) = reply {
                    answer(reply, Ok(()));
                }
            }
            Input::Disconnect => self.tell_link(Command::Pause),
            Input::Stop => {}
        }
    }

    /// One turn: everything `turn` writes is committed at once, or nothing is. Effects follow the commit.
    pub(crate) fn turn<T>(&mut self, turn: impl FnOnce(&mut Tx<'_>) -> Result<T, TurnError>) -> Result<T, TurnError> {
        let now = self.clock.now();
        let turned = self.turned(turn, now);
        if turned.as_ref().is_err_and(TurnError::is_full) {
            self.store.ballast.let_go(now);
        }
        turned
    }

    /// As [`Actor::turn`], for what somebody begins: refused while the disk has only room for what arrives.
    fn begun<T>(&mut self, turn: impl FnOnce(&mut Tx<'_>) -> Result<T, TurnError>) -> Result<T, TurnError> {
        if self.store.ballast.is_short(self.clock.now()) {
            return Err(TurnError::Full);
        }
        self.turn(turn)
    }

    fn turned<T>(
        &mut self,
        turn: impl FnOnce(&mut Tx<'_>) -> Result<T, TurnError>,
        now: Timestamp,
    ) -> Result<T, TurnError> {
        let Store { db, crypto, known, .. } = &mut self.store;
        let before = db.total_changes();
        let sql = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (value, effects) = {
            let mut tx = Tx::new(&sql, TxProvider::new(&sql, crypto), known, now, self.random.clone());
            let turned = turn(&mut tx);
            if let Some(failure) = tx.mls.failure() {
                return Err(failure.into());
            }
            let value = turned?;
            tx.mls.flush()?;
            (value, tx.effects)
        };
        // How many turns write nothing is a matter of luck: they are no points.
        let wrote = sql.total_changes() != before;
        if wrote {
            crash::point("client.commit.before");
        }
        sql.commit()?;
        if wrote {
            crash::point("client.commit.after");
        }
        self.unindexed = true;
        self.act(effects);
        Ok(value)
    }

    fn act(&mut self, effects: Vec<Effect>) {
        let mut flush = false;
        let (mut notices, mut retries) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Ask(question) => self.ask(question),
                Effect::Retry(conversation) if !retries.contains(&conversation) => retries.push(conversation),
                Effect::Retry(_) => {}
                Effect::Flush => flush = true,
                Effect::Ack(seq) if self.is_online() => self.tell_link(Command::Ack(seq)),
                Effect::Ack(_) => {}
                Effect::Notify(notice) if !notices.contains(&notice) => notices.push(notice),
                Effect::Notify(_) => {}
                Effect::AskPush => {
                    if let Some(push) = &self.push {
                        // The thread that asks is gone only after the end.
                        let _ = push.send(());
                    }
                }
                Effect::OpenSheet(sheet) => self.bell.sheet(sheet),
            }
        }
        if flush && self.is_online() {
            self.report("sending", Self::flush);
        }
        for conversation in retries {
            if !self.retries.contains(&conversation) {
                self.retries.push_back(conversation);
            }
        }
        // One after the other and never inside each other: each of them may ask for the next.
        if !std::mem::replace(&mut self.retrying, true) {
            while let Some(conversation) = self.retries.pop_front() {
                self.report("trying what was held", |actor| actor.retry_held(conversation));
            }
            self.retrying = false;
        }
        for notice in notices {
            self.bell.ring(&match notice {
                Notice::Chats => View::Chats,
                Notice::Chat(chat) => View::Chat(chat),
            });
        }
    }

    fn report(&mut self, doing: &'static str, work: impl FnOnce(&mut Self) -> Result<(), TurnError>) {
        if let Err(error) = work(self) {
            tracing::error!(%error, doing, "a turn failed");
        }
    }

    fn next_alarm(&mut self) -> Option<Timestamp> {
        self.turn_quietly(flush::next_alarm).ok().flatten()
    }

    /// Reads inside a transaction that is rolled back.
    fn turn_quietly<T>(&mut self, read: impl FnOnce(&Tx<'_>) -> Result<T, TurnError>) -> Result<T, TurnError> {
        let now = self.clock.now();
        let Store { db, crypto, known, .. } = &mut self.store;
        let sql = db.transaction()?;
        let tx = Tx::new(&sql, TxProvider::new(&sql, crypto), known, now, self.random.clone());
        read(&tx)
    }

    fn tell_status(&mut self) {
        let outbox: Result<u64, TurnError> = self.turn_quietly(|tx| {
            // A long queue is not counted to its end after every input.
            let count: i64 = tx
                .sql
                .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT 1000)")?
                .query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        });
        // One that cannot be counted now is not gone.
        self.unsent = outbox.unwrap_or(self.unsent);
        let (connection, caught_up, asking) = (self.connection.clone(), self.caught_up, self.asked.len() as u64);
        self.bell.status(Status { connection, caught_up, unsent: self.unsent, asking });
    }

    fn is_online(&self) -> bool {
        self.connection == Connection::Online
    }

    fn index(&mut self) {
        let more = (|| {
            let sql = self.store.db.transaction()?;
            let more = index_pending(&sql)?;
            sql.commit()?;
            Ok::<_, TurnError>(more)
        })();
        self.unindexed = match more {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "indexing");
                false
            }
        };
        self.indexing = self.unindexed;
    }
}

fn answer<T>(reply: Reply<T>, result: Result<T, TurnError>) {
    // Nobody waits any more: fine, it is done all the same.
    let _ = reply.send(result.map_err(ClientError::from));
}
