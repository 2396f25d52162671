//! `openapi.json`, generated from the registry and the error table.

use super::BASE;
use offload_api::{ErrorCode, json::write_record};
use offload_core::{Expect, Registered, Registry};
use serde_json::{Map, Value as Json, json};

/// The inputs and outputs of an operation's first worked example, as JSON.
pub fn example(r: &Registered) -> Json {
    let cases = r.operation.cases();
    let Some(case) = cases.first() else { return Json::Null };
    let object = |record: &offload_api::Record| {
        let mut text = b"{".to_vec();
        let finite = write_record(record, &mut text).is_ok();
        text.push(b'}');
        if finite { serde_json::from_slice(&text).unwrap_or(Json::Null) } else { Json::Null }
    };
    let mut inputs = object(&case.inputs);
    let real = case.inputs.iter().find_map(|(_, v)| match v {
        offload_api::Value::Tensor(t) if t.dtype().is_real() => Some(t.dtype()),
        _ => None,
    });
    if let (Some(map), Some(dtype)) = (inputs.as_object_mut(), real) {
        map.insert("dtype".into(), dtype.name().into());
    }
    match &case.expect {
        Expect::Outputs(outputs, _) => json!({"inputs": inputs, "outputs": object(outputs)}),
        _ => json!({"inputs": inputs}),
    }
}

fn error_responses(codes: &[ErrorCode]) -> Map<String, Json> {
    let mut by_status: Map<String, Json> = Map::new();
    for code in codes {
        let text = format!("`{}`: {}", code.name(), code.advice());
        let entry = by_status.entry(code.status().to_string()).or_insert_with(|| {
            json!({"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}})
        });
        let old = entry["description"].as_str().unwrap_or_default().to_string();
        entry["description"] = if old.is_empty() { text } else { format!("{old}; {text}") }.into();
    }
    by_status
}

/// Codes that every authenticated call can answer.
const COMMON: &[ErrorCode] = &[
    ErrorCode::Unauthenticated,
    ErrorCode::InsufficientScope,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
    ErrorCode::Overloaded,
];
/// Codes of calls with a body.
const WITH_BODY: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::Timeout,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
];
/// Codes of submissions.
const SUBMISSION: &[ErrorCode] = &[
    ErrorCode::WorkloadNotAllowed,
    ErrorCode::QuotaExceeded,
    ErrorCode::NotFound,
    ErrorCode::StaleVersion,
    ErrorCode::Unprocessable,
    ErrorCode::QuotaBusy,
    ErrorCode::BackendUnavailable,
    ErrorCode::NoGpuAvailable,
    ErrorCode::OutOfMemory,
];

fn ok(status: u16, description: &str, schema: &Json) -> (String, Json) {
    (
        status.to_string(),
        json!({"description": description, "content": {"application/json": {"schema": schema}}}),
    )
}

fn responses(success: (String, Json), sets: &[&[ErrorCode]]) -> Json {
    let mut all = error_responses(&sets.concat());
    all.insert(success.0, success.1);
    all.into()
}

fn workload(r: &Registered) -> Json {
    let mut flat = r.schema.to_json_schema();
    let envelope_inputs = flat.clone();
    let options = options();
    if let (Some(properties), Some(options)) = (flat["properties"].as_object_mut(), options.as_object()) {
        properties.extend(options.clone());
    }
    let mut envelope = json!({"type": "object", "required": ["inputs"], "additionalProperties": false,
                              "properties": {"inputs": envelope_inputs}});
    if let (Some(properties), Some(options)) = (envelope["properties"].as_object_mut(), options.as_object()) {
        properties.extend(options.clone());
    }
    let outputs: Map<String, Json> =
        r.about.outputs.iter().map(|f| (f.name.to_string(), f.to_json_schema())).collect();
    let mut flat_answer = json!({"type": "object", "properties": outputs});
    let sole = r.about.outputs.len() == 1 && r.about.outputs[0].name == "result";
    let result = if sole {
        r.about.outputs[0].to_json_schema()
    } else {
        json!({"type": "object", "properties": outputs})
    };
    let mut envelope_answer = json!({"type": "object", "properties": {"result": result}});
    for answer in [&mut flat_answer, &mut envelope_answer] {
        if let (Some(properties), Some(meta)) = (answer["properties"].as_object_mut(), meta().as_object()) {
            properties.extend(meta.clone());
        }
        answer["required"] =
            json!(["gpu_time_us", "total_time_us", "cache_hit", "device", "request_id", "timings"]);
    }
    let example = example(r);
    let answer = json!({"anyOf": [flat_answer, envelope_answer]});
    json!({
        "operationId": r.workload_type,
        "tags": [r.about.family],
        "summary": r.about.summary,
        "description": format!("{}\n\nScope: `{}`. Default priority: `{}`.", r.about.doc, r.scope, r.about.default_priority.name()),
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"anyOf": [flat, envelope]},
            "examples": {"flat": {"value": example["inputs"]}, "envelope": {"value": {"inputs": example["inputs"], "priority": "high"}}},
        }}},
        "responses": responses(ok(200, "The outputs, in the shape of the request.", &answer), &[COMMON, WITH_BODY, SUBMISSION]),
    })
}

fn options() -> Json {
    json!({
        "priority": {"type": "string", "enum": ["low", "medium", "high", "realtime"]},
        "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 86_400_000},
        "cache": {"type": "boolean"},
        "depends_on": {"type": "array", "maxItems": 64, "items": {"type": "object", "required": ["table"], "additionalProperties": false,
            "properties": {"table": {"type": "string", "minLength": 1, "maxLength": 256},
                           "version": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}},
        "device": {"anyOf": [{"type": "string", "enum": ["auto", "cpu", "gpu"]}, {"type": "integer", "minimum": 0, "maximum": 4_294_967_295u64}]},
        "explain": {"type": "boolean"},
        "workload_type": {"type": "string"},
    })
}

fn meta() -> Json {
    let us = json!({"type": "integer", "minimum": 0});
    json!({
        "gpu_time_us": us, "total_time_us": us, "cache_hit": {"type": "boolean"},
        "device_id": {"type": "integer", "nullable": true}, "device": {"type": "string"},
        "computed_on": {"type": "string"}, "priority": {"type": "string"},
        "fallback": {"type": "object", "properties": {"reason": {"type": "string"}}},
        "explanation": {"type": "object"}, "request_id": {"type": "string"},
        "timings": {"type": "object", "properties": {"queue_us": us, "decode_us": us, "upload_us": us,
                    "compute_us": us, "download_us": us, "encode_us": us}},
    })
}

fn tenant_schema(input: bool) -> Json {
    let mut schema = json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9_-]+$"},
        "name": {"type": "string", "maxLength": 256},
        "suspended": {"type": "boolean"},
        "quota": {"type": "object", "additionalProperties": false, "properties": {
            "max_device_memory_bytes": {"type": "integer", "minimum": 0},
            "max_host_memory_bytes": {"type": "integer", "minimum": 0},
            "max_concurrent_tasks": {"type": "integer", "minimum": 0},
            "max_queued_tasks": {"type": "integer", "minimum": 0},
            "max_requests_per_minute": {"type": "integer", "minimum": 0},
            "max_dataset_bytes": {"type": "integer", "minimum": 0},
            "allowed_families": {"type": "array", "items": {"type": "string"}, "nullable": true},
            "max_priority": {"type": "string", "enum": ["low", "medium", "high", "realtime"]}}}}});
    if !input {
        schema["properties"]["revision"] = json!({"type": "integer"});
        schema["properties"]["created_at"] = json!({"type": "integer"});
    }
    schema
}

fn body(schema: &Json) -> Json {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

fn parameter(place: &str, name: &str, schema: &Json) -> Json {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema})
}

/// The API description.
pub fn document(registry: &Registry) -> Json {
    let any = json!({"type": "object"});
    let text = json!({"type": "string"});
    let open = json!([]);
    let mut paths = Map::new();
    for r in registry.iter() {
        let path = format!("/workloads/{}/{}", r.about.family, r.about.name);
        paths.insert(path, json!({"post": workload(r)}));
    }
    let get = |id: &str, tag: &str, summary: &str, codes: &[&[ErrorCode]]| json!({"operationId": id, "tags": [tag], "summary": summary, "responses": responses(ok(200, summary, &any), codes)});
    let item = json!({"type": "object", "additionalProperties": false, "required": ["type", "operation", "inputs"],
        "properties": {"type": text, "operation": text, "inputs": any}});
    let mut batch = json!({"type": "object", "additionalProperties": false, "required": ["workloads"],
        "properties": {"workloads": {"type": "array", "maxItems": 1000, "items": item}}});
    if let (Some(properties), Some(options)) = (batch["properties"].as_object_mut(), options().as_object()) {
        properties.extend(options.clone());
    }
    paths.insert("/workloads/batch".into(), json!({"post": {
        "operationId": "batch", "tags": ["workloads"], "summary": "Several workloads in one request",
        "description": "Items run in parallel and fail alone. An input may be an earlier item's output: {\"$result\": {\"index\": 0, \"output\": \"result\"}}.",
        "requestBody": body(&batch),
        "responses": responses(ok(200, "The results in order.", &any), &[COMMON, WITH_BODY])}}));
    let token = json!({"type": "object", "additionalProperties": false, "required": ["api_key"], "properties": {"api_key": text}});
    paths.insert("/auth/token".into(), json!({"post": {
        "operationId": "token", "tags": ["auth"], "summary": "A token for an API key", "security": open,
        "requestBody": body(&token),
        "responses": responses(ok(200, "A token.", &json!({"type": "object", "required": ["token", "expires_in"],
            "properties": {"token": text, "expires_in": {"type": "integer"}}})),
            &[&[ErrorCode::Unauthenticated, ErrorCode::RateLimited, ErrorCode::Internal, ErrorCode::Overloaded], WITH_BODY])}}));
    for (path, id, summary) in [
        ("/health/live", "live", "The process answers"),
        ("/health/ready", "ready", "The service takes work"),
        ("/.well-known/jwks.json", "jwks", "The public keys of tokens"),
    ] {
        let mut call = get(id, "service", summary, &[&[ErrorCode::Overloaded]]);
        call["security"] = open.clone();
        paths.insert(path.into(), json!({"get": call}));
    }
    paths.insert(
        "/metrics".into(),
        json!({"get": {"operationId": "metrics", "tags": ["service"],
        "summary": "Figures for Prometheus", "security": [{}, {"BearerAuth": []}, {"ApiKeyAuth": []}],
        "responses": responses(("200".into(), json!({"description": "Prometheus text format 0.0.4",
            "content": {"text/plain": {"schema": text}}})), &[COMMON])}}),
    );
    for (path, id, summary) in [
        ("/operations", "operations", "The catalogue with schemas and examples"),
        ("/devices", "devices", "The devices and how they are"),
        ("/cost-model", "cost_model", "What each operation was learned to cost"),
    ] {
        paths.insert(path.into(), json!({"get": get(id, "service", summary, &[COMMON])}));
    }
    paths.insert("/cache".into(), json!({"delete": {"operationId": "drop_cache", "tags": ["cache"],
        "summary": "Drops the caller's cached results: of a table, or all",
        "parameters": [parameter("query", "table", &json!({"type": "string", "minLength": 1, "maxLength": 256})), parameter("query", "all", &text)],
        "responses": responses(ok(200, "Dropped.", &any), &[COMMON, &[ErrorCode::InvalidRequest]])}}));
    let invalidation = json!({"type": "object", "additionalProperties": false, "required": ["table"],
        "properties": {"table": {"type": "string", "minLength": 1, "maxLength": 256}, "version": {"type": "integer", "minimum": 0}}});
    paths.insert(
        "/cache/invalidate".into(),
        json!({"post": {"operationId": "invalidate", "tags": ["cache"],
        "summary": "A table of the caller has changed", "requestBody": body(&invalidation),
        "responses": responses(ok(200, "The table's version from now on.", &any), &[COMMON, WITH_BODY])}}),
    );
    admin_paths(&mut paths);
    let errors: Vec<&str> = ErrorCode::ALL.iter().map(|c| c.name()).collect();
    json!({
        "openapi": "3.0.3",
        "info": {"title": "HeliosDB GPU Offload API", "version": "1.0.0",
                 "description": "RESTful API for GPU-accelerated database workloads",
                 "license": {"name": "Apache-2.0"}},
        "servers": [{"url": BASE}],
        "security": [{"BearerAuth": []}, {"ApiKeyAuth": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "BearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {"Error": {"type": "object", "required": ["error", "message", "request_id", "retryable"],
                "properties": {"error": {"type": "string", "enum": errors}, "message": text, "request_id": text,
                               "retryable": {"type": "boolean"}, "retry_after_ms": {"type": "integer"}, "details": any}}},
        },
    })
}

fn admin_paths(paths: &mut Map<String, Json>) {
    let any = json!({"type": "object"});
    let text = json!({"type": "string"});
    let paging = [
        parameter("query", "cursor", &text),
        parameter("query", "limit", &json!({"type": "integer", "minimum": 1, "maximum": 1000})),
    ];
    let tenant = parameter("path", "tenant", &text);
    let absent: &[ErrorCode] = &[ErrorCode::NotFound];
    let invalid: &[ErrorCode] = &[ErrorCode::InvalidRequest];
    let conflict: &[ErrorCode] = &[ErrorCode::Conflict];
    let call = |id: &str,
                summary: &str,
                parameters: Vec<Json>,
                request: Option<Json>,
                status: u16,
                codes: &[&[ErrorCode]]| {
        let mut call = json!({"operationId": id, "tags": ["admin"], "summary": summary, "parameters": parameters,
            "responses": responses(ok(status, summary, &any), &[&[COMMON], codes].concat())});
        if let Some(schema) = request {
            call["requestBody"] = body(&schema);
        }
        call
    };
    paths.insert("/tenants".into(), json!({
        "get": call("list_tenants", "The tenants", paging.to_vec(), None, 200, &[invalid]),
        "post": call("create_tenant", "A new tenant", vec![], Some(tenant_schema(true)), 201, &[WITH_BODY, conflict])}));
    paths.insert("/tenants/{tenant}".into(), json!({
        "get": call("get_tenant", "A tenant", vec![tenant.clone()], None, 200, &[absent]),
        "put": call("update_tenant", "Changes a tenant; the revision must be the one that was read", vec![tenant.clone()],
                    Some(tenant_schema(false)), 200, &[WITH_BODY, absent, conflict]),
        "delete": call("delete_tenant", "Deletes a tenant and its keys", vec![tenant.clone()], None, 200, &[absent, conflict])}));
    let key = json!({"type": "object", "additionalProperties": false, "required": ["name", "scopes"], "properties": {
        "name": text, "user_id": text, "scopes": {"type": "array", "items": {"type": "string", "enum": crate::auth::known_scopes()}},
        "expires_at": {"type": "integer", "minimum": 0, "nullable": true}}});
    let mut listing = vec![tenant.clone()];
    listing.extend(paging.clone());
    paths.insert("/tenants/{tenant}/keys".into(), json!({
        "get": call("list_keys", "A tenant's keys", listing, None, 200, &[absent, invalid]),
        "post": call("create_key", "A new key; its text is shown this once", vec![tenant.clone()], Some(key), 201,
                     &[WITH_BODY, absent, conflict])}));
    paths.insert("/tenants/{tenant}/keys/{key}".into(), json!({
        "delete": call("revoke_key", "Revokes a key and its tokens", vec![tenant, parameter("path", "key", &text)], None, 200, &[absent])}));
    let number = json!({"type": "integer", "minimum": 0});
    let mut filters = vec![
        parameter("query", "tenant_id", &text),
        parameter("query", "from_us", &number),
        parameter("query", "until_us", &number),
        parameter("query", "workload_type", &text),
        parameter("query", "status", &json!({"type": "integer", "minimum": 100, "maximum": 599})),
    ];
    filters.extend(paging);
    paths.insert(
        "/audit".into(),
        json!({"get": call("audit", "The audit log, newest first", filters, None, 200, &[invalid])}),
    );
}
