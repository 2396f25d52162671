//! What the service says about itself, and the classes that do not depend on the registry.

use super::document::{COMMON, Document, SCOPED, WITH_BODY};
use super::shapes::{answer, body, extend, list, long, nullable, parameter, reference, request, text, up_to};
use offload_api::ErrorCode;
use serde_json::{Map, Value as Json, json};

/// The classes that do not depend on the registry.
pub(super) fn shared_schemas(d: &mut Document) {
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
        "Device": answer(json!({"id": long(), "name": text(), "backend": text(), "architecture": text(),
            "status": {"type": "string", "enum": ["starting", "up", "quarantined", "draining"]},
            "is_cpu": {"type": "boolean"}, "software": list(&text()), "memory_total_bytes": long(),
            "memory_used_bytes": nullable(long()), "utilization_percent": figure,
            "temperature_celsius": figure, "power_watts": figure,
            "mig": {"type": "boolean"}, "slices": list(&reference("Slice")),
            "running_jobs": long(), "faults": long(), "restarts": long()}), &[]),
        "Slice": answer(json!({"uuid": text(), "memory_total_bytes": long(), "memory_used_bytes": nullable(long()),
            "units": long(), "use": {"type": "string", "enum": ["shared", "tenant", "free", "shut"]}}), &[]),
        "AbsentDevice": answer(json!({"what": text(), "reason": text()}), &[]),
        "Cpu": answer(json!({"cores": long()}), &[]),
        "Devices": answer(json!({"devices": list(&reference("Device")), "absent": list(&reference("AbsentDevice")),
            "searching": {"type": "boolean"}, "cpu": reference("Cpu")}), &[]),
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

pub(super) fn service_paths(d: &mut Document) {
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
