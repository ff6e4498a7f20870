//! An actor and its link on threads of their own: begun, told to stop, interrupted, waited for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use comptoir_sqlcipher::rusqlite::InterruptHandle;
use tokio::sync::{mpsc, oneshot};

use super::{Actor, Clock, Input};
use crate::alive::Alive;
use crate::changes::Bell;
use crate::facade::ClientError;
use crate::link;
use crate::store::Store;

/// Starts the actor and the link on threads of their own.
pub(crate) fn start(store: Store, clock: Clock, bell: Bell, push: Option<Sender<()>>) -> Result<Running, ClientError> {
    let failed =
        |error: std::io::Error| ClientError::Bug { code: "core.threads".to_owned(), detail: error.to_string() };
    let (inputs, receiver) = std::sync::mpsc::channel();
    let (commands, commanded) = mpsc::unbounded_channel();
    let (hang_up, hung_up) = oneshot::channel::<()>();
    let interrupt = store.db.get_interrupt_handle();
    let quiet = bell.clone();
    let actor = Actor::new(store, clock, commands, bell, push);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let alive = Arc::new(Alive::default());
    let stop = Arc::new(AtomicBool::new(false));

    let (news, here) = (inputs.clone(), alive.begin());
    let link = std::thread::Builder::new()
        .name("comptoir-link".to_owned())
        .spawn(move || {
            let _here = here;
            runtime.block_on(async move {
                tokio::select! {
                    () = link::run(commanded, |heard| {
                        let _ = news.send(Input::Link(heard));
                    }) => {}
                    _ = hung_up => {}
                }
            });
            // A name that is being looked up cannot be interrupted, and is not waited for.
            runtime.shutdown_background();
        })
        .map_err(failed)?;
    let (stopped, here) = (stop.clone(), alive.begin());
    let actor = std::thread::Builder::new()
        .name("comptoir-core".to_owned())
        .spawn(move || {
            let _here = here;
            // Also when it panics, nobody is left to believe that it is connected.
            let _quiet = Quiet(quiet);
            actor.run(&receiver, &stopped);
        })
        .map_err(failed)?;
    static LIVES: AtomicU64 = AtomicU64::new(1);
    Ok(Running::Threads(Threads {
        life: LIVES.fetch_add(1, Ordering::Relaxed),
        inputs,
        interrupt,
        hang_up: Mutex::new(Some(hang_up)),
        stop,
        alive,
        threads: [actor, link],
    }))
}

/// Says at the end of its thread that there is no connection any more.
struct Quiet(Bell);

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.halted();
    }
}

/// An actor and its link, while they run.
pub(crate) enum Running {
    Threads(Threads),
    #[cfg(feature = "testing")]
    ByHand(super::by_hand::ByHand),
}

/// Threads of their own.
pub(crate) struct Threads {
    life: u64,
    inputs: Sender<Input>,
    interrupt: InterruptHandle,
    /// Dropping it ends the link wherever it is.
    hang_up: Mutex<Option<oneshot::Sender<()>>>,
    stop: Arc<AtomicBool>,
    alive: Arc<Alive>,
    threads: [JoinHandle<()>; 2],
}

impl Running {
    pub(crate) fn send(&self, input: Input) -> Result<(), ClientError> {
        match self {
            // It is told to stop only after nobody can send any more.
            Self::Threads(threads) => threads.inputs.send(input).map_err(|_| ClientError::panicked()),
            #[cfg(feature = "testing")]
            Self::ByHand(actor) => actor.take(input),
        }
    }

    /// Which one it is: a core that was suspended and resumed is another one.
    pub(crate) fn life(&self) -> u64 {
        match self {
            Self::Threads(threads) => threads.life,
            #[cfg(feature = "testing")]
            Self::ByHand(_) => 0,
        }
    }

    /// What waits is still done; the link hears of the end when the actor is gone, and says what it still has to say.
    pub(crate) fn ask_to_stop(&self) {
        let _ = self.send(Input::Stop);
    }

    /// True when the actor has ended without being told to.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Self::Threads(threads) => threads.threads[0].is_finished(),
            #[cfg(feature = "testing")]
            Self::ByHand(_) => false,
        }
    }

    /// Waits until both threads are at their end. Says whether that came to be in time.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        match self {
            Self::Threads(threads) => threads.alive.wait(limit),
            #[cfg(feature = "testing")]
            Self::ByHand(_) => true,
        }
    }

    /// Ends what they do now: the turn is undone, and what waits is not begun.
    pub(crate) fn interrupt(&self) {
        match self {
            Self::Threads(threads) => {
                threads.stop.store(true, Ordering::Release);
                threads.interrupt.interrupt();
                threads.hang_up.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            #[cfg(feature = "testing")]
            Self::ByHand(_) => {}
        }
    }

    /// `Err` when one of them had panicked.
    pub(crate) fn join(self) -> Result<(), ()> {
        match self {
            Self::Threads(threads) => {
                let ended = threads.threads.map(JoinHandle::join);
                if ended.iter().all(Result::is_ok) { Ok(()) } else { Err(()) }
            }
            #[cfg(feature = "testing")]
            Self::ByHand(_) => Ok(()),
        }
    }
}
