//! `…/async` and `/tasks`.

use super::body::{self, Media};
use super::exchange::Exchange;
use super::identify::{caller, caller_with, store_error};
use super::oip::head_bytes;
use super::submit::{blocking, permitted};
use super::{AppState, BASE};
use crate::auth::{ADMIN, unix_now};
use crate::callbacks::{replace_secret, signature};
use crate::tasks::document::{self, View};
use crate::tasks::{self, Form, Submitted, unix_ms};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offload_api::{ApiError, ErrorCode, Invalid, Memory, nearest};
use offload_core::Registered;
use offload_pipeline::admit::Caller;
use offload_pipeline::records::{StoreError, Task, TaskFilter, TaskStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Items of a page when the caller does not say.
const PAGE: usize = 100;
/// Seconds that a ticket holds.
const TICKET_SECONDS: u64 = 60;
/// What tickets are sealed for.
const TICKET: &str = "ticket";

/// `POST /workloads/{family}/{operation}/async`.
pub async fn submit(
    request: HttpRequest,
    (family, name): (String, String),
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let operation = permitted(&state, &caller, &family, &name)?;
        accept(&state, &request, payload, &exchange, caller, Some(operation)).await
    }
    .await;
    promise(&exchange, outcome)
}

/// `POST /workloads/batch/async`.
pub async fn submit_batch(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        accept(&state, &request, payload, &exchange, caller, None).await
    }
    .await;
    promise(&exchange, outcome)
}

async fn accept(
    state: &Data<AppState>,
    request: &HttpRequest,
    payload: Payload,
    exchange: &Exchange,
    caller: Arc<Caller>,
    operation: Option<&'static Registered>,
) -> Result<tasks::Promise, ApiError> {
    let header = |name: &str| match request.headers().get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_string())),
        Some(Err(_)) => Err(Invalid::new("", format!("the header {name} must be printable ascii"))),
    };
    let idempotency_key = header("idempotency-key")?;
    // Batches have no form but JSON.
    let head_bytes = if operation.is_some() { head_bytes(request)? } else { None };
    let (body, form): (Arc<dyn Memory>, Form) = if let Some(head_bytes) = head_bytes {
        let body = body::read_aligned(state, request, payload, Media::Tensors, head_bytes).await?;
        (body, Form::Tensors(head_bytes))
    } else {
        let content_type = header("content-type")?.unwrap_or_else(|| "application/json".into());
        (Arc::new(body::read(state, request, payload).await?), Form::Json(content_type))
    };
    let id = exchange.id.clone();
    let submitted = Submitted { id, caller, operation, body, form, idempotency_key };
    let shared = state.clone();
    blocking(move || tasks::submit(&shared, submitted)).await?
}

fn promise(exchange: &Exchange, outcome: Result<tasks::Promise, ApiError>) -> HttpResponse {
    let promise = match outcome {
        Ok(promise) => promise,
        Err(e) => return exchange.error(e),
    };
    let task = &promise.task;
    let body = json!({
        "task_id": task.id,
        "status": task.status.name(),
        "estimated_completion_ms": promise.estimated_ms,
        "position_in_queue": promise.ahead,
        "priority": task.priority.name(),
        "request_id": exchange.id,
    });
    let mut answer = exchange.json(202, &body);
    if let Ok(place) = HeaderValue::from_str(&format!("{BASE}/tasks/{}", task.id)) {
        answer.headers_mut().insert(HeaderName::from_static("location"), place);
    }
    answer
}

/// What a caller learns of a task that is not there, and of one that is another tenant's.
pub fn no_task() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no such task")
}

/// The tenant's task of that id.
///
/// # Errors
/// `not_found`, and when the store does not answer.
pub async fn find(state: &Data<AppState>, tenant: &str, id: &str) -> Result<Task, ApiError> {
    let (shared, tenant, id) = (state.clone(), tenant.to_string(), id.to_string());
    blocking(move || shared.directory.stores().tasks().get(&tenant, &id))
        .await?
        .map_err(|e| store_error(&e))?
        .ok_or_else(no_task)
}

/// The document of a task as it is now.
///
/// # Errors
/// When the store does not answer.
pub async fn document(state: &Data<AppState>, task: Task) -> Result<Vec<u8>, ApiError> {
    let shared = state.clone();
    blocking(move || {
        let view = View::of(&task, shared.tasks.live(&task.id).map(|(live, _)| live));
        document::render(&shared.config.tasks, shared.directory.stores().as_ref(), &task, &view)
    })
    .await?
    .map_err(|e| store_error(&e))
}

fn reply(exchange: &Exchange, outcome: Result<Vec<u8>, ApiError>) -> HttpResponse {
    match outcome {
        Ok(body) => exchange.answer(200, "application/json", body),
        Err(e) => exchange.error(e),
    }
}

/// `GET /tasks/{task}`.
pub async fn get(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let task = find(&state, caller.tenant.as_str(), &path).await?;
        document(&state, task).await
    }
    .await;
    reply(&exchange, outcome)
}

/// `GET /tasks/{task}/result`: the members of the answer alone, however large.
pub async fn result(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let task = find(&state, caller.tenant.as_str(), &path).await?;
        if task.status != TaskStatus::Completed {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                format!("the task has no result, it is {}", task.status.name()),
            )
            .with_details(json!({"status": task.status.name()})));
        }
        let shared = state.clone();
        blocking(move || shared.directory.stores().tasks().result(&task.tenant_id, &task.id))
            .await?
            .map_err(|e| store_error(&e))?
            .ok_or_else(no_task)
    }
    .await;
    reply(&exchange, outcome)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    status: Option<String>,
    r#type: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /tasks`: the tenant's own, newest first, without results.
pub async fn list(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let asked = Query::<Listing>::from_query(request.query_string())
            .map_err(|_| Invalid::new("", "the query takes status, type, limit and cursor"))?
            .into_inner();
        let status = asked
            .status
            .map(|word| {
                TaskStatus::from_name(&word).ok_or_else(|| {
                    let names = TaskStatus::ALL.map(TaskStatus::name);
                    let hint =
                        nearest(&word, names).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                    Invalid::new("/status", format!("status must be one of {}{hint}", names.join(", ")))
                })
            })
            .transpose()?;
        let filter = TaskFilter {
            tenant_id: Some(caller.tenant.to_string()),
            status,
            // The catalogue's spelling will do as well.
            workload_type: asked.r#type.map(|t| t.replace(['/', '.'], "_")),
        };
        let shared = state.clone();
        let limit = asked.limit.unwrap_or(PAGE);
        let page =
            blocking(move || shared.directory.stores().tasks().list(&filter, asked.cursor.as_deref(), limit))
                .await?
                .map_err(|e| store_error(&e))?;
        let tasks: Vec<Json> = page
            .items
            .iter()
            .map(|task| {
                let view = View::of(task, state.tasks.live(&task.id).map(|(live, _)| live));
                Json::Object(document::head(task, &view))
            })
            .collect();
        Ok(json!({"tasks": tasks, "next": page.next}).to_string().into_bytes())
    }
    .await;
    reply(&exchange, outcome)
}

/// `DELETE /tasks/{task}`: cancels it, wherever it is.
pub async fn cancel(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let (shared, tenant, id) = (state.clone(), caller.tenant.to_string(), path.into_inner());
        let task = blocking(move || {
            let task = shared.directory.stores().tasks().cancel(&tenant, &id, unix_ms())?;
            if let Some(task) = task.as_ref().filter(|t| t.status == TaskStatus::Cancelled) {
                shared.tasks.cancelled(task);
            }
            Ok(task)
        })
        .await?
        .map_err(|e: StoreError| store_error(&e))?
        .ok_or_else(no_task)?;
        if task.status != TaskStatus::Cancelled {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                format!("the task cannot be cancelled, it is {}", task.status.name()),
            )
            .with_details(json!({"status": task.status.name()})));
        }
        document(&state, task).await
    }
    .await;
    reply(&exchange, outcome)
}

/// `POST /tasks/{task}/retry`: a dead letter gets all its attempts again.
pub async fn retry(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let task = find(&state, caller.tenant.as_str(), &path).await?;
        let refused = |status: TaskStatus| {
            ApiError::new(
                ErrorCode::Conflict,
                format!("only a dead letter is retried, the task is {}", status.name()),
            )
            .with_details(json!({"status": status.name()}))
        };
        if task.status != TaskStatus::DeadLetter {
            return Err(refused(task.status));
        }
        let shared = state.clone();
        let task = blocking(move || {
            let now = unix_ms();
            // It gets the time again that it was given.
            let deadline = now.saturating_add(task.deadline_ms.saturating_sub(task.created_at_ms));
            shared.directory.stores().tasks().retry(&task.tenant_id, &task.id, now, deadline)
        })
        .await?
        .map_err(|e| match e {
            StoreError::NotFound => no_task(),
            StoreError::Conflict => refused(TaskStatus::Queued),
            e => store_error(&e),
        })?;
        state.tasks.queued();
        document(&state, task).await
    }
    .await;
    reply(&exchange, outcome)
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    tenant: String,
    task: String,
    expires_at: u64,
}

/// `POST /tasks/{task}/ticket`: what a browser's EventSource or WebSocket, which send no headers, follow a task with.
pub async fn ticket(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let task = find(&state, caller.tenant.as_str(), &path).await?;
        let ticket =
            Ticket { tenant: task.tenant_id, task: task.id, expires_at: unix_now() + TICKET_SECONDS };
        let text = serde_json::to_vec(&ticket).unwrap_or_default();
        let sealed = state.vault.seal(TICKET, &text).map_err(|e| {
            tracing::error!(error = %e, "a ticket cannot be sealed");
            ApiError::new(ErrorCode::Internal, "no ticket can be made; the log has the cause")
        })?;
        let body = json!({"ticket": URL_SAFE_NO_PAD.encode(sealed), "expires_in": TICKET_SECONDS});
        Ok(body.to_string().into_bytes())
    }
    .await;
    reply(&exchange, outcome)
}

/// Whose a ticket for this task is, if it holds.
pub fn ticket_holder(state: &AppState, text: &str, task: &str) -> Option<String> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let ticket: Ticket = serde_json::from_slice(&state.vault.unseal(TICKET, sealed).ok()?).ok()?;
    (ticket.task == task && ticket.expires_at >= unix_now()).then_some(ticket.tenant)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /dead-letters`: callbacks that were given up, of every tenant for an administrator, else of one's own.
pub async fn dead_letters(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let paging = Query::<Paging>::from_query(request.query_string())
            .map_err(|_| Invalid::new("", "the query takes cursor and limit"))?
            .into_inner();
        let tenant = (!caller.has(ADMIN)).then(|| caller.tenant.to_string());
        let shared = state.clone();
        let page = blocking(move || {
            let limit = paging.limit.unwrap_or(PAGE);
            shared.directory.stores().callbacks().dead(tenant.as_deref(), paging.cursor.as_deref(), limit)
        })
        .await?
        .map_err(|e| store_error(&e))?;
        let letters: Vec<Json> = page
            .items
            .into_iter()
            .map(|c| {
                json!({"webhook_id": c.webhook_id, "tenant_id": c.tenant_id, "task_id": c.task_id,
                       "attempts": c.attempts, "at_ms": c.at_ms, "error": c.error})
            })
            .collect();
        Ok(json!({"callbacks": letters, "next": page.next}).to_string().into_bytes())
    }
    .await;
    reply(&exchange, outcome)
}

/// `POST /tenants/{tenant}/webhook-secret`: a new secret for the tenant's callbacks, shown once.
pub async fn webhook_secret(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let (shared, tenant) = (state.clone(), path.into_inner());
        let secret = blocking(move || {
            let stores = shared.directory.stores();
            stores.tenants().get(&tenant)?.ok_or(StoreError::NotFound)?;
            replace_secret(stores.as_ref(), &shared.vault, &tenant)
        })
        .await?
        .map_err(|e| store_error(&e))?;
        Ok(json!({"secret": signature::text_of(&secret)}).to_string().into_bytes())
    }
    .await;
    match outcome {
        Ok(body) => exchange.answer(201, "application/json", body),
        Err(e) => exchange.error(e),
    }
}
