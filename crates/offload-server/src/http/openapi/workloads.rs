//! Submissions: one call for each operation, and batches of them.

use super::document::{COMMON, Document, SCOPED, SUBMISSION, WITH_BODY};
use super::example;
use super::inference::elsewhere;
use super::shapes::{answer, body, extend, list, long, nullable, pascal, reference, request, text};
use offload_core::Registered;
use serde_json::{Map, Value as Json, json};

impl Document {
    pub(super) fn workload(&mut self, r: &Registered) {
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
            // Where every output may be absent, an envelope's answer is a flat one as well.
            let one = if absent.len() == r.about.outputs.len() { "anyOf" } else { "oneOf" };
            self.schema(&format!("{name}Answer"), json!({one: [flat, envelope]}))
        };
        let example = example(r);
        let call = json!({
            "operationId": r.workload_type,
            "tags": [r.about.family],
            "summary": r.about.summary,
            "description": format!("{}\n\nThe answer has the shape of the request. {}\n\nScope: `{}`. Default priority: `{}`.",
                                   r.about.doc.trim(), elsewhere(&r.full_name), r.scope, r.about.default_priority.name()),
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

/// `MatrixOrStack` for ranks 2 to 3, with the kind of its elements before it.
pub(super) fn tensor_name(kind: &str, min_rank: usize, max_rank: usize) -> String {
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

pub(super) fn batch(d: &mut Document) {
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
