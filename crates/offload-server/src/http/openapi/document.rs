//! The description while it is put together, and the failures that calls share.

use super::shapes::{headers, pascal, reference};
use super::workloads::tensor_name;
use offload_api::{DType, Elem, ErrorCode, Field, Kind, Layout, match_schema, matches_schema};
use serde_json::{Map, Value as Json, json};

/// Codes that every call can answer.
pub(super) const ANY: &[ErrorCode] = &[ErrorCode::Internal, ErrorCode::Overloaded];
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
pub(super) const SUBMISSION: &[ErrorCode] = &[
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

/// The description while it is put together: what several calls share becomes a named component.
#[derive(Default)]
pub(super) struct Document {
    pub(super) paths: Map<String, Json>,
    pub(super) schemas: Map<String, Json>,
    pub(super) responses: Map<String, Json>,
}

impl Document {
    pub(super) fn schema(&mut self, name: &str, schema: Json) -> Json {
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
    pub(super) fn errors(&mut self, responses: &mut Map<String, Json>, codes: &[&[ErrorCode]]) {
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
    pub(super) fn field(&mut self, owner: &str, field: &Field) -> Json {
        let mut schema = field.to_json_schema();
        if matches!(field.kind, Kind::Tensor { elem: Elem::Fixed(DType::U8), .. }) {
            self.elements(&mut schema);
        }
        if let Kind::Matches(layout) = field.kind {
            let one = self.schema("Match", match_schema());
            let doc = schema["description"].take();
            schema = matches_schema(layout, &one);
            schema["description"] = doc;
            if layout == Layout::PerQuery {
                schema["items"] = self.schema("QueryMatches", schema["items"].clone());
            }
        }
        let name = match &field.kind {
            Kind::Tensor { elem, min_rank, max_rank } if min_rank < max_rank => {
                let kind = match elem {
                    Elem::Fixed(DType::U8) => "Byte",
                    elem if elem.is_integer() => "Integer",
                    _ => "",
                };
                tensor_name(kind, *min_rank, *max_rank)
            }
            Kind::Matches(Layout::Flat) => "MatchesOrLists".into(),
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

    /// Names what a tensor's elements are, where that is more than one type.
    pub(super) fn elements(&mut self, schema: &mut Json) {
        let mut at = schema;
        while at.get("items").is_some() {
            at = &mut at["items"];
        }
        if let Some(ranks) = at.get_mut("anyOf").and_then(Json::as_array_mut)
            && ranks.iter().any(|rank| rank.get("items").is_some())
        {
            ranks.iter_mut().for_each(|rank| self.elements(rank));
        } else if at.get("anyOf").is_some() {
            *at = self.schema("ByteOrFlag", at.clone());
        }
    }
}
