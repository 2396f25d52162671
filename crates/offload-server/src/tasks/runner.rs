//! The thread that claims tasks and brings them into the pipeline.

use super::{BATCH, Ended, Form, Hold, Running, TaskDesk, What, pause, purpose, unix_ms};
use crate::http::{AppState, batch, operation};
use offload_api::json::Decoded;
use offload_api::{ApiError, ErrorCode, Memory};
use offload_pipeline::admit::{Caller, Request};
use offload_pipeline::engine::BatchRequest;
use offload_pipeline::records::{Claim, ClaimRequest, Claimed, StoreError, TaskRequest};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Tasks claimed at once at most.
const CLAIM_MAX: usize = 64;
/// How often the store is looked through for what is late or old.
const SWEEP: Duration = Duration::from_secs(1);
/// Sweeps between two removals of old tasks.
const PRUNE_EVERY: u32 = 60;

/// What the thread remembers between two rounds.
struct Round {
    renewed: Instant,
    swept: Instant,
    sweeps: u32,
    healthy: bool,
}

/// Starts the thread; it ends with the service.
pub(super) fn start(state: &Arc<AppState>) -> std::io::Result<()> {
    let weak = Arc::downgrade(state);
    let (signal, patience) = (Arc::clone(&state.tasks.runner), pause(&state.config.tasks));
    std::thread::Builder::new().name("task-runner".into()).spawn(move || {
        let now = Instant::now();
        let mut round = Round { renewed: now, swept: now, sweeps: 0, healthy: true };
        while let Some(more) = once(&weak, &mut round) {
            if !more {
                signal.wait(patience);
            }
        }
    })?;
    Ok(())
}

/// One round; whether there may be more to claim, or `None` when the service is gone or going.
fn once(weak: &Weak<AppState>, round: &mut Round) -> Option<bool> {
    let state = weak.upgrade()?;
    if state.tasks.is_stopping() {
        return None;
    }
    match work(&state, round) {
        Ok(more) => {
            if !std::mem::replace(&mut round.healthy, true) {
                tracing::info!("the store of the tasks answers again");
            }
            Some(more)
        }
        Err(e) => {
            if std::mem::replace(&mut round.healthy, false) {
                tracing::error!(error = %e, "the store of the tasks does not answer");
            }
            Some(false)
        }
    }
}

fn work(state: &Arc<AppState>, round: &mut Round) -> Result<bool, StoreError> {
    let (settings, desk) = (&state.config.tasks, &state.tasks);
    let tasks = state.directory.stores().tasks();
    if round.renewed.elapsed() >= Duration::from_millis(settings.lease_ms / 3) {
        let claims: Vec<Claim> = desk.lock().values().map(|r| r.claim.clone()).collect();
        for lost in tasks.renew(&desk.node, &claims, unix_ms().saturating_add(settings.lease_ms))? {
            tracing::warn!(task = lost.id, "a task is another node's, or was cancelled there");
            forget(desk, &lost);
        }
        round.renewed = Instant::now();
    }
    if round.swept.elapsed() >= SWEEP {
        let late = ApiError::new(ErrorCode::Timeout, "the task's time was over before it could run");
        tasks.expire(unix_ms(), &serde_json::to_string(&late).unwrap_or_default())?;
        if round.sweeps.is_multiple_of(PRUNE_EVERY) {
            tasks.prune(unix_ms().saturating_sub(settings.retention_seconds.saturating_mul(1000)))?;
        }
        round.sweeps = round.sweeps.wrapping_add(1);
        round.swept = Instant::now();
    }
    let room = settings.max_running.saturating_sub(desk.running()).min(CLAIM_MAX);
    if room == 0 {
        return Ok(false);
    }
    let dispatch = &state.config.dispatch;
    let claimed = tasks.claim(&ClaimRequest {
        node: &desk.node,
        now_ms: unix_ms(),
        lease_ms: settings.lease_ms,
        limit: room,
        age_ms: [
            dispatch.age_low_seconds.saturating_mul(1000),
            dispatch.age_medium_seconds.saturating_mul(1000),
        ],
    })?;
    let more = claimed.len() == room;
    for claim in claimed {
        begin(state, claim);
    }
    Ok(more)
}

/// What it holds goes; its end will not be recorded.
fn forget(desk: &TaskDesk, lost: &Claim) {
    let mut running = desk.lock();
    let entry =
        if running.get(&lost.id).is_some_and(|r| r.claim == *lost) { running.remove(&lost.id) } else { None };
    drop(running);
    if let Some(entry) = entry {
        let _ = entry.done.send(true);
    }
}

/// Brings a claimed task into the pipeline.
fn begin(state: &Arc<AppState>, claimed: Claimed) {
    let Claimed { task, request } = claimed;
    let claim = Claim { id: task.id.clone(), token: task.token };
    state.tasks.lock().insert(
        task.id.clone(),
        Running {
            claim: claim.clone(),
            tenant: task.tenant_id.clone(),
            since: Instant::now(),
            expected_us: 0.0,
            hold: Hold::Starting,
            done: watch::Sender::new(false),
        },
    );
    let shared = Arc::clone(state);
    // Decoding may take long, and the next task is not to wait for it.
    state.codec.spawn(move || {
        // Its time counts from its submission, as far as this machine's clock reaches back.
        let waited = Duration::from_millis(unix_ms().saturating_sub(task.created_at_ms));
        let received = Instant::now().checked_sub(waited).unwrap_or_else(Instant::now);
        let ended = |what| Ended {
            id: task.id.clone(),
            claim: claim.clone(),
            attempts: task.attempts,
            request_id: task.request_id.clone(),
            received,
            what,
        };
        let settings = &shared.config.tasks;
        if task.attempts > settings.max_attempts.max(settings.max_restarts.saturating_add(1)) {
            let error = ApiError::new(
                ErrorCode::Internal,
                format!("the service stopped {} times while the task was running", task.attempts - 1),
            );
            return shared.tasks.told(ended(What::GivenUp(error)));
        }
        let (id, request_id) = (task.id.clone(), task.request_id.clone());
        let entered = enter(&shared, &task, request, request_id, received, ended);
        match entered {
            Ok((hold, expected_us)) => {
                // It may have ended, or been cancelled, before there was something to hold it by.
                let mut running = shared.tasks.lock();
                if let Some(entry) = running.get_mut(&id).filter(|r| r.claim == claim) {
                    entry.expected_us = expected_us;
                    if !shared.tasks.is_stopping() {
                        entry.hold = hold;
                        return;
                    }
                }
                drop(running);
                drop(hold);
            }
            Err(error) => shared.tasks.told(ended(What::Refused(error))),
        }
    });
}

/// Submits the task's request; its outcome goes to the settler.
fn enter(
    state: &Arc<AppState>,
    task: &offload_pipeline::records::Task,
    request: TaskRequest,
    request_id: String,
    received: Instant,
    ended: impl Fn(What) -> Ended,
) -> Result<(Hold, f64), ApiError> {
    let caller = caller_of(state, &task.key_id, &task.tenant_id)?;
    let body = state.vault.unseal(&purpose(&task.id), request.body).map_err(|e| {
        tracing::error!(error = %e, task = task.id, "a task's request cannot be read");
        ApiError::new(ErrorCode::Unprocessable, "the task's request cannot be read any more")
    })?;
    let timeout_ms = task.deadline_ms.saturating_sub(task.created_at_ms).max(1);
    let expected = |quote: Result<offload_pipeline::engine::Quote, ApiError>| quote.map_or(0.0, |q| q.run_us);
    // The outcome may come before this returns, and a template of the end is all it needs.
    let template = ended(What::Batch(Vec::new()));
    let desk = Arc::downgrade(state);
    let tell = move |what| {
        if let Some(state) = desk.upgrade() {
            state.tasks.told(Ended { what, ..template });
        }
    };
    if request.route == BATCH {
        let (mut options, items) = batch::parse(state, &body)?;
        options.timeout_ms = Some(timeout_ms);
        options.priority = Some(task.priority);
        let batch = BatchRequest { id: request_id, caller, options, items, received, decode: Duration::ZERO };
        let ticket = state.pipeline.submit_batch(batch, Box::new(move |o| tell(What::Batch(o))));
        return Ok((Hold::Batch(ticket), 0.0));
    }
    let (family, name) = request.route.split_once('/').unwrap_or((&request.route, ""));
    let operation = operation(&state.registry, family, name)?;
    let body: Arc<dyn Memory> = Arc::new(body);
    let (decoded, _) = Form::of(&request.content_type).decode(&body, operation)?;
    let Decoded { style, mut options, inputs } = decoded;
    options.timeout_ms = Some(timeout_ms);
    options.priority = Some(task.priority);
    let make = |inputs| Request {
        id: request_id.clone(),
        caller: Arc::clone(&caller),
        operation,
        options: options.clone(),
        style,
        inputs,
        received,
        decode: Duration::ZERO,
    };
    let expected_us = expected(state.pipeline.quote(make(inputs.clone())));
    let ticket = state.pipeline.submit(make(inputs), Box::new(move |o| tell(What::One(Box::new(o), style))));
    Ok((Hold::One(ticket), expected_us))
}

/// Who submitted it, if the key still lives.
fn caller_of(state: &AppState, key_id: &str, tenant: &str) -> Result<Arc<Caller>, ApiError> {
    match state.directory.by_id(key_id) {
        Ok(Some(identity)) if identity.key.tenant_id == tenant => Ok(identity.caller),
        Ok(_) => Err(ApiError::new(
            ErrorCode::Unauthenticated,
            "the key that submitted the task is revoked or expired",
        )),
        Err(e) => Err(crate::http::store_error(&e)),
    }
}
