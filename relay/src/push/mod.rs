//! Wake-ups for devices that are away: one empty push message for each absence, to the endpoint that the device named, and
//! another for what comes an hour later, because the first may have been lost. One that was under way when the relay fell may
//! go out twice.
//!
//! A deposit only writes down that a wake-up is owed, in its own transaction; [`knock_often`] sends what is owed beside
//! everything else, so that no push service, however slow, holds up a message. A wake-up that is not taken is tried again,
//! later and later, for three days; a restart goes on where it was. No push service takes the places of others ([`sites`]).
//! What it tells a push service is that some device of this relay may look into its mailbox: no content, no sender, no id.
//! Nothing about a wake-up is written to the log but counts.

mod address;
mod caller;
mod knock;
mod sites;
mod vapid;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comptoir_sqlcipher::crash;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::{Config, Push};
use crate::metrics::Counter;
use crate::server::{Shared, StartError, stopped};
use crate::store::{AHEAD_MS_MAX, Knocked, RelayStore, Spent, WakeUp};
use knock::{Answer, Knocker};
use sites::{Place, Site, Sites};
use vapid::Vapid;

/// The longest between two tries.
const RETRY_MS_MAX: u64 = 60 * 60 * 1_000;
/// Beyond the patience with a push service, which may be asked twice: after it, one that was handed out and not settled is
/// handed out again.
const SETTLE_MS: u64 = 60_000;
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// A wake-up whose push service has its share of the places waits for so long, give or take the half: they come back one by
/// one, and not all at once.
const PUT_OFF_MS: u64 = 5_000;
// What stands further ahead is taken for a mistake.
const _: () = assert!(RETRY_MS_MAX / 5 * 6 < AHEAD_MS_MAX.unsigned_abs(), "the longest wait, and a fifth");
/// How often is looked when nothing is due, and after the store failed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const LOOK_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What a relay needs to wake devices.
#[derive(Debug)]
pub(crate) struct Pusher {
    knocker: Knocker,
    sites: Arc<Sites>,
    look: Notify,
}

impl Pusher {
    /// Reads or makes the key in the data directory. `None` when the configuration turns wake-ups off.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, StartError> {
        let Push { enabled, loopback, answer_ms, at_once_max, .. } = config.push;
        if !enabled {
            return Ok(None);
        }
        let dir: &Path = &config.data_dir;
        let vapid = Vapid::open(dir, contact(config))
            .map_err(|error| StartError::Push { field: "push.enabled", why: error.to_string() })?;
        let ttl_s = config.limits.keep_days.saturating_mul(24 * 60 * 60);
        let knocker = Knocker::new(vapid, loopback, Duration::from_millis(answer_ms), ttl_s);
        Ok(Some(Self { knocker, sites: Sites::new(at_once_max), look: Notify::new() }))
    }

    /// Whether devices can be woken, and not only say where.
    pub(crate) fn is_ready(&self) -> bool {
        self.knocker.is_ready()
    }

    /// Whether the key was made just now.
    pub(crate) fn has_new_key(&self) -> bool {
        self.knocker.has_new_key()
    }

    /// The key that distributors ask for.
    pub(crate) fn key(&self) -> [u8; 65] {
        self.knocker.key()
    }

    /// Whether this is an endpoint where the relay knocks. The error says what is wrong with it, and not what it is.
    pub(crate) fn check(&self, endpoint: &str) -> Result<(), &'static str> {
        self.knocker.target(endpoint).map(drop)
    }

    /// Something may be owed, or the time may have moved.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }
}

/// Whom a push service is told to turn to. Some take nothing from a relay that names nobody.
fn contact(config: &Config) -> Option<String> {
    let site = || config.names.first().map(|name| format!("https://{name}"));
    config.push.contact.clone().or_else(site)
}

/// Sends what is owed until the relay stops.
pub(crate) async fn knock_often<S: RelayStore>(shared: Arc<Shared<S>>) {
    let Some(pusher) = &shared.pusher else {
        return;
    };
    let mut stopping = shared.stopping.clone();
    let at_once_max = shared.config.push.at_once_max as usize;
    let mut under_way = JoinSet::new();
    loop {
        let room = at_once_max.saturating_sub(under_way.len());
        let is_ready = pusher.knocker.get_ready(shared.clock.now_ms()).await;
        // What cannot be sent stays owed, and is not tried.
        let wait =
            if is_ready && room > 0 { hand_out(&shared, pusher, room, &mut under_way).await } else { LOOK_EVERY };
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return,
            () = pusher.look.notified() => {}
            Some(_) = under_way.join_next() => {}
            () = sleep(wait) => {}
        }
    }
}

/// Begins to send what is due, and says how long to wait for the next.
async fn hand_out<S: RelayStore>(
    shared: &Arc<Shared<S>>,
    pusher: &Pusher,
    room: usize,
    under_way: &mut JoinSet<()>,
) -> Duration {
    let now_ms = shared.clock.now_ms();
    let again_at_ms = now_ms.saturating_add_unsigned((2 * shared.config.push.answer_ms).saturating_add(SETTLE_MS));
    let due = match shared.store.due_wake_ups(now_ms, again_at_ms, u32::try_from(room).unwrap_or(u32::MAX)).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "wake-ups wait for the store");
            return LOOK_AFTER_FAILURE;
        }
    };
    let mut waiting = Vec::new();
    for wake_up in due.now {
        match pusher.sites.place(Site::of(wake_up.endpoint.as_str())) {
            Some(place) => drop(under_way.spawn(wake(Arc::clone(shared), wake_up, place))),
            None => waiting.push(put_off(shared, wake_up, PUT_OFF_MS / 2 + crate::below(PUT_OFF_MS))),
        }
    }
    // Together: they are stored together.
    let put_off = join_all(waiting).await.len();
    next_look(now_ms, due.next_at_ms, put_off)
}

/// How long to wait for the next that is due. The store has not said yet when those come back that were put off since.
fn next_look(now_ms: i64, next_at_ms: Option<i64>, put_off: usize) -> Duration {
    if put_off > 0 {
        return Duration::ZERO;
    }
    let until_ms = next_at_ms.map_or(i64::MAX, |at_ms| at_ms.saturating_sub(now_ms));
    Duration::from_millis(u64::try_from(until_ms).unwrap_or(0)).min(LOOK_EVERY)
}

async fn wake<S: RelayStore>(shared: Arc<Shared<S>>, wake_up: WakeUp, place: Place) {
    let Some(pusher) = &shared.pusher else {
        return;
    };
    let rate = shared.config.quotas.wake_ups;
    if let Spent::Limited { retry_after_ms } = shared.spend("wake_ups", &[&wake_up.device.0], 1, rate).await {
        return put_off(&shared, wake_up, retry_after_ms.min(RETRY_MS_MAX)).await;
    }
    crash::point("relay.knock.before");
    let answer = pusher.knocker.knock(wake_up.endpoint.as_str(), shared.clock.now_ms()).await;
    crash::point("relay.knock.after");
    match answer {
        Answer::Taken | Answer::Gone | Answer::Refused | Answer::Later { .. } => place.answered(),
        Answer::Silence => place.was_silent(),
        Answer::NotThere => {}
    }
    drop(place);
    let now_ms = shared.clock.now_ms();
    let patience_ms = i64::from(shared.config.push.give_up_hours) * HOUR_MS;
    let given_up = now_ms.saturating_sub(wake_up.owed_at_ms) >= patience_ms;
    let again = |after: Duration| {
        let pause = shared.patience(pause_ms(&shared.config.push, wake_up.knocks, after));
        Knocked::Again { at_ms: now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)) }
    };
    let (knocked, counted) = match answer {
        Answer::Taken => (Knocked::Done { at_ms: now_ms }, &shared.metrics.wake_ups_taken),
        Answer::Refused | Answer::NotThere => (Knocked::Done { at_ms: now_ms }, &shared.metrics.wake_ups_refused),
        Answer::Gone => (Knocked::Gone, &shared.metrics.wake_ups_gone),
        Answer::Later { .. } | Answer::Silence if given_up => (Knocked::GivenUp, &shared.metrics.wake_ups_given_up),
        Answer::Later { after } => (again(after.unwrap_or_default()), &shared.metrics.wake_ups_later),
        Answer::Silence => (again(Duration::ZERO), &shared.metrics.wake_ups_later),
    };
    settle(&shared, wake_up, knocked, counted).await;
}

/// It was not tried, and stands in nobody's way.
async fn put_off<S: RelayStore>(shared: &Shared<S>, wake_up: WakeUp, for_ms: u64) {
    let at_ms = shared.clock.now_ms().saturating_add_unsigned(for_ms);
    settle(shared, wake_up, Knocked::PutOff { at_ms }, &shared.metrics.wake_ups_put_off).await;
}

/// What cannot be settled is handed out once more: two wake-ups are one to the phone.
async fn settle<S: RelayStore>(shared: &Shared<S>, wake_up: WakeUp, knocked: Knocked, counted: &Counter) {
    match shared.store.knocked(wake_up, knocked).await {
        Ok(()) => counted.add(1),
        Err(error) => tracing::warn!(%error, "a wake-up was not settled"),
    }
}

/// Twice as long after each try; a push service that asks for more time gets it.
fn pause_ms(push: &Push, knocks: u32, asked: Duration) -> u64 {
    let doubled = push.retry_ms.saturating_mul(1 << knocks.saturating_sub(1).min(20));
    doubled.max(u64::try_from(asked.as_millis()).unwrap_or(u64::MAX)).min(RETRY_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_off_is_not_left_until_the_next_look() {
        assert_eq!(next_look(5_000, Some(8_000), 0), Duration::from_secs(3));
        assert_eq!(next_look(5_000, Some(4_000), 0), Duration::ZERO);
        assert_eq!(next_look(5_000, Some(900_000), 0), LOOK_EVERY);
        assert_eq!(next_look(5_000, None, 0), LOOK_EVERY);
        assert_eq!(next_look(5_000, Some(900_000), 1), Duration::ZERO);
    }

    #[test]
    fn a_relay_without_a_contact_names_itself() {
        let check = |names: &[&str], given: Option<&str>, expected: Option<&str>| {
            let mut config = Config::local("relay");
            config.names = names.iter().map(|name| (*name).to_owned()).collect();
            config.push.contact = given.map(str::to_owned);
            assert_eq!(contact(&config).as_deref(), expected);
        };
        check(&[], None, None);
        check(&["relay.example:443", "localhost:443"], None, Some("https://relay.example:443"));
        check(&["relay.example:443"], Some("mailto:a@relay.example"), Some("mailto:a@relay.example"));
    }

    #[test]
    fn a_push_service_that_is_down_is_asked_less_and_less() {
        let push = Push { retry_ms: 30_000, ..Push::default() };
        let check = |knocks, asked_s: u64, expected_s: u64| {
            assert_eq!(pause_ms(&push, knocks, Duration::from_secs(asked_s)), expected_s * 1_000);
        };
        for (knocks, expected_s) in [(1, 30), (2, 60), (3, 120), (7, 1_920), (8, 3_600), (u32::MAX, 3_600)] {
            check(knocks, 0, expected_s);
        }
        check(1, 5, 30);
        check(1, 300, 300);
        check(1, u64::MAX, 3_600);
    }
}
