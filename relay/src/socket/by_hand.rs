//! The desk without a socket, for [`crate::testing`].

use std::sync::Arc;

use comptoir_wire::{AccountId, DeviceId, Reply, Request, Welcome};

use super::asking::{self, Asker};
use super::requests::{Served, serve};
use crate::hub::Line;
use crate::server::Shared;
use crate::store::{Mailbox, RelayStore};

pub(crate) fn welcome<S: RelayStore>(shared: &Shared<S>, mailbox: &Mailbox) -> Welcome {
    asking::welcome(shared, mailbox)
}

pub(crate) async fn guest<S: RelayStore>(shared: &Arc<Shared<S>>, request: Request) -> Reply {
    let line = Line::default();
    match serve(shared, &line, &Asker::Guest { network: None }, request).await {
        Served::Answer(reply) => reply,
        Served::Silently | Served::Removed(_) => Reply::Done,
    }
}

pub(crate) async fn device<S: RelayStore>(
    shared: &Arc<Shared<S>>,
    line: &Line,
    (device, account, visit): (DeviceId, AccountId, u64),
    request: Request,
) -> Option<Reply> {
    match serve(shared, line, &Asker::Device { device, account, visit }, request).await {
        Served::Answer(reply) => Some(reply),
        Served::Silently => None,
        Served::Removed(_) => Some(Reply::Done),
    }
}
