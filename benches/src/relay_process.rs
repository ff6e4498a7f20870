//! A relay in a process of its own, so that its memory and processor time are its own too.
#![allow(clippy::print_stdout, reason = "how the process tells its address")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use comptoir_relay::{Clock, Config, Rate, Relay};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::{Plan, Result};

const LISTENING: &str = "listening on ";

/// Serves a relay in this folder until nobody holds the other end of the input.
///
/// # Errors
/// When it cannot start or end.
pub fn serve(dir: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut config = Config::local(dir);
        // One account says here in a second what others say in a week.
        config.quotas.envelopes = Rate { burst: u32::MAX, refill_ms: 1 };
        config.quotas.log_reads = config.quotas.envelopes;
        config.quotas.changes = config.quotas.envelopes;
        config.limits.mailbox_messages_max = 1_000_000;
        let relay = Relay::start(config, Clock::system()).await?;
        println!("{LISTENING}{}", relay.address());
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
        Ok(relay.shutdown().await?)
    })
}

/// The process. It ends when this is dropped.
pub(crate) struct RelayProcess {
    pub(crate) address: SocketAddr,
    pub(crate) id: u32,
    _input: ChildStdin,
    process: Child,
}

impl RelayProcess {
    pub(crate) async fn start(plan: &Plan, dir: &Path) -> Result<Self> {
        let mut process = Command::new(&plan.relay)
            .arg("relay")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let line = BufReader::new(output).lines().next_line().await?.ok_or("the relay did not start")?;
        let address = line.strip_prefix(LISTENING).ok_or("the relay said something else")?.parse()?;
        let id = process.id().ok_or("the relay ended")?;
        Ok(Self { address, id, _input: process.stdin.take().ok_or("no input")?, process })
    }

    /// Ends it without warning.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}
