//! The servers: a relay, a practice provider. They run until Ctrl-C or SIGTERM and end in good order.

use std::path::Path;

use comptoir_relay::{Clock, Config, Relay};
use comptoir_sandbox::{Sandbox, Webhook};
use serde_json::json;

use crate::out::{Failure, Out};
use crate::{RelayArgs, SandboxArgs};

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn until_stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

pub(crate) async fn relay(out: &Out, args: RelayArgs) -> Result<(), Failure> {
    let config = match &args.config {
        Some(path) => Config::read(path, std::env::vars()).map_err(|error| Failure::usage("relay.config", error))?,
        None => {
            let mut config = Config::local(&args.data);
            config.listen = args.listen;
            config.check().map_err(|error| Failure::usage("relay.config", error))?;
            config
        }
    };
    let relay = Relay::start(config, Clock::system()).await.map_err(|error| Failure::failed("relay.start", error))?;
    out.say(
        &json!({ "address": relay.address().to_string(), "operator": relay.operator_address().to_string() }),
        format!("Relay on {}, health and metrics on http://{}", relay.address(), relay.operator_address()),
    );
    until_stopped().await;
    relay.shutdown().await.map_err(|error| Failure::failed("relay.stop", error))
}

/// A secret in a file: what stands on its first line.
pub(crate) fn secret(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage("config.secret", format!("{}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

pub(crate) async fn sandbox(out: &Out, args: SandboxArgs) -> Result<(), Failure> {
    let mut config = comptoir_sandbox::Config::new(args.listen, secret(&args.secret_file)?);
    config.state_file = args.state;
    if let (Some(url), Some(file)) = (args.webhook_url, args.webhook_secret_file) {
        config.webhook = Some(Webhook::new(url, secret(&file)?));
    }
    let sandbox = Sandbox::start(config).await.map_err(|error| Failure::usage("sandbox.start", error))?;
    out.say(&json!({ "url": sandbox.url() }), format!("Practice provider on {}", sandbox.url()));
    until_stopped().await;
    sandbox.shutdown().await;
    Ok(())
}
