//! The thread that delivers callbacks.

use super::connect::{self, Clients};
use super::{Target, rules, secret, signature};
use crate::http::AppState;
use crate::tasks::{document, unix_ms};
use offload_pipeline::records::{Delivery, DueCallback, StoreError};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Callbacks under way at once.
const CONCURRENT: usize = 16;
/// How often the store is asked when nothing ended here.
const PAUSE: Duration = Duration::from_millis(500);
/// The most that is read of an answer nobody is interested in.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Starts the thread; it ends with the service.
///
/// # Errors
/// When the system gives no thread.
pub fn start(state: &Arc<AppState>) -> std::io::Result<()> {
    let clients = Clients::new().map_err(std::io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let weak = Arc::downgrade(state);
    let wake = state.tasks.callback_wake();
    std::thread::Builder::new().name("callbacks".into()).spawn(move || {
        runtime.block_on(async {
            while let Some(more) = round(&weak, &clients).await {
                if !more {
                    let _ = tokio::time::timeout(PAUSE, wake.notified()).await;
                }
            }
        });
    })?;
    Ok(())
}

/// Delivers what is due; whether there may be more, or `None` when the service is gone.
async fn round(weak: &Weak<AppState>, clients: &Clients) -> Option<bool> {
    let state = weak.upgrade()?;
    let settings = &state.config.callbacks;
    // A claim outlasts its delivery, so that nobody delivers the same beside us.
    let lease_ms = settings.timeout_ms.saturating_mul(2).saturating_add(1000);
    let due = match state.directory.stores().callbacks().claim_due(unix_ms(), lease_ms, CONCURRENT) {
        Ok(due) => due,
        Err(e) => {
            tracing::warn!(error = %e, "callbacks cannot be claimed");
            return Some(false);
        }
    };
    let more = due.len() == CONCURRENT;
    let deliveries = due.iter().map(|callback| one(&state, clients, callback));
    let outcomes = futures_util::future::join_all(deliveries).await;
    let recorded: Vec<_> = due.into_iter().zip(outcomes).collect();
    if let Err(e) = state.directory.stores().callbacks().record(&recorded, unix_ms()) {
        tracing::warn!(error = %e, "deliveries are not recorded; they will be made again");
        return Some(false);
    }
    Some(more)
}

async fn one(state: &Arc<AppState>, clients: &Clients, callback: &DueCallback) -> Delivery {
    let settings = &state.config.callbacks;
    let outcome = match attempt(state, clients, callback).await {
        Ok(()) => Delivery::Done,
        Err(Refused::Always(why)) => Delivery::Dead(why),
        Err(Refused::Now(why)) if callback.attempts >= settings.max_attempts => Delivery::Dead(why),
        Err(Refused::Now(why)) => Delivery::Again(unix_ms() + pause_ms(state, callback.attempts), why),
    };
    let (task, attempts) = (&callback.task_id, callback.attempts);
    match &outcome {
        Delivery::Done => {
            state.metrics.callback("delivered");
            tracing::debug!(task, attempts, "a callback was delivered");
        }
        Delivery::Again(_, why) => {
            state.metrics.callback("failed");
            tracing::info!(task, attempts, why, "a callback failed and is tried again");
        }
        Delivery::Dead(why) => {
            state.metrics.callback("dead");
            tracing::warn!(task, attempts, why, "a callback is given up");
        }
    }
    outcome
}

/// Exponential, with a fifth of jitter so that receivers that come back are not met by everybody at once.
fn pause_ms(state: &AppState, attempts: u32) -> u64 {
    let settings = &state.config.callbacks;
    let doubled = settings.first_retry_ms.saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let pause = doubled.min(settings.max_retry_ms);
    let mut byte = [128u8];
    // Without randomness there is no jitter, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause - pause / 5 + pause / 5 * 2 * u64::from(byte[0]) / 255
}

enum Refused {
    /// It may go better another time.
    Now(String),
    /// It is not allowed.
    Always(String),
}

async fn attempt(state: &Arc<AppState>, clients: &Clients, callback: &DueCallback) -> Result<(), Refused> {
    let gone = || Refused::Always("the task is gone".into());
    let broken = |e: StoreError| {
        tracing::error!(error = %e, task = callback.task_id, "a callback cannot be made");
        Refused::Now("the service's store failed".into())
    };
    let stores = state.directory.stores();
    let tenant = stores.tenants().get(&callback.tenant_id).map_err(broken)?.ok_or_else(gone)?;
    let task =
        stores.tasks().get(&callback.tenant_id, &callback.task_id).map_err(broken)?.ok_or_else(gone)?;
    let url = state
        .vault
        .unseal(&crate::tasks::purpose(&task.id), callback.url.clone())
        .map_err(|e| broken(StoreError::Corrupt(e.to_string())))?;
    let url = String::from_utf8(url).map_err(|e| broken(StoreError::Corrupt(e.to_string())))?;
    // What the tenant may reach can have changed since the task was submitted.
    let target = Target::parse(&url, rules(&state.config.callbacks, &tenant.quota))
        .map_err(|e| Refused::Always(e.message))?;
    let body = document::of_end(&state.config.tasks, stores.as_ref(), &task).map_err(broken)?;
    let secret = secret(stores.as_ref(), &state.vault, &callback.tenant_id).map_err(broken)?;
    let timeout = Duration::from_millis(state.config.callbacks.timeout_ms);
    tokio::time::timeout(timeout, post(clients, &target, callback, &secret, body))
        .await
        .unwrap_or_else(|_| Err(Refused::Now(format!("no answer within {} ms", timeout.as_millis()))))
}

/// Posts the body; any answer of the 200s will do.
async fn post(
    clients: &Clients,
    target: &Target,
    callback: &DueCallback,
    secret: &[u8],
    body: Vec<u8>,
) -> Result<(), Refused> {
    let timestamp = unix_ms() / 1000;
    let signature = signature::sign(secret, &callback.webhook_id, timestamp, &body);
    let mut answer = clients
        .of(target)
        .post(target.url().clone())
        .header("content-type", "application/json")
        .header("webhook-id", &callback.webhook_id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await
        .map_err(|e| match connect::forbidden(&e) {
            Some(what) => Refused::Always(format!("the host has {what}")),
            // The error's text holds the address, and addresses hold secrets.
            None => {
                Refused::Now(if e.is_connect() { "no connection" } else { "the connection broke" }.into())
            }
        })?;
    let status = answer.status();
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES_MAX {
            break;
        }
    }
    match status.as_u16() {
        200..=299 => Ok(()),
        // Standard Webhooks: the receiver does not want to hear of this any more.
        410 => Err(Refused::Always("the receiver answered 410".into())),
        status => Err(Refused::Now(format!("the receiver answered {status}"))),
    }
}
