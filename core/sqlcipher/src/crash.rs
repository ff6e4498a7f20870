//! Named places where a test pulls the plug: around every commit, and around every act that follows one.
//!
//! Whoever commits or acts says so with [`point`]. In a release that is nothing at all. With the feature `testing` and debug
//! assertions it can be armed in two ways:
//!
//! * `COMPTOIR_CRASH_AT=gateway.call.before:3` aborts the process the third time it comes there. `COMPTOIR_CRASH_LOG=FILE`
//!   writes down every point that a process comes to, a line for each, so that a test knows them all.
//! * [`arm`] makes the n-th point that this thread comes to end what the thread is doing, as an unwinding panic with
//!   [`Crash`]: how a simulation kills one of many cores in a process.

/// What a thread is ended with at an armed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash(pub &'static str);

#[cfg(all(feature = "testing", debug_assertions))]
mod armed {
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Crash;

    thread_local! {
        static COUNTDOWN: Cell<u32> = const { Cell::new(0) };
    }

    /// What the environment says, read once.
    struct Orders {
        at: Option<(String, u64)>,
        log: Option<Mutex<std::fs::File>>,
        seen: Mutex<HashMap<&'static str, u64>>,
    }

    fn orders() -> &'static Orders {
        static ORDERS: OnceLock<Orders> = OnceLock::new();
        ORDERS.get_or_init(|| {
            let at = std::env::var("COMPTOIR_CRASH_AT").ok().and_then(|at| {
                let (name, number) = at.rsplit_once(':')?;
                Some((name.to_owned(), number.parse().ok()?))
            });
            let log = std::env::var_os("COMPTOIR_CRASH_LOG")
                .and_then(|path| std::fs::File::options().create(true).append(true).open(path).ok());
            Orders { at, log: log.map(Mutex::new), seen: Mutex::default() }
        })
    }

    pub(super) fn point(name: &'static str) {
        COUNTDOWN.with(|countdown| match countdown.get() {
            0 => {}
            1 => {
                countdown.set(0);
                std::panic::panic_any(Crash(name));
            }
            more => countdown.set(more - 1),
        });
        let orders = orders();
        if let Some(log) = &orders.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // In one write: several processes may share the file.
            let _ = log.write_all(format!("{name}\n").as_bytes());
        }
        if let Some((at, number)) = &orders.at
            && at == name
        {
            let mut seen = orders.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = seen.entry(name).or_default();
            *seen += 1;
            if *seen == *number {
                std::process::abort();
            }
        }
    }

    pub(super) fn arm(countdown: u32) {
        COUNTDOWN.set(countdown);
    }

    pub(super) fn disarm() -> u32 {
        COUNTDOWN.replace(0)
    }
}

/// Here a test may end the process.
#[cfg(all(feature = "testing", debug_assertions))]
pub fn point(name: &'static str) {
    armed::point(name);
}

/// Here a test may end the process. Nothing in a release.
#[cfg(not(all(feature = "testing", debug_assertions)))]
#[inline(always)]
pub fn point(_: &'static str) {}

/// Makes the `countdown`-th point that this thread comes to the last one, counted from 1.
///
/// # Panics
/// Without debug assertions there are no points.
#[cfg(feature = "testing")]
pub fn arm(countdown: u32) {
    #[cfg(debug_assertions)]
    armed::arm(countdown);
    #[cfg(not(debug_assertions))]
    panic!("built without debug assertions: {countdown} points are never come to");
}

/// Takes [`arm`] back. Says how many points are left to come to; 0 when the last one was reached.
#[cfg(feature = "testing")]
pub fn disarm() -> u32 {
    #[cfg(debug_assertions)]
    return armed::disarm();
    #[cfg(not(debug_assertions))]
    0
}
