//! The one task that calls out. It takes webhooks from the outbox in their order, one at a time, tries each a few times
//! and then gives it up, as real providers do. What is in the outbox when the sandbox stops is sent after it restarts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Clock, Webhook};
use crate::secrets;
use crate::store::Store;
use crate::world::Parcel;

/// Sends webhooks until `stop` says so or its sender is gone.
pub(crate) async fn deliver(
    store: Arc<Store>,
    webhook: Webhook,
    client: reqwest::Client,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let parcel = store.with(|world| Ok(world.next_parcel())).await;
        let Ok(Some(parcel)) = parcel else {
            tokio::select! {
                () = store.outbox_bell.notified() => continue,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        };
        let number = parcel.number;
        tokio::select! {
            () = send(&webhook, &client, &clock, parcel) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let done = store.with(move |world| {
            world.parcel_done(number);
            Ok(())
        });
        if done.await.is_err() {
            // It stays in the outbox. Wait for the next change, rather than send it in a circle while the disk is full.
            tokio::select! {
                () = store.outbox_bell.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}

async fn send(webhook: &Webhook, client: &reqwest::Client, clock: &Clock, parcel: Parcel) {
    let mut delay = webhook.base_delay;
    for attempt in 1..=webhook.attempts.max(1) {
        if attempt > 1 {
            tokio::time::sleep(delay).await;
            delay = delay.saturating_mul(2);
        }
        let signature = secrets::signature(&webhook.secret, clock.now_ms() / 1000, parcel.body.as_bytes());
        let request = client
            .post(&webhook.url)
            .header("content-type", "application/json")
            .header("sandbox-signature", signature)
            .body(parcel.body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => tracing::debug!(attempt, status = answer.status().as_u16(), "a webhook was refused"),
            Err(_) => tracing::debug!(attempt, "a webhook could not be sent"),
        }
    }
    tracing::warn!("a webhook was given up");
}
