//! Documents made of the registry alone. Their worked examples take a tenth of a second to make, so each document is made
//! by its first reader, once, and not while the service starts.

use super::openapi;
use actix_web::web::Bytes;
use offload_core::Registry;
use serde_json::{Value as Json, json};
use std::sync::OnceLock;

/// The documents that were asked for.
#[derive(Default)]
pub struct Pages {
    openapi: OnceLock<Bytes>,
    operations: OnceLock<Bytes>,
}

impl Pages {
    /// The API description, `openapi.json`.
    pub fn openapi(&self, registry: &Registry) -> Bytes {
        self.openapi.get_or_init(|| openapi::document(registry).to_string().into()).clone()
    }

    /// The catalogue with schemas and examples.
    pub fn operations(&self, registry: &Registry) -> Bytes {
        self.operations.get_or_init(|| operations(registry).to_string().into()).clone()
    }
}

fn operations(registry: &Registry) -> Json {
    let operations: Vec<Json> = registry
        .iter()
        .map(|r| {
            let outputs: Json = r
                .about
                .outputs
                .iter()
                .map(|f| (f.name.to_string(), f.to_json_schema()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            json!({
                "type": r.about.family,
                "operation": r.about.name,
                "path": format!("{}/workloads/{}/{}", super::BASE, r.about.family, r.about.name),
                "scope": r.scope,
                "version": r.about.version,
                "summary": r.about.summary,
                "default_priority": r.about.default_priority,
                "work_unit": r.about.work_unit,
                "inputs": r.schema.to_json_schema(),
                "outputs": outputs,
                "example": openapi::example(r),
            })
        })
        .collect();
    json!({"operations": operations})
}
