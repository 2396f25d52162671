//! `openapi.json`, generated from the registry and the error table.

mod admin;
mod datasets;
mod document;
mod inference;
mod service;
mod shapes;
mod tasks;
mod workloads;

use super::BASE;
use document::Document;
use offload_api::json::write_record;
use offload_api::{Kind, Record, Value};
use offload_core::{Expect, Registered, Registry};
use serde_json::{Value as Json, json};
use shapes::text;

/// The inputs and outputs of an operation's first worked example, as JSON.
pub fn example(r: &Registered) -> Json {
    let cases = r.operation.cases();
    let Some(case) = cases.first() else { return Json::Null };
    let object = |record: &Record| {
        let mut text = b"{".to_vec();
        let finite = write_record(record, &mut text).is_ok();
        text.push(b'}');
        if finite { serde_json::from_slice(&text).unwrap_or(Json::Null) } else { Json::Null }
    };
    let mut inputs = object(&as_sent(r, &case.inputs));
    let real = case.inputs.iter().find_map(|(_, v)| match v {
        Value::Tensor(t) if t.dtype().is_real() => Some(t.dtype()),
        _ => None,
    });
    // Tensors of one fixed type take no dtype.
    if let (Some(map), Some(dtype), Some(_)) = (inputs.as_object_mut(), real, r.schema.default_dtype) {
        map.insert("dtype".into(), dtype.name().into());
    }
    match &case.expect {
        Expect::Outputs(outputs, _) => json!({"inputs": inputs, "outputs": object(outputs)}),
        _ => json!({"inputs": inputs}),
    }
}

/// The inputs as a request has them: bytes are a tensor within, and a text of base64 in JSON.
fn as_sent(r: &Registered, inputs: &Record) -> Record {
    let mut sent = inputs.clone();
    for field in r.schema.fields.iter().filter(|f| matches!(f.kind, Kind::Bytes { .. })) {
        if let Some(Value::Tensor(t)) = inputs.get(field.name)
            && let Some(bytes) = t.as_slice::<u8>()
        {
            sent.set(field.name, Value::Bytes(bytes.to_vec().into()));
        }
    }
    sent
}

/// The API description.
pub fn document(registry: &Registry) -> Json {
    let mut d = Document::default();
    for r in registry.iter() {
        d.workload(r);
    }
    service::shared_schemas(&mut d);
    workloads::batch(&mut d);
    inference::paths(&mut d, registry);
    datasets::add(&mut d);
    tasks::paths(&mut d);
    service::service_paths(&mut d);
    admin::admin_schemas(&mut d);
    admin::admin_paths(&mut d);
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
