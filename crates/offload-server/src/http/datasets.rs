//! Datasets: sent once, named in many jobs.
//!
//! What is told beside the columns (`key`, `mode`, `version`) may stand in the query as well, where a format of bodies
//! has no place for it; `If-Match` names the version too.

use super::AppState;
use super::body::{self, Media};
use super::exchange::Exchange;
use super::identify::caller_with;
use super::oip::head_bytes;
use super::submit::blocking;
use crate::auth::DATASETS;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::json::{ColumnsBody, decode_columns};
use offload_api::{ApiError, ColumnKind, Invalid, arrow, oip};
use offload_pipeline::admit::Caller;
use offload_pipeline::data::{Change, Mode, Version};
use offload_pipeline::records::check_dataset_name;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Items of a page when the caller does not say.
const PAGE: usize = 100;

type Outcome = Result<(u16, Json), ApiError>;

fn reply(exchange: &Exchange, outcome: Outcome) -> HttpResponse {
    match outcome {
        Ok((status, body)) => exchange.json(status, &body),
        Err(e) => exchange.error(e),
    }
}

/// What may stand in the query.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: Option<String>,
    mode: Option<String>,
    version: Option<u64>,
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Asked {
    /// The query, which may have these words.
    fn of(request: &HttpRequest, words: &[&str]) -> Result<Asked, ApiError> {
        let usage = || {
            let takes = if words.is_empty() { "nothing".to_owned() } else { words.join(" and ") };
            Invalid::new("", format!("the query takes {takes}"))
        };
        let asked = Query::<Asked>::from_query(request.query_string()).map_err(|_| usage())?.into_inner();
        let there = [
            ("key", asked.key.is_some()),
            ("mode", asked.mode.is_some()),
            ("version", asked.version.is_some()),
            ("cursor", asked.cursor.is_some()),
            ("limit", asked.limit.is_some()),
        ];
        if there.iter().any(|(word, is)| *is && !words.contains(word)) {
            return Err(usage().into());
        }
        Ok(asked)
    }
}

/// One of what the body and what the query say.
fn either<T>(word: &str, body: Option<T>, query: Option<T>) -> Result<Option<T>, ApiError> {
    match (body, query) {
        (Some(_), Some(_)) => Err(Invalid::new(format!("/{word}"), format!("{word} is there twice")).into()),
        (body, query) => Ok(body.or(query)),
    }
}

/// The version that `If-Match` names: `"7"` or `7`.
fn if_match(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers().get("if-match") else { return Ok(None) };
    let version = value.to_str().ok().and_then(|v| v.trim().trim_matches('"').parse().ok());
    version.map(Some).ok_or_else(|| Invalid::new("", "if-match must be one version of the dataset").into())
}

/// What is told of a version.
fn shown(version: &Version, residence: bool) -> Json {
    let record = version.record();
    let places = version.residence();
    let schema: Vec<Json> = record
        .columns
        .iter()
        .zip(&places)
        .map(|(c, place)| {
            let mut column = json!({"name": c.name, "type": c.kind().type_name(), "shape": c.inner});
            if residence {
                column["residency"] = place.name().into();
            }
            column
        })
        .collect();
    json!({"name": record.name, "version": record.version, "rows": record.rows(), "bytes": record.bytes(),
           "schema": schema, "key": record.key, "segments": record.segments.len(),
           "created_at": record.created_at, "updated_at": record.updated_at})
}

/// The body as columns. `words` are what JSON may hold beside them, `known` the types that are settled.
async fn columns(
    state: &Data<AppState>,
    request: &HttpRequest,
    payload: Payload,
    words: &'static [&'static str],
    known: Vec<(String, ColumnKind)>,
) -> Result<ColumnsBody, ApiError> {
    let only = |columns| ColumnsBody { columns, ..ColumnsBody::default() };
    let decoded = if Media::is_arrow(request) {
        let body = body::read_aligned(state, request, payload, Media::Arrow, 0).await?;
        state.codec.run(move || arrow::columns(&body).map(only)).await?
    } else if let Some(head) = head_bytes(request)? {
        let body = body::read_aligned(state, request, payload, Media::Tensors, head).await?;
        state.codec.run(move || oip::columns(&body, Some(head)).map(only)).await?
    } else {
        let body = body::read(state, request, payload).await?;
        state.codec.run(move || decode_columns(&body, words, &known)).await?
    };
    decoded.map_err(Into::into)
}

/// `GET /datasets`.
pub async fn list(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller_with(&state, &request, &mut exchange, DATASETS)?;
        let asked = Asked::of(&request, &["cursor", "limit"])?;
        let shared = state.clone();
        let page = blocking(move || {
            let tenant = caller.tenant.as_str();
            let page = shared.catalog.list(tenant, asked.cursor.as_deref(), asked.limit.unwrap_or(PAGE));
            page.map(|p| (p, shared.catalog.used_bytes(tenant), caller.quota.max_dataset_bytes))
        });
        let (page, used, limit) = page.await??;
        let datasets: Vec<Json> = page.items.iter().map(|v| shown(v, true)).collect();
        Ok((200, json!({"datasets": datasets, "next": page.next, "used_bytes": used, "limit_bytes": limit})))
    }
    .await;
    reply(&exchange, outcome)
}

/// `GET /datasets/{name}`.
pub async fn describe(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = caller_with(&state, &request, &mut exchange, DATASETS).and_then(|caller| {
        let asked = Asked::of(&request, &["version"])?;
        let version = state.catalog.at(caller.tenant.as_str(), &path, asked.version)?;
        Ok((200, shown(&version, true)))
    });
    reply(&exchange, outcome)
}

/// `PUT /datasets/{name}`: makes it, or replaces all that it has.
pub async fn put(
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller_with(&state, &request, &mut exchange, DATASETS)?;
        let name = path.into_inner();
        check_dataset_name("the dataset's name", &name).map_err(|e| Invalid::new("", e.to_string()))?;
        let asked = Asked::of(&request, &["key", "version"])?;
        let body = columns(&state, &request, payload, &["dtypes", "key", "version"], Vec::new()).await?;
        let key = either("key", body.key, asked.key)?;
        let version = expected(&request, body.version, asked.version)?;
        let rows = body.columns;
        let made = written(&state, caller, move |state, caller| {
            let at = (caller.tenant.as_str(), name.as_str());
            state.catalog.put(at, &rows, key.as_deref(), version, caller.quota.max_dataset_bytes)
        });
        let (version, _) = made.await?;
        Ok((201, shown(&version, false)))
    }
    .await;
    reply(&exchange, outcome)
}

/// `PATCH /datasets/{name}`: adds, replaces or removes rows.
pub async fn change(
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller_with(&state, &request, &mut exchange, DATASETS)?;
        let name = path.into_inner();
        let asked = Asked::of(&request, &["mode", "version"])?;
        let known = state.catalog.newest(caller.tenant.as_str(), &name)?;
        let known = known.record().columns.iter().map(|c| (c.name.clone(), c.kind())).collect();
        let body = columns(&state, &request, payload, &["mode", "version"], known).await?;
        let mode = either("mode", body.mode, asked.mode)?.map(|word| {
            Mode::from_name(&word)
                .ok_or_else(|| Invalid::new("/mode", "mode must be one of append, upsert, delete"))
        });
        let version = expected(&request, body.version, asked.version)?;
        let change = Change { mode: mode.transpose()?, columns: body.columns, version };
        let changed = written(&state, caller, move |state, caller| {
            let at = (caller.tenant.as_str(), name.as_str());
            state.catalog.change(at, &change, caller.quota.max_dataset_bytes)
        });
        Ok((200, shown(&*changed.await?, false)))
    }
    .await;
    reply(&exchange, outcome)
}

/// `DELETE /datasets/{name}`.
pub async fn delete(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller_with(&state, &request, &mut exchange, DATASETS)?;
        let name = path.into_inner();
        let version = expected(&request, None, Asked::of(&request, &["version"])?.version)?;
        let deleted = written(&state, caller, move |state, caller| {
            state.catalog.delete(caller.tenant.as_str(), &name, version)
        });
        deleted.await?;
        Ok((200, json!({"deleted": true})))
    }
    .await;
    reply(&exchange, outcome)
}

/// The version that the dataset must be at, wherever it is named.
fn expected(request: &HttpRequest, body: Option<u64>, query: Option<u64>) -> Result<Option<u64>, ApiError> {
    either("version", either("version", body, query)?, if_match(request)?)
}

/// Runs a write on a thread that may wait for the disk.
async fn written<T: Send + 'static>(
    state: &Data<AppState>,
    caller: Arc<Caller>,
    write: impl FnOnce(&AppState, &Caller) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let shared = state.clone();
    blocking(move || write(&shared, &caller)).await?
}
