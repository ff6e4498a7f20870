//! An actor without threads: every input is a turn on the caller's thread, and what goes to the relay stays in a queue until
//! somebody takes it. For simulations, which decide themselves what happens when.

use std::sync::Mutex;

use tokio::sync::mpsc;

use super::{Actor, Clock, Input, Running};
use crate::changes::Bell;
use crate::facade::ClientError;
use crate::link::Command;
use crate::store::Store;

/// Starts the actor on the caller's thread. What it has to say to the relay comes out of the other end.
pub(crate) fn start_by_hand(store: Store, clock: Clock, bell: Bell) -> (Running, mpsc::UnboundedReceiver<Command>) {
    let (commands, commanded) = mpsc::unbounded_channel();
    let mut actor = Actor::new(store, clock, commands, bell, None);
    actor.begin();
    (Running::ByHand(ByHand(Mutex::new(Some(Box::new(actor))))), commanded)
}

/// `None` after the end.
pub(crate) struct ByHand(Mutex<Option<Box<Actor>>>);

impl ByHand {
    pub(crate) fn take(&self, input: Input) -> Result<(), ClientError> {
        // Poisoned: it was killed in the middle of a turn, and is as dead as a process would be.
        let mut actor = self.0.lock().map_err(|_| ClientError::suspended())?;
        if matches!(input, Input::Stop) {
            actor.take();
            return Ok(());
        }
        let actor = actor.as_mut().ok_or_else(ClientError::suspended)?;
        actor.take(input);
        actor.tell_status();
        Ok(())
    }
}
