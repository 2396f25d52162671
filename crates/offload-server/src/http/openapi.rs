//! `openapi.json`, generated from the registry and the error table.

use super::BASE;
use offload_api::{Elem, ErrorCode, Field, Kind, json::write_record};
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

/// Codes that every call can answer.
const ANY: &[ErrorCode] = &[ErrorCode::Internal, ErrorCode::Overloaded];
/// Codes that every authenticated call can answer.
pub(super) const COMMON: &[ErrorCode] = &[ErrorCode::Unauthenticated, ErrorCode::RateLimited];
/// Codes of calls that need a scope.
pub(super) const SCOPED: &[ErrorCode] = &[ErrorCode::InsufficientScope];
/// Codes of calls with a body.
pub(super) const WITH_BODY: &[ErrorCode] = &[
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

/// `matrix_multiply` as generated clients name a class: `MatrixMultiply`.
fn pascal(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A whole number that may pass 31 bits, which generators need to be told.
pub(super) fn long() -> Json {
    json!({"type": "integer", "format": "int64", "minimum": 0})
}

pub(super) fn up_to(maximum: u64) -> Json {
    json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": maximum})
}

pub(super) fn text() -> Json {
    json!({"type": "string"})
}

fn label() -> Json {
    json!({"type": "string", "maxLength": 256, "description": "at most 256 bytes, no control characters"})
}

pub(super) fn list(items: &Json) -> Json {
    json!({"type": "array", "items": items})
}

pub(super) fn nullable(mut schema: Json) -> Json {
    schema["nullable"] = true.into();
    schema
}

/// A page of a listing.
fn page(field: &str, items: &str) -> Json {
    answer(json!({field: list(&reference(items)), "next": nullable(text())}), &[])
}

/// An answer of these fields, all there but the `optional` ones. Later versions may add fields.
pub(super) fn answer(properties: Json, optional: &[&str]) -> Json {
    let required: Vec<String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter(|k| !optional.contains(&k.as_str()))
        .cloned()
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// An object to be sent: no other fields.
pub(super) fn request(required: &[&str], properties: Json) -> Json {
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The description while it is put together: what several calls share becomes a named component.
#[derive(Default)]
pub(super) struct Document {
    paths: Map<String, Json>,
    schemas: Map<String, Json>,
    responses: Map<String, Json>,
}

impl Document {
    fn schema(&mut self, name: &str, schema: Json) -> Json {
        self.schemas.insert(name.into(), schema);
        reference(name)
    }

    pub(super) fn add(&mut self, schemas: Json) {
        if let Json::Object(schemas) = schemas {
            self.schemas.extend(schemas);
        }
    }

    /// One call; `success` is its answer's status and schema.
    pub(super) fn call(
        &mut self,
        (path, method): (&str, &str),
        mut call: Json,
        success: (u16, Json),
        codes: &[&[ErrorCode]],
    ) {
        let summary = call["summary"].clone();
        let mut responses = Map::new();
        responses.insert(
            success.0.to_string(),
            json!({"description": summary, "headers": headers(&[]), "content": {"application/json": {"schema": success.1}}}),
        );
        self.errors(&mut responses, codes);
        call["responses"] = responses.into();
        let at = self.paths.entry(path).or_insert_with(|| json!({}));
        at[method] = call;
    }

    /// Adds the failures of these codes, one response per status.
    fn errors(&mut self, responses: &mut Map<String, Json>, codes: &[&[ErrorCode]]) {
        let codes: Vec<ErrorCode> = ErrorCode::ALL
            .iter()
            .copied()
            .filter(|c| ANY.contains(c) || codes.iter().any(|set| set.contains(c)))
            .collect();
        for group in codes.chunk_by(|a, b| a.status() == b.status()) {
            let name = group.iter().map(|c| pascal(c.name())).collect::<Vec<_>>().join("Or");
            let about: Vec<String> =
                group.iter().map(|c| format!("`{}`: {}", c.name(), c.advice())).collect();
            let more: &[&str] = match group[0].status() {
                401 => &["WWW-Authenticate"],
                429 | 503 => &["Retry-After"],
                _ => &[],
            };
            self.responses.entry(name.as_str()).or_insert_with(|| {
                json!({"description": about.join("; "), "headers": headers(more), "content": {
                    "application/json": {"schema": reference("Error")},
                    "application/problem+json": {"schema": reference("Problem")}}})
            });
            responses.insert(
                group[0].status().to_string(),
                json!({"$ref": format!("#/components/responses/{name}")}),
            );
        }
    }

    /// A field's schema, named where a generated client needs a class for it.
    fn field(&mut self, owner: &str, field: &Field) -> Json {
        let mut schema = field.to_json_schema();
        let name = match &field.kind {
            Kind::Tensor { elem, min_rank, max_rank } if min_rank < max_rank => {
                let real = !matches!(elem, Elem::Fixed(d) if !d.is_real());
                tensor_name(real, *min_rank, *max_rank)
            }
            Kind::Graph => "Graph".into(),
            _ if ["anyOf", "oneOf", "properties"].iter().any(|k| schema.get(k).is_some()) => {
                format!("{owner}{}", pascal(field.name))
            }
            _ => return schema,
        };
        // Beside a $ref, version 3.0 ignores everything.
        let doc = schema["description"].take();
        if let Some(map) = schema.as_object_mut() {
            map.remove("description");
        }
        json!({"allOf": [self.schema(&name, schema)], "description": doc})
    }

    fn workload(&mut self, r: &Registered) {
        let name = pascal(&r.workload_type);
        let mut inputs = r.schema.to_json_schema();
        for f in &r.schema.fields {
            inputs["properties"][f.name] = self.field(&name, f);
        }
        let mut flat = inputs.clone();
        extend(&mut flat, options());
        flat["properties"]["workload_type"] = json!({"type": "string", "enum": [r.workload_type]});
        let inputs = self.schema(&format!("{name}Inputs"), inputs);
        let mut envelope = request(&["inputs"], json!({"inputs": inputs}));
        extend(&mut envelope, options());
        envelope["properties"]["workload_type"] = flat["properties"]["workload_type"].clone();
        let shapes =
            [("Flat", flat), ("Envelope", envelope)].map(|(s, v)| self.schema(&format!("{name}{s}"), v));
        let asked = self.schema(&format!("{name}Request"), json!({"oneOf": shapes}));

        let outputs: Map<String, Json> =
            r.about.outputs.iter().map(|f| (f.name.to_string(), self.field(&name, f))).collect();
        let absent: Vec<&str> = r.about.outputs.iter().filter(|f| !f.required).map(|f| f.name).collect();
        let outputs = answer(outputs.into(), &absent);
        let with_meta = |mut schema: Json| {
            let (meta, always) = meta();
            extend(&mut schema, meta);
            let mut required = schema["required"].as_array().cloned().unwrap_or_default();
            required.extend(always.iter().map(|&w| w.into()));
            schema["required"] = required.into();
            schema
        };
        // A sole output named result looks the same in both shapes.
        let sole = r.about.outputs.len() == 1 && r.about.outputs[0].name == "result";
        let answered = if sole {
            self.schema(&format!("{name}Answer"), with_meta(outputs))
        } else {
            let result = self.schema(&format!("{name}Outputs"), outputs.clone());
            let flat = self.schema(&format!("{name}FlatAnswer"), with_meta(outputs));
            let envelope = with_meta(answer(json!({"result": result}), &[]));
            let envelope = self.schema(&format!("{name}EnvelopeAnswer"), envelope);
            self.schema(&format!("{name}Answer"), json!({"oneOf": [flat, envelope]}))
        };
        let example = example(r);
        let call = json!({
            "operationId": r.workload_type,
            "tags": [r.about.family],
            "summary": r.about.summary,
            "description": format!("{}\n\nThe answer has the shape of the request.\n\nScope: `{}`. Default priority: `{}`.",
                                   r.about.doc.trim(), r.scope, r.about.default_priority.name()),
            "requestBody": {"required": true, "content": {"application/json": {
                "schema": asked,
                "examples": {"flat": {"value": example["inputs"]},
                             "envelope": {"value": {"inputs": example["inputs"], "priority": "high"}}},
            }}},
        });
        let path = format!("/workloads/{}/{}", r.about.family, r.about.name);
        self.call((&path, "post"), call, (200, answered), &[COMMON, SCOPED, WITH_BODY, SUBMISSION]);
    }
}

/// `MatrixOrStack` for ranks 2 to 3.
fn tensor_name(real: bool, min_rank: usize, max_rank: usize) -> String {
    let kind = if real { "" } else { "Integer" };
    let ranks: Vec<String> = (min_rank..=max_rank)
        .map(|rank| match rank {
            0 => "Number".into(),
            1 => "Vector".into(),
            2 => "Matrix".into(),
            3 => "Stack".into(),
            n => format!("Rank{n}"),
        })
        .collect();
    format!("{kind}{}", ranks.join("Or"))
}

fn extend(schema: &mut Json, more: Json) {
    if let (Some(properties), Json::Object(more)) = (schema["properties"].as_object_mut(), more) {
        properties.extend(more);
    }
}

fn headers(more: &[&str]) -> Json {
    let names = ["x-request-id", "RateLimit", "RateLimit-Policy"].iter().chain(more);
    let named = |n: &&str| ((*n).to_string(), json!({"$ref": format!("#/components/headers/{n}")}));
    names.map(named).collect::<Map<_, _>>().into()
}

fn options() -> Json {
    json!({
        "priority": reference("Priority"),
        "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 86_400_000},
        "cache": {"type": "boolean"},
        "depends_on": {"type": "array", "maxItems": 64, "items": reference("DependsOn")},
        "device": {"type": "string", "pattern": "^(auto|cpu|gpu|[0-9]{1,9})$",
                   "description": "`auto`, `cpu`, `gpu`, or the id of a device"},
        "explain": {"type": "boolean"},
        "workload_type": text(),
    })
}

/// What an answer has beside its outputs, and which of it is always there.
fn meta() -> (Json, &'static [&'static str]) {
    let meta = json!({
        "gpu_time_us": long(), "total_time_us": long(), "cache_hit": {"type": "boolean"},
        "device_id": nullable(long()), "device": text(),
        "computed_on": text(), "priority": reference("Priority"),
        "fallback": reference("Fallback"),
        "explanation": {"type": "object"}, "request_id": text(), "timings": reference("Timings"),
    });
    (meta, &["gpu_time_us", "total_time_us", "cache_hit", "device_id", "device", "request_id", "timings"])
}

/// The classes that do not depend on the registry.
fn shared_schemas(d: &mut Document) {
    let any = json!({"type": "object"});
    let flag = json!({"type": "boolean"});
    let figure = nullable(json!({"type": "number"}));
    let errors: Vec<&str> = ErrorCode::ALL.iter().map(|c| c.name()).collect();
    let error = json!({"error": {"type": "string", "enum": errors}, "message": text(), "request_id": text(),
                       "retryable": flag, "retry_after_ms": long(), "details": any});
    let mut problem = answer(
        json!({"type": text(), "title": text(), "status": {"type": "integer"},
                                    "detail": text(), "instance": text()}),
        &[],
    );
    extend(&mut problem, error.clone());
    let table =
        json!({"type": "string", "minLength": 1, "maxLength": 256, "description": "at most 256 bytes"});
    let texts = |names: &[&str]| names.iter().map(|n| ((*n).to_string(), text())).collect::<Map<_, _>>();
    let steps = ["queue_us", "decode_us", "upload_us", "compute_us", "download_us", "encode_us"];
    let steps: Map<String, Json> = steps.iter().map(|s| ((*s).to_string(), long())).collect();
    let schemas = json!({
        "Error": answer(error, &["retry_after_ms", "details"]),
        "Problem": problem,
        "Priority": {"type": "string", "enum": ["low", "medium", "high", "realtime"]},
        "DependsOn": request(&["table"], json!({"table": table,
            "version": {"anyOf": [{"type": "integer"}, text()], "nullable": true}})),
        "Fallback": answer(json!({"reason": text()}), &[]),
        "Timings": answer(steps.into(), &[]),
        "Health": answer(json!({"status": text()}), &[]),
        "TokenRequest": request(&["api_key"], json!({"api_key": text()})),
        "Token": answer(json!({"token": text(), "expires_in": long()}), &[]),
        "PublicKey": answer(texts(&["kty", "use", "alg", "kid", "n", "e"]).into(), &[]),
        "PublicKeys": answer(json!({"keys": list(&reference("PublicKey"))}), &[]),
        "Operation": answer(json!({"type": text(), "operation": text(), "path": text(), "scope": text(),
            "version": long(), "summary": text(), "default_priority": reference("Priority"), "work_unit": text(),
            "inputs": any, "outputs": any, "example": any}), &[]),
        "Operations": answer(json!({"operations": list(&reference("Operation"))}), &[]),
        "Device": answer(json!({"id": long(), "name": text(), "backend": text(),
            "status": {"type": "string", "enum": ["up", "quarantined"]}, "memory_total_bytes": long(),
            "memory_used_bytes": nullable(long()), "utilization_percent": figure,
            "temperature_celsius": figure, "power_watts": figure}), &[]),
        "Cpu": answer(json!({"cores": long()}), &[]),
        "Devices": answer(json!({"devices": list(&reference("Device")), "cpu": reference("Cpu")}), &[]),
        "Cost": answer(json!({"workload_type": text(), "device": text(), "work_unit": text(),
                              "ns_per_work": {"type": "number"}}), &[]),
        "CostModel": answer(json!({"operations": list(&reference("Cost"))}), &[]),
        "Invalidation": request(&["table"], json!({"table": table, "version": nullable(up_to(i64::MAX as u64))})),
        "TableVersion": answer(json!({"table": text(), "version": long()}), &[]),
        "Dropped": answer(json!({"table": text(), "version": long(), "dataset": text(), "invalidated": text()}),
                          &["table", "version", "dataset", "invalidated"]),
    });
    d.add(schemas);
}

fn batch(d: &mut Document) {
    let item = request(
        &["type", "operation", "inputs"],
        json!({"type": text(), "operation": text(), "inputs": {"type": "object"}}),
    );
    let item = d.schema("BatchItem", item);
    let mut batch =
        request(&["workloads"], json!({"workloads": {"type": "array", "maxItems": 1000, "items": item}}));
    extend(&mut batch, options());
    if let Some(properties) = batch["properties"].as_object_mut() {
        properties.shift_remove("explain");
        properties.shift_remove("workload_type");
    }
    let asked = d.schema("BatchRequest", batch);
    // An outcome has `result` or `error`; what a result is depends on the operation.
    let outcome = answer(
        json!({"index": long(), "result": {"description": "as the operation answers an envelope"}, "gpu_time_us": long(),
               "cache_hit": {"type": "boolean"}, "device": text(), "fallback": reference("Fallback"),
               "error": reference("Error")}),
        &["result", "gpu_time_us", "cache_hit", "device", "fallback", "error"],
    );
    let outcome = d.schema("BatchOutcome", outcome);
    let answered =
        answer(json!({"results": list(&outcome), "total_time_us": long(), "request_id": text()}), &[]);
    let answered = d.schema("BatchAnswer", answered);
    let call = json!({"operationId": "batch", "tags": ["workloads"], "summary": "Several workloads in one request",
        "description": "Items run in parallel and fail alone. An input may be an earlier item's output: {\"$result\": {\"index\": 0, \"output\": \"result\"}}.",
        "requestBody": body(&asked)});
    d.call(("/workloads/batch", "post"), call, (200, answered), &[COMMON, WITH_BODY]);
}

pub(super) fn body(schema: &Json) -> Json {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

pub(super) fn parameter(place: &str, name: &str, schema: &Json) -> Json {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema})
}

fn service_paths(d: &mut Document) {
    let open = json!([]);
    let call = json!({"operationId": "token", "tags": ["auth"], "summary": "A token for an API key", "security": open,
                      "requestBody": body(&reference("TokenRequest"))});
    d.call(
        ("/auth/token", "post"),
        call,
        (200, reference("Token")),
        &[&[ErrorCode::Unauthenticated, ErrorCode::RateLimited], WITH_BODY],
    );
    for (path, id, summary, schema) in [
        ("/health/live", "live", "The process answers", "Health"),
        ("/health/ready", "ready", "The service takes work", "Health"),
        ("/.well-known/jwks.json", "jwks", "The public keys of tokens", "PublicKeys"),
    ] {
        let call = json!({"operationId": id, "tags": ["service"], "summary": summary, "security": open});
        d.call((path, "get"), call, (200, reference(schema)), &[]);
    }
    let call = json!({"operationId": "metrics", "tags": ["service"], "summary": "Figures for Prometheus",
                      "security": [{}, {"BearerAuth": []}, {"ApiKeyAuth": []}]});
    d.call(("/metrics", "get"), call, (200, text()), &[COMMON, SCOPED]);
    d.paths["/metrics"]["get"]["responses"]["200"]["content"] = json!({"text/plain": {"schema": text()}});
    for (path, id, summary, schema) in [
        ("/operations", "operations", "The catalogue with schemas and examples", "Operations"),
        ("/devices", "devices", "The devices and how they are", "Devices"),
        ("/cost-model", "cost_model", "What each operation was learned to cost", "CostModel"),
    ] {
        let call = json!({"operationId": id, "tags": ["service"], "summary": summary});
        d.call((path, "get"), call, (200, reference(schema)), &[COMMON]);
    }
    let table = json!({"type": "string", "minLength": 1, "maxLength": 256});
    let call = json!({"operationId": "drop_cache", "tags": ["cache"],
        "summary": "Drops the caller's cached results: of a table, of a dataset, or all",
        "description": "One of `table`, `dataset` and `all` must be there; `all` needs no value.",
        "parameters": [parameter("query", "table", &table), parameter("query", "dataset", &text()),
                       parameter("query", "all", &text())]});
    d.call(("/cache", "delete"), call, (200, reference("Dropped")), &[COMMON, &[ErrorCode::InvalidRequest]]);
    let call = json!({"operationId": "invalidate", "tags": ["cache"], "summary": "A table of the caller has changed",
                      "requestBody": body(&reference("Invalidation"))});
    d.call(("/cache/invalidate", "post"), call, (200, reference("TableVersion")), &[COMMON, WITH_BODY]);
}

fn admin_schemas(d: &mut Document) {
    let largest = i64::MAX as u64;
    let (bytes, count) = (up_to(largest), up_to(u32::MAX.into()));
    let flag = json!({"type": "boolean"});
    let family = json!({"type": "string", "pattern": "^[a-z0-9_]{1,64}$"});
    let tenant = json!({"id": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}, "name": label(),
                        "suspended": flag, "quota": reference("Quota")});
    let mut stored = request(&["id"], tenant.clone());
    extend(&mut stored, json!({"revision": up_to(largest), "created_at": up_to(largest)}));
    let scope = json!({"type": "string", "enum": crate::auth::known_scopes()});
    let scopes = json!({"type": "array", "maxItems": 64, "items": scope});
    let key = json!({"key_id": text(), "tenant_id": text(), "user_id": text(), "name": text(), "scopes": scopes,
                     "last_four": text(), "created_at": long(), "expires_at": nullable(long()),
                     "revoked_at": nullable(long())});
    let mut created = answer(key.clone(), &[]);
    extend(&mut created, json!({"api_key": text()}));
    let schemas = json!({
        "Quota": request(&[], json!({
            "max_device_memory_bytes": bytes, "max_host_memory_bytes": bytes, "max_concurrent_tasks": count,
            "max_queued_tasks": count, "max_requests_per_minute": count, "max_dataset_bytes": bytes,
            "allowed_families": {"type": "array", "maxItems": 64, "items": family, "nullable": true},
            "max_priority": reference("Priority")})),
        "NewTenant": request(&["id"], tenant),
        "TenantUpdate": stored,
        "Tenant": answer(stored["properties"].clone(), &[]),
        "TenantPage": page("tenants", "Tenant"),
        "Deleted": answer(json!({"deleted": flag}), &[]),
        "NewKey": request(&["name", "scopes"], json!({"name": label(), "user_id": label(), "scopes": scopes,
                                                      "expires_at": nullable(up_to(largest))})),
        "Key": answer(key, &[]),
        "CreatedKey": created,
        "KeyPage": page("keys", "Key"),
        "AuditRecord": answer(json!({"at_us": long(), "request_id": text(), "tenant_id": text(), "user_id": text(),
            "key_id": text(), "workload_type": text(), "workload_hash": text(), "priority": reference("Priority"),
            "status": {"type": "integer"}, "error": nullable(text()), "gpu_time_us": long(),
            "total_time_us": long(), "queue_us": long(), "cache_hit": flag, "device_id": nullable(long()),
            "device": text(), "bytes_in": long(), "bytes_out": long(), "node": text()}), &[]),
        "AuditPage": page("records", "AuditRecord"),
    });
    d.add(schemas);
}

fn admin_paths(d: &mut Document) {
    let limit = json!({"type": "integer", "minimum": 0, "description": "taken as 1 to 1000"});
    let time = up_to(i64::MAX as u64);
    let status = json!({"type": "integer", "minimum": 0, "maximum": u16::MAX});
    let paging = [parameter("query", "cursor", &text()), parameter("query", "limit", &limit)];
    let [tenant, key] = ["tenant", "key"].map(|name| parameter("path", name, &text()));
    let one = [tenant.clone()];
    let both = [tenant.clone(), key];
    let listed = [&one[..], &paging].concat();
    let mut filters = vec![
        parameter("query", "tenant_id", &text()),
        parameter("query", "from_us", &time),
        parameter("query", "until_us", &time),
        parameter("query", "workload_type", &text()),
        parameter("query", "status", &status),
    ];
    filters.extend(paging.clone());
    let found: &[ErrorCode] = &[ErrorCode::NotFound];
    let valid: &[ErrorCode] = &[ErrorCode::InvalidRequest];
    let fresh: &[ErrorCode] = &[ErrorCode::Conflict];
    let mut call = |method: &str,
                    path: &str,
                    id: &str,
                    more: (&str, &[Json], &str),
                    status,
                    answered: &str,
                    codes: &[&[ErrorCode]]| {
        let (summary, parameters, asked) = more;
        let mut call = json!({"operationId": id, "tags": ["admin"], "summary": summary});
        if !parameters.is_empty() {
            call["parameters"] = parameters.into();
        }
        if !asked.is_empty() {
            call["requestBody"] = body(&reference(asked));
        }
        d.call((path, method), call, (status, reference(answered)), &[&[COMMON, SCOPED], codes].concat());
    };
    let all = "/tenants";
    call("get", all, "list_tenants", ("The tenants", &paging, ""), 200, "TenantPage", &[valid]);
    let about = ("A new tenant", &[][..], "NewTenant");
    call("post", all, "create_tenant", about, 201, "Tenant", &[WITH_BODY, fresh]);
    let path = "/tenants/{tenant}";
    call("get", path, "get_tenant", ("A tenant", &one, ""), 200, "Tenant", &[found]);
    let about = ("Changes a tenant; the revision must be the one that was read", &one[..], "TenantUpdate");
    call("put", path, "update_tenant", about, 200, "Tenant", &[WITH_BODY, found, fresh]);
    let about = ("Deletes a tenant and its keys", &one[..], "");
    call("delete", path, "delete_tenant", about, 200, "Deleted", &[found, fresh]);
    let path = "/tenants/{tenant}/keys";
    call("get", path, "list_keys", ("A tenant's keys", &listed, ""), 200, "KeyPage", &[found, valid]);
    let about = ("A new key; its text is shown this once", &one[..], "NewKey");
    call("post", path, "create_key", about, 201, "CreatedKey", &[WITH_BODY, found, fresh]);
    let about = ("Revokes a key and its tokens", &both[..], "");
    call("delete", "/tenants/{tenant}/keys/{key}", "revoke_key", about, 200, "Key", &[found]);
    let about = ("The audit log, newest first", &filters[..], "");
    call("get", "/audit", "audit", about, 200, "AuditPage", &[valid]);
}

/// The API description.
pub fn document(registry: &Registry) -> Json {
    let mut d = Document::default();
    for r in registry.iter() {
        d.workload(r);
    }
    shared_schemas(&mut d);
    batch(&mut d);
    service_paths(&mut d);
    admin_schemas(&mut d);
    admin_paths(&mut d);
    super::openapi_datasets::add(&mut d);
    let header = |about: &str, schema: &Json| json!({"description": about, "schema": schema});
    let seconds = json!({"type": "integer", "minimum": 1});
    json!({
        "openapi": "3.0.3",
        "info": {"title": "HeliosDB GPU Offload API", "version": "1.0.0",
                 "description": "RESTful API for GPU-accelerated database workloads",
                 "license": {"name": "Apache-2.0"}},
        "servers": [{"url": BASE}],
        "security": [{"BearerAuth": []}, {"ApiKeyAuth": []}],
        "paths": d.paths,
        "components": {
            "securitySchemes": {
                "BearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "headers": {
                "x-request-id": header("The id that was sent, or a fresh one.", &text()),
                "RateLimit": header("What is left of the minute: `\"default\";r=999;t=60`.", &text()),
                "RateLimit-Policy": header("Requests and seconds: `\"default\";q=1000;w=60`.", &text()),
                "Retry-After": header("Seconds to wait.", &seconds),
                "WWW-Authenticate": header("The scheme to use.", &text()),
            },
            "responses": d.responses,
            "schemas": d.schemas,
        },
    })
}
