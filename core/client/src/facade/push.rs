//! Being woken: what the shell knows about it goes to the relay, and what the relay knows about it to the shell.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use comptoir_wire::PushEndpoint;

use super::shell::{SHELL_LIMIT, within};
use super::watch::on_a_thread;
use super::{Client, ClientError, PushTarget, PushToken};
use crate::actor::Input;
use crate::alive::Here;
use crate::store::read_kv;
use crate::turns::push::KEY;

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// The key that a push distributor asks for when it registers: the relay's public key (VAPID, RFC 8292), 65 bytes in
    /// base64url as Web Push writes it. Nothing before the first connection, and with a relay that sends no wake-ups. When
    /// it is another one than at the last registration, register again.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn push_key(&self) -> Result<Option<String>, ClientError> {
        let key = self.read(|db| Ok(read_kv(db, KEY)?))?;
        Ok(key.filter(|key| !key.is_empty()).map(|key| data_encoding::BASE64URL_NOPAD.encode(&key)))
    }

    /// Asks the shell again where this phone can be woken: its distributor has given another endpoint, or withdrawn it.
    /// Returns at once; while there is no connection the next one brings the question anyway. Without a
    /// [`crate::PushToken`] it does nothing.
    ///
    /// # Errors
    /// None: a `Result` because everything that is exported returns one.
    pub fn push_changed(&self) -> Result<(), ClientError> {
        self.ask_push();
        Ok(())
    }
}

impl Client {
    fn ask_push(&self) {
        if let Some(asking) = &*self.push.lock().unwrap_or_else(PoisonError::into_inner) {
            // The thread that asks ends after this.
            let _ = asking.send(());
        }
    }

    /// For an actor, which asks after each connection.
    pub(super) fn push_asking(&self) -> Option<Sender<()>> {
        self.push.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks the shell whenever it is `asked` to, as long as the core is there. However often that was meanwhile, it asks once.
pub(super) fn ask_for_tokens(
    asked: Receiver<()>,
    client: Weak<Client>,
    shell: Arc<dyn PushToken>,
    here: Here,
) -> Result<(), ClientError> {
    on_a_thread("comptoir-push", move || {
        while asked.recv().is_ok() {
            while asked.try_recv().is_ok() {}
            let Some(endpoint) = endpoint_of(&shell, SHELL_LIMIT) else { continue };
            let Some(client) = client.upgrade() else { break };
            // While suspended there is nobody to tell; the next connection asks again.
            let _ = client.send(Input::Push { endpoint });
        }
        drop(shell);
        drop(here);
    })
}

/// Where the shell wants to be woken. `None` when it does not say, or says what cannot be: then nothing changes.
fn endpoint_of(shell: &Arc<dyn PushToken>, limit: Duration) -> Option<Option<PushEndpoint>> {
    let shell = shell.clone();
    match within(limit, move || shell.token()) {
        Ok(None) => Some(None),
        Ok(Some(PushTarget::WebPush { endpoint })) => {
            let checked = check(endpoint);
            if checked.is_none() {
                tracing::warn!(
                    "the shell gave an endpoint that is none: it begins with https://, in at most 1,000 bytes"
                );
            }
            checked.map(Some)
        }
        Err(error) => {
            tracing::warn!(
                why = error.kind(),
                "the shell did not say where it can be woken; it is asked again after the next connection"
            );
            None
        }
    }
}

/// Where a relay could knock, as far as can be seen here: TLS, but on this very machine.
fn check(endpoint: String) -> Option<PushEndpoint> {
    let is_here = |rest: &str| ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|here| rest.starts_with(here));
    let fits = endpoint.starts_with("https://") || endpoint.strip_prefix("http://").is_some_and(is_here);
    let plain = endpoint.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && plain { PushEndpoint::new(endpoint).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::ShellError;
    use super::{Arc, Duration, PushEndpoint, PushTarget, PushToken, endpoint_of};

    struct Says(fn() -> Result<Option<PushTarget>, ShellError>);

    impl PushToken for Says {
        fn token(&self) -> Result<Option<PushTarget>, ShellError> {
            self.0()
        }
    }

    fn check(asked: fn() -> Result<Option<PushTarget>, ShellError>, expected: Option<Option<&str>>) {
        let shell: Arc<dyn PushToken> = Arc::new(Says(asked));
        let found = endpoint_of(&shell, Duration::from_millis(100));
        assert_eq!(found.as_ref().map(|endpoint| endpoint.as_ref().map(PushEndpoint::as_str)), expected);
    }

    fn web_push(endpoint: &str) -> Result<Option<PushTarget>, ShellError> {
        Ok(Some(PushTarget::WebPush { endpoint: endpoint.to_owned() }))
    }

    #[test]
    fn a_shell_that_hangs_or_throws_changes_nothing() {
        check(|| web_push("https://push.example/up"), Some(Some("https://push.example/up")));
        check(|| web_push("http://127.0.0.1:1/up"), Some(Some("http://127.0.0.1:1/up")));
        check(|| Ok(None), Some(None));
        check(|| web_push("http://push.example/up"), None);
        check(|| web_push("https://push.example/with a space"), None);
        check(|| web_push(&format!("https://push.example/{}", "a".repeat(1_000))), None);
        check(|| Err(ShellError::Canceled), None);
        check(|| panic!("a bug in a shell"), None);
        check(
            || {
                std::thread::park();
                Ok(None)
            },
            None,
        );
    }

    #[test]
    fn an_endpoint_is_not_written_down() {
        assert_eq!(format!("{:?}", web_push("https://push.example/up")), "Ok(Some(WebPush(…)))");
    }
}
