//! A submission that becomes a task: validated and priced now, stored before it is promised, run later.

use super::{BATCH, Form, purpose, unix_ms};
use crate::callbacks::{Target, rules};
use crate::http::{AppState, batch, located, random_id, store_error};
use offload_api::json::Decoded;
use offload_api::{ApiError, ErrorCode, Invalid, Memory, Options, Priority, Record, Source, Style, Value};
use offload_core::Registered;
use offload_pipeline::admit::{Caller, Request};
use offload_pipeline::records::{Created, Idempotency, Task, TaskRequest, TaskStatus};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came in.
pub struct Submitted {
    /// The request's id.
    pub id: String,
    /// Who.
    pub caller: Arc<Caller>,
    /// Family and operation; a batch without.
    pub operation: Option<&'static Registered>,
    /// The body, decompressed.
    pub body: Arc<dyn Memory>,
    /// How it is to be read.
    pub form: Form,
    /// The caller's name for it.
    pub idempotency_key: Option<String>,
}

/// What the caller is promised.
pub struct Promise {
    /// The task.
    pub task: Task,
    /// Milliseconds until it is expected to be done.
    pub estimated_ms: u64,
    /// Tasks before it.
    pub ahead: u64,
}

/// Makes a task of a submission. It blocks: it decodes, and the task is on the disk when it returns.
///
/// # Errors
/// Those of admission, and `unprocessable` for an idempotency key that stands for something else.
pub fn submit(state: &AppState, submitted: Submitted) -> Result<Promise, ApiError> {
    let Submitted { id, caller, operation, body, form, idempotency_key } = submitted;
    let bytes: &[u8] = (*body).as_ref();
    let priced = match operation {
        Some(operation) => {
            let (decoded, pointers) = form.decode(&body, operation)?;
            price_one(state, &id, &caller, operation, decoded).map_err(|e| located(e, &pointers))?
        }
        None => price_batch(state, &id, &caller, bytes)?,
    };
    if let Some(url) = &priced.options.callback_url {
        Target::parse(url, rules(&state.config.callbacks, &caller.quota))?;
    }
    let now = unix_ms();
    let timeout_ms = priced.options.timeout_ms.unwrap_or(state.config.tasks.default_timeout_ms);
    let route =
        operation.map_or_else(|| BATCH.to_string(), |o| format!("{}/{}", o.about.family, o.about.name));
    let task_id = format!("task_{}", random_id());
    let sealed = |text: &[u8]| {
        state.vault.seal(&purpose(&task_id), text).map_err(|e| {
            tracing::error!(error = %e, "a task cannot be sealed");
            ApiError::new(ErrorCode::Internal, "the task cannot be stored; the log has the cause")
        })
    };
    let content_type = form.media_type();
    let idempotency = idempotency_key.map(|key| {
        let mut digest = blake3::Hasher::new();
        for part in [route.as_bytes(), content_type.as_bytes(), bytes] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Idempotency { key, digest: *digest.finalize().as_bytes() }
    });
    let task = Task {
        tenant_id: caller.tenant.to_string(),
        user_id: caller.user.clone(),
        key_id: caller.key.clone(),
        workload_type: operation.map_or_else(|| BATCH.to_string(), |o| o.workload_type.clone()),
        priority: priced.priority,
        status: TaskStatus::Queued,
        attempts: 0,
        token: 0,
        created_at_ms: now,
        not_before_ms: 0,
        deadline_ms: now.saturating_add(timeout_ms),
        started_at_ms: None,
        finished_at_ms: None,
        request_id: id,
        callback: priced.options.callback_url.as_ref().map(|url| sealed(url.as_bytes())).transpose()?,
        gpu_time_us: 0,
        result_bytes: 0,
        error: None,
        id: task_id.clone(),
    };
    let request = TaskRequest { route, content_type, body: sealed(bytes)? };
    let tasks = state.directory.stores().tasks();
    let limit = caller.quota.max_queued_tasks;
    let created = tasks.create(&task, &request, idempotency.as_ref(), limit).map_err(|e| store_error(&e))?;
    let task = match created {
        Created::New => task,
        Created::Before(task) => *task,
        Created::Differs => {
            return Err(ApiError::new(
                ErrorCode::Unprocessable,
                "the idempotency key was used for another request",
            )
            .with_details(json!({"reason": "idempotency_key_reused", "header": "Idempotency-Key"})));
        }
        Created::Full(limit) => {
            return Err(ApiError::new(
                ErrorCode::QuotaBusy,
                format!("the tenant has {limit} tasks queued, which is its limit"),
            )
            .with_details(json!({"limit": limit, "raised_by": "tenant quota max_queued_tasks"}))
            .retry_after_ms(1000));
        }
    };
    state.tasks.queued();
    let ahead = tasks.ahead(&task.id).map_err(|e| store_error(&e))?;
    // Those before it are taken for tasks like this one, as nothing else is known of them.
    let us = priced.wait_us + priced.run_us * (1.0 + ahead as f64);
    Ok(Promise { task, estimated_ms: (us / 1e3).ceil().max(1.0) as u64, ahead })
}

struct Priced {
    options: Options,
    priority: Priority,
    run_us: f64,
    wait_us: f64,
}

fn request(
    id: &str,
    caller: &Arc<Caller>,
    operation: &'static Registered,
    options: &Options,
    style: Style,
    inputs: Record<Source>,
) -> Request {
    Request {
        id: id.into(),
        caller: Arc::clone(caller),
        operation,
        options: options.clone(),
        style,
        inputs,
        received: Instant::now(),
        decode: Duration::ZERO,
    }
}

fn price_one(
    state: &AppState,
    id: &str,
    caller: &Arc<Caller>,
    operation: &'static Registered,
    Decoded { style, options, inputs }: Decoded,
) -> Result<Priced, ApiError> {
    let quote = state.pipeline.quote(request(id, caller, operation, &options, style, inputs))?;
    Ok(Priced { options, priority: quote.priority, run_us: quote.run_us, wait_us: quote.wait_us })
}

/// An item that cannot run is answered in its place; so only the batch as a whole is judged here.
fn price_batch(state: &AppState, id: &str, caller: &Arc<Caller>, body: &[u8]) -> Result<Priced, ApiError> {
    let (options, items) = batch::parse(state, body)?;
    if items.is_empty() {
        return Err(Invalid::new("/workloads", "a batch that is a task needs at least one item").into());
    }
    let asked = options.priority.unwrap_or(Priority::Medium).min(caller.quota.max_priority);
    let mut priced = Priced { options, priority: asked, run_us: 0.0, wait_us: 0.0 };
    for (operation, inputs) in items.into_iter().flatten() {
        let waits = inputs.iter().any(|(_, v)| matches!(v, Value::Tensor(Source::Output(_))));
        if waits {
            continue;
        }
        let item = request(id, caller, operation, &priced.options, Style::Envelope, inputs);
        if let Ok(quote) = state.pipeline.quote(item) {
            priced.run_us += quote.run_us;
            priced.wait_us = quote.wait_us;
        }
    }
    Ok(priced)
}
