//! Turns about being woken: what the relay knows of it, and what it is told.

use comptoir_wire as wire;

use crate::error::TurnError;
use crate::store::{Effect, Question, Tx};

/// The relay's public key, as it said last; empty when it sends no wake-ups.
pub(crate) const KEY: &str = "push.key";
/// The endpoint that the relay has of us; empty when it has none.
const TOLD: &str = "push.told";
/// Stands there while nobody knows which endpoint the relay has, if any: none reads like this.
const UNKNOWN: &[u8] = b"?";

/// The relay opened our mailbox, and says by which key it knocks and whether it knows where. When it has forgotten that, a
/// push service has called the endpoint gone, or an older copy of its database was put back, it is told again.
pub(crate) fn connected(tx: &mut Tx<'_>, welcome: &wire::Welcome, other_life: bool) -> Result<(), TurnError> {
    let key = welcome.push_key.as_deref().map_or(&[][..], |key| key.as_slice());
    if tx.kv(KEY)?.unwrap_or_default() != key {
        tx.set_kv(KEY, key)?;
    }
    let told = tx.kv(TOLD)?.unwrap_or_default();
    let has = match welcome.push_told {
        false => &[][..],
        // What it was told in another life, or before a line broke, need not be what we told it last.
        true if other_life || told.is_empty() => UNKNOWN,
        true => &told,
    };
    if told != has {
        tx.set_kv(TOLD, has)?;
    }
    if !key.is_empty() {
        tx.effect(Effect::AskPush);
    }
    Ok(())
}

/// The shell says where it can be woken. The relay hears of it when that is news to it; until it has answered, nobody knows
/// what it has, also when the line breaks before.
pub(crate) fn target_heard(tx: &mut Tx<'_>, endpoint: Option<wire::PushEndpoint>) -> Result<(), TurnError> {
    let told = tx.kv(TOLD)?.unwrap_or_default();
    let wakes = tx.kv(KEY)?.is_some_and(|key| !key.is_empty());
    if wakes && told != bytes(endpoint.as_ref()) {
        tx.set_kv(TOLD, UNKNOWN)?;
        tx.effect(Effect::Ask(Question::Push { endpoint }));
    }
    Ok(())
}

/// The relay has it. Meanwhile the shell may have heard of another one, so it is asked once more.
pub(crate) fn target_told(tx: &mut Tx<'_>, endpoint: Option<&wire::PushEndpoint>) -> Result<(), TurnError> {
    tx.set_kv(TOLD, bytes(endpoint))?;
    tx.effect(Effect::AskPush);
    Ok(())
}

fn bytes(endpoint: Option<&wire::PushEndpoint>) -> &[u8] {
    endpoint.map_or(&[], |endpoint| endpoint.as_str().as_bytes())
}
