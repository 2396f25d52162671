//! The thread that records how tasks ended: many at once, again until the store takes it.

use super::{Ended, What, unix_ms};
use crate::http::{AppState, render};
use offload_api::{ApiError, ErrorCode};
use offload_pipeline::records::{EndState, TaskEnd, TaskStatus};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Ends recorded at once.
const TOGETHER: usize = 64;
/// How long a store that fails is left alone.
const PAUSE: Duration = Duration::from_millis(250);
/// The first pause before another attempt, in milliseconds; it doubles.
const RETRY_MS: u64 = 500;

/// Starts the thread; it ends with the service.
pub(super) fn start(state: &Arc<AppState>, ends: Receiver<Ended>) -> std::io::Result<()> {
    let weak = Arc::downgrade(state);
    std::thread::Builder::new().name("task-settler".into()).spawn(move || {
        while let Ok(first) = ends.recv() {
            let mut together = vec![first];
            while together.len() < TOGETHER
                && let Ok(next) = ends.try_recv()
            {
                together.push(next);
            }
            if !settle(&weak, together) {
                return;
            }
        }
    })?;
    Ok(())
}

/// Records ends; `false` when the service is gone before it could.
fn settle(weak: &Weak<AppState>, ended: Vec<Ended>) -> bool {
    let mut ends: Option<Vec<TaskEnd>> = None;
    loop {
        let Some(state) = weak.upgrade() else { return false };
        let ends = ends.get_or_insert_with(|| ended.iter().map(|e| end_of(&state, e)).collect());
        match state.directory.stores().tasks().end(ends) {
            Ok(recorded) => {
                for ((end, ended), recorded) in ends.iter().zip(&ended).zip(recorded) {
                    if recorded {
                        state.metrics.task(status_of(&end.state));
                    } else {
                        tracing::debug!(task = ended.id, "the end of a task that was cancelled or lost");
                    }
                    leave(&state, ended);
                }
                state.tasks.callbacks.notify_one();
                // There is room for the next.
                state.tasks.runner.raise();
                return true;
            }
            Err(e) => tracing::error!(error = %e, "ends of tasks cannot be recorded; trying again"),
        }
        drop(state);
        std::thread::sleep(PAUSE);
    }
}

/// The task is not this process's any more.
fn leave(state: &AppState, ended: &Ended) {
    let mut running = state.tasks.lock();
    let mine = running.get(&ended.id).is_some_and(|r| r.claim == ended.claim);
    let entry = if mine { running.remove(&ended.id) } else { None };
    drop(running);
    if let Some(entry) = entry {
        let _ = entry.done.send(true);
        match entry.hold {
            super::Hold::One(ticket) => ticket.answered(),
            super::Hold::Batch(ticket) => ticket.answered(),
            super::Hold::Starting => {}
        }
    }
}

fn status_of(state: &EndState) -> &'static str {
    match state {
        EndState::Completed(_) => TaskStatus::Completed.name(),
        EndState::Without(status, _) => status.name(),
        EndState::Again { .. } => "again",
    }
}

fn end_of(state: &AppState, ended: &Ended) -> TaskEnd {
    let (outcome, gpu_time_us) = match &ended.what {
        What::One(outcome, style) => match &outcome.result {
            Ok(answer) => {
                let body = render::answer(answer, outcome, *style, &ended.request_id, ended.received);
                (body.and_then(|body| fits(state, body)), answer.gpu_time_us)
            }
            Err(e) => (Err(e.clone()), 0),
        },
        What::Batch(outcomes) => {
            let gpu = outcomes.iter().filter_map(|o| o.result.as_ref().ok()).map(|a| a.gpu_time_us).sum();
            let body = render::batch(outcomes, &ended.request_id, ended.received);
            // Items are answered one by one, so a batch that was given back shows by its items.
            let given_back = state.tasks.is_stopping() && outcomes.iter().any(|o| o.result.is_err());
            let body = if given_back { Err(cancelled()) } else { fits(state, body) };
            (body, gpu)
        }
        What::Refused(e) => (Err(e.clone()), 0),
        What::GivenUp(e) => (Err(e.clone()), 0),
    };
    let end = match outcome {
        Ok(body) => EndState::Completed(body),
        Err(_) if state.tasks.is_stopping() => EndState::Again { not_before_ms: unix_ms(), counts: false },
        Err(e) => without(state, ended, e),
    };
    TaskEnd { claim: ended.claim.clone(), state: end, at_ms: unix_ms(), gpu_time_us }
}

fn cancelled() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "the task was cancelled")
}

fn fits(state: &AppState, body: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let limit = state.config.tasks.max_result_bytes;
    if body.len() as u64 <= limit {
        return Ok(body);
    }
    Err(ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("the result has {} bytes, the limit is {limit}", body.len()),
    )
    .with_details(serde_json::json!({"limit_bytes": limit, "raised_by": "tasks.max_result_bytes"})))
}

fn without(state: &AppState, ended: &Ended, mut error: ApiError) -> EndState {
    error.request_id.clone_from(&ended.request_id);
    let text = serde_json::to_string(&error).unwrap_or_default();
    match error.error {
        _ if matches!(ended.what, What::GivenUp(_)) => EndState::Without(TaskStatus::DeadLetter, text),
        // There was no room: that is no attempt.
        ErrorCode::Overloaded | ErrorCode::QuotaBusy | ErrorCode::NoGpuAvailable => {
            let pause = error.retry_after_ms.unwrap_or(RETRY_MS);
            EndState::Again { not_before_ms: unix_ms().saturating_add(pause), counts: false }
        }
        ErrorCode::Internal if ended.attempts < state.config.tasks.max_attempts => {
            let pause = RETRY_MS << ended.attempts.min(10);
            EndState::Again { not_before_ms: unix_ms().saturating_add(pause), counts: true }
        }
        ErrorCode::Internal => EndState::Without(TaskStatus::DeadLetter, text),
        _ => EndState::Without(TaskStatus::Failed, text),
    }
}
