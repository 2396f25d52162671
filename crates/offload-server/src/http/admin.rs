//! Administration: tenants, keys, audit, cache.

use super::exchange::Exchange;
use super::identify::{caller, caller_with, store_error};
use super::submit::blocking;
use super::{AppState, body};
use crate::auth::{ADMIN, KeyRequest, new_key, unix_now};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::{ApiError, ErrorCode, Invalid};
use offload_pipeline::admit::Caller;
use offload_pipeline::records::{ApiKey, AuditFilter, StoreError, Stores, Tenant, check_dataset_name};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
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

/// Runs `f` over the stores on a thread that may block, and makes its changes visible here at once.
async fn stored<T: Send + 'static>(
    state: &Data<AppState>,
    f: impl FnOnce(&dyn Stores) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let state = state.clone();
    blocking(move || {
        let result = f(state.directory.stores().as_ref());
        state.directory.refresh()?;
        result
    })
    .await?
    .map_err(|e| store_error(&e))
}

async fn parsed<T: DeserializeOwned>(
    state: &AppState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, ApiError> {
    let body = body::read(state, request, payload).await?;
    object(&body)
}

/// An object as `T`. A list is refused, which serde would take for a struct's fields in order.
///
/// # Errors
/// When the text is no object, or not this one.
pub fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Invalid::new("", "the body must be a json object").into());
    }
    serde_json::from_slice(text).map_err(|e| Invalid::new("", offload_api::json::describe(&e)).into())
}

/// Numbers beyond the signed range would come back as other numbers from stores and clients.
fn bounded(pointer: &str, value: Option<u64>) -> Result<(), ApiError> {
    match value {
        Some(v) if i64::try_from(v).is_err() => {
            Err(Invalid::new(pointer, format!("the number must be at most {}", i64::MAX)).into())
        }
        _ => Ok(()),
    }
}

fn json_of(value: &impl Serialize) -> Result<Json, ApiError> {
    serde_json::to_value(value).map_err(|_| ApiError::new(ErrorCode::Internal, "the record does not render"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    cursor: Option<String>,
    limit: Option<usize>,
}

fn paging(request: &HttpRequest) -> Result<Paging, ApiError> {
    Query::<Paging>::from_query(request.query_string())
        .map(Query::into_inner)
        .map_err(|_| Invalid::new("", "the query takes cursor and limit").into())
}

/// `GET /tenants`.
pub async fn list_tenants(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let Paging { cursor, limit } = paging(&request)?;
        let page =
            stored(&state, move |s| s.tenants().list(cursor.as_deref(), limit.unwrap_or(PAGE))).await?;
        Ok((200, json!({"tenants": json_of(&page.items)?, "next": page.next})))
    }
    .await;
    reply(&exchange, outcome)
}

/// `POST /tenants`.
pub async fn create_tenant(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let mut body: Json = parsed(&state, &request, payload).await?;
        if let Some(map) = body.as_object_mut() {
            map.insert("created_at".into(), unix_now().into());
            map.insert("revision".into(), 0.into());
        }
        quota_is_object(&body)?;
        let tenant: Tenant =
            serde_json::from_value(body).map_err(|e| Invalid::new("", offload_api::json::describe(&e)))?;
        let tenant = stored(&state, move |s| s.tenants().create(&tenant)).await?;
        Ok((201, json_of(&tenant)?))
    }
    .await;
    reply(&exchange, outcome)
}

fn quota_is_object(body: &Json) -> Result<(), ApiError> {
    match body.get("quota") {
        None | Some(Json::Object(_)) => Ok(()),
        Some(_) => Err(Invalid::new("/quota", "quota must be an object").into()),
    }
}

/// `GET /tenants/{tenant}`.
pub async fn get_tenant(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let id = path.into_inner();
        let tenant = stored(&state, move |s| s.tenants().get(&id)?.ok_or(StoreError::NotFound)).await?;
        Ok((200, json_of(&tenant)?))
    }
    .await;
    reply(&exchange, outcome)
}

/// `PUT /tenants/{tenant}`: the whole record, with the revision that was read.
pub async fn update_tenant(
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let body: Json = parsed(&state, &request, payload).await?;
        quota_is_object(&body)?;
        let tenant: Tenant =
            serde_json::from_value(body).map_err(|e| Invalid::new("", offload_api::json::describe(&e)))?;
        if tenant.id != *path {
            return Err(Invalid::new("/id", "the id must be the one in the path").into());
        }
        let tenant = stored(&state, move |s| s.tenants().update(&tenant)).await?;
        Ok((200, json_of(&tenant)?))
    }
    .await;
    reply(&exchange, outcome)
}

/// `DELETE /tenants/{tenant}`, its keys and datasets with it.
pub async fn delete_tenant(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let id = path.clone();
        stored(&state, move |s| {
            let tenant = s.tenants().get(&id)?.ok_or(StoreError::NotFound)?;
            s.tenants().delete(&id, tenant.revision)
        })
        .await?;
        let (id, shared) = (path.into_inner(), state.clone());
        // Whatever fails here is made up for at the next start, before anyone can be that tenant again.
        blocking(move || shared.catalog.delete_all(&id)).await??;
        Ok((200, json!({"deleted": true})))
    }
    .await;
    reply(&exchange, outcome)
}

/// What is told of a key: everything but its hash.
fn shown(key: &ApiKey) -> Json {
    json!({"key_id": key.key_id, "tenant_id": key.tenant_id, "user_id": key.user_id, "name": key.name,
           "scopes": key.scopes, "last_four": key.last_four, "created_at": key.created_at,
           "expires_at": key.expires_at, "revoked_at": key.revoked_at})
}

/// `GET /tenants/{tenant}/keys`.
pub async fn list_keys(request: HttpRequest, path: Path<String>, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let Paging { cursor, limit } = paging(&request)?;
        let tenant = path.into_inner();
        let page = stored(&state, move |s| {
            s.tenants().get(&tenant)?.ok_or(StoreError::NotFound)?;
            s.keys().list(&tenant, cursor.as_deref(), limit.unwrap_or(PAGE))
        })
        .await?;
        Ok((200, json!({"keys": page.items.iter().map(shown).collect::<Vec<_>>(), "next": page.next})))
    }
    .await;
    reply(&exchange, outcome)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[serde(default)]
    user_id: String,
    scopes: Vec<String>,
    #[serde(default)]
    expires_at: Option<u64>,
}

/// `POST /tenants/{tenant}/keys`: the only time the key's text is shown.
pub async fn create_key(
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let asked: NewKey = parsed(&state, &request, payload).await?;
        let tenant_id = path.into_inner();
        let (key, text) = stored(&state, move |s| {
            s.tenants().get(&tenant_id)?.ok_or(StoreError::NotFound)?;
            let (key, text) = new_key(KeyRequest {
                tenant_id,
                user_id: asked.user_id,
                name: asked.name,
                scopes: asked.scopes,
                expires_at: asked.expires_at,
            })?;
            Ok((s.keys().create(&key)?, text))
        })
        .await?;
        let mut body = shown(&key);
        body["api_key"] = text.into();
        Ok((201, body))
    }
    .await;
    reply(&exchange, outcome)
}

/// `DELETE /tenants/{tenant}/keys/{key}`: the key and its tokens are dead from here on.
pub async fn revoke_key(
    request: HttpRequest,
    path: Path<(String, String)>,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let (tenant, key_id) = path.into_inner();
        let key = stored(&state, move |s| {
            s.keys().get(&key_id)?.filter(|k| k.tenant_id == tenant).ok_or(StoreError::NotFound)?;
            s.keys().revoke(&key_id, unix_now())
        })
        .await?;
        Ok((200, shown(&key)))
    }
    .await;
    reply(&exchange, outcome)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    tenant_id: Option<String>,
    from_us: Option<u64>,
    until_us: Option<u64>,
    workload_type: Option<String>,
    status: Option<u16>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /audit`.
pub async fn audit(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        caller_with(&state, &request, &mut exchange, ADMIN)?;
        let q = Query::<AuditQuery>::from_query(request.query_string())
            .map_err(|_| {
                Invalid::new(
                    "",
                    "the query takes tenant_id, from_us, until_us, workload_type, status, cursor and limit",
                )
            })?
            .into_inner();
        bounded("/from_us", q.from_us)?;
        bounded("/until_us", q.until_us)?;
        let page = stored(&state, move |s| {
            let filter = AuditFilter {
                tenant_id: q.tenant_id,
                from_us: q.from_us,
                until_us: q.until_us,
                workload_type: q.workload_type,
                status: q.status,
            };
            s.audit().query(&filter, q.cursor.as_deref(), q.limit.unwrap_or(PAGE))
        })
        .await?;
        Ok((200, json!({"records": json_of(&page.items)?, "next": page.next})))
    }
    .await;
    reply(&exchange, outcome)
}

/// `DELETE /cache?table=…`, `?dataset=…` or `?all`: of the caller's own tenant.
pub async fn drop_cache(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = drop_results(&state, &request, &mut exchange);
    reply(&exchange, outcome)
}

fn drop_results(state: &AppState, request: &HttpRequest, exchange: &mut Exchange) -> Outcome {
    let caller = caller(state, request, exchange)?;
    let query = Query::<HashMap<String, String>>::from_query(request.query_string())
        .map_err(|_| Invalid::new("", "the query takes table=<name>, dataset=<name> or all"))?;
    let usage = || {
        Err(Invalid::new("", "the query takes one of table=<name>, dataset=<name> and all, and nothing else")
            .into())
    };
    let mut words = query.iter();
    match (words.next(), words.next()) {
        (Some((word, _)), None) if word == "all" => {
            state.pipeline.results().invalidate_all(&caller.tenant);
            Ok((200, json!({"invalidated": "all"})))
        }
        (Some((word, name)), None) if word == "dataset" => {
            check_dataset_name("dataset", name).map_err(|e| store_error(&e))?;
            state.pipeline.results().invalidate_dataset(&caller.tenant, name);
            Ok((200, json!({"dataset": name, "invalidated": "dataset"})))
        }
        (Some((word, table)), None) if word == "table" => invalidate_table(state, &caller, table, None),
        _ => usage(),
    }
}

fn invalidate_table(state: &AppState, caller: &Arc<Caller>, table: &str, version: Option<u64>) -> Outcome {
    if table.is_empty() || table.len() > 256 {
        return Err(Invalid::new("/table", "table has 1 to 256 bytes").into());
    }
    bounded("/version", version)?;
    let version = state.pipeline.results().invalidate_table(&caller.tenant, table, version);
    Ok((200, json!({"table": table, "version": version})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalidation {
    table: String,
    #[serde(default)]
    version: Option<u64>,
}

/// `POST /cache/invalidate`: a table of the caller's tenant has changed.
pub async fn invalidate(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let outcome = async {
        let caller = caller(&state, &request, &mut exchange)?;
        let asked: Invalidation = parsed(&state, &request, payload).await?;
        invalidate_table(&state, &caller, &asked.table, asked.version)
    }
    .await;
    reply(&exchange, outcome)
}
