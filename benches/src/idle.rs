//! Memory that a relay needs for a device that is connected and says nothing.

use std::time::Duration;

use crate::line::{Device, Line};
use crate::relay_process::RelayProcess;
use crate::report::{Figure, thousands};
use crate::{Bound, Finding, Of, Plan, Result, meters, phone};

const NAME: &str = "idle";

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let count = plan.size(5_000, 12);
    phone::runtime()?.block_on(async {
        let folder = plan.folder()?;
        let relay = RelayProcess::start(plan, folder.path()).await?;
        let devices = (0..count).map(Device::new).collect::<Result<Vec<_>>>()?;
        // Once each, so that the accounts exist and the database's cache is as warm as it is going to be.
        for device in &devices {
            Line::open(relay.address, device, true).await?;
        }
        // The relay hears of the last goodbyes.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = meters::resident_bytes(relay.id)?;
        let mut lines = Vec::with_capacity(count);
        for device in &devices {
            lines.push(Line::open(relay.address, device, false).await?);
        }
        let after = meters::resident_bytes(relay.id)?;
        let each = after.saturating_sub(before) as f64 / lines.len() as f64 / 1024.0;
        let what = format!("memory of the relay for each of {} connected devices, without TLS", thousands(count));
        Ok(vec![
            Finding::new(NAME, what, Figure::once(each, "KiB")).goal(Of::Figure, Bound::AtMost, 12.0),
            Finding::new(NAME, "memory of the relay with all of them", Figure::once(after as f64 / 1048576.0, "MiB")),
        ])
    })
}
