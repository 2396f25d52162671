//! The Open Inference Protocol: operations as models, their tensors as JSON or as binary data.

use super::document::{COMMON, Document, SCOPED, SUBMISSION, WITH_BODY};
use super::shapes::{answer, body, list, parameter, reference, request, text};
use offload_api::ErrorCode;
use offload_api::oip::Datatype;
use offload_core::Registry;
use serde_json::json;

const BINARY: &str = "Tensors are lists of numbers in the JSON, or binary data behind it: the header \
`Inference-Header-Content-Length` says how many bytes of the body are JSON, each input's parameter `binary_data_size` \
how many are its elements, little-endian, in the order of the inputs. Outputs are binary data where \
`binary_data_output`, or the output's own `binary_data`, says so. Scalars and options (`priority`, `timeout_ms`, \
`cache`, `device`) are parameters; scalars may also be tensors of one element, and a tensor may be a column of a \
resident dataset, named by its parameters `dataset`, `column` and `version`.";

fn classes(d: &mut Document) {
    let names = Datatype::ALL.map(Datatype::name);
    let datatype = json!({"type": "string", "enum": names});
    let any = json!({"type": "object"});
    let extent = json!({"type": "integer", "format": "int64"});
    let port = answer(
        json!({"name": text(), "datatype": datatype, "shape": list(&extent), "parameters": any}),
        &["parameters"],
    );
    let data = json!({"type": "array", "items": {}});
    let input = json!({"name": text(), "datatype": datatype,
        "shape": {"type": "array", "maxItems": 8, "items": {"type": "integer", "format": "int64", "minimum": 0}},
        "parameters": any, "data": data});
    let output = json!({"name": text(), "datatype": datatype, "shape": list(&extent), "parameters": any, "data": data});
    let asked = json!({"id": text(), "parameters": any, "inputs": list(&reference("InferInput")),
        "outputs": list(&reference("RequestedOutput"))});
    let answered = json!({"model_name": text(), "model_version": text(), "id": text(), "parameters": any,
        "outputs": list(&reference("InferOutput"))});
    d.add(json!({
        "InferenceServer": answer(json!({"name": text(), "version": text(), "extensions": list(&text())}), &[]),
        "ModelTensor": port,
        "Model": answer(json!({"name": text(), "versions": list(&text()), "platform": text(),
            "inputs": list(&reference("ModelTensor")), "outputs": list(&reference("ModelTensor"))}), &[]),
        "ModelConfig": answer(json!({"name": text(), "platform": text(), "backend": text(),
            "max_batch_size": {"type": "integer"}, "version_policy": any, "input": list(&any),
            "output": list(&any)}), &[]),
        "ModelReady": answer(json!({"name": text(), "ready": {"type": "boolean"}}), &[]),
        "ModelState": answer(json!({"name": text(), "version": text(), "state": text()}), &[]),
        "InferInput": request(&["name"], input),
        "RequestedOutput": request(&["name"], json!({"name": text(), "parameters": any})),
        "InferRequest": request(&["inputs"], asked),
        "InferOutput": answer(output, &["parameters", "data"]),
        "InferAnswer": answer(answered, &["id"]),
    }));
}

/// The calls below `/v2`.
pub(super) fn paths(d: &mut Document, registry: &Registry) {
    classes(d);
    let open = json!([]);
    for (path, id, summary, schema) in [
        ("/v2", "inference_server", "The service as the protocol describes servers", "InferenceServer"),
        ("/v2/health/live", "inference_live", "The process answers", "Health"),
        ("/v2/health/ready", "inference_ready", "The service takes work", "Health"),
    ] {
        let call = json!({"operationId": id, "tags": ["inference"], "summary": summary, "security": open});
        d.call((path, "get"), call, (200, reference(schema)), &[]);
    }
    let call = json!({"operationId": "model_index", "tags": ["inference"], "summary": "Every model"});
    d.call(("/v2/repository/index", "post"), call, (200, list(&reference("ModelState"))), &[COMMON]);

    let names: Vec<&str> = registry.iter().map(|r| r.full_name.as_str()).collect();
    let model = parameter("path", "model", &json!({"type": "string", "enum": names}));
    let version = parameter("path", "version", &text());
    let unknown: &[ErrorCode] = &[ErrorCode::UnknownOperation];
    for (base, suffix, named) in [
        ("/v2/models/{model}", "", vec![model.clone()]),
        ("/v2/models/{model}/versions/{version}", "_version", vec![model, version]),
    ] {
        let mut about = |path: &str, id: &str, summary: &str, schema: &str| {
            let call = json!({"operationId": format!("{id}{suffix}"), "tags": ["inference"], "summary": summary,
                              "parameters": named});
            let path = format!("{base}{path}");
            d.call((&path, "get"), call, (200, reference(schema)), &[COMMON, unknown]);
        };
        about("", "model", "What a model takes and gives", "Model");
        about("/ready", "model_ready", "The model takes work", "ModelReady");
        about("/config", "model_config", "A model's configuration, for Triton's clients", "ModelConfig");
        let call = json!({"operationId": format!("infer{suffix}"), "tags": ["inference"],
            "summary": "Runs an operation on tensors", "description": BINARY, "parameters": named,
            "requestBody": body(&reference("InferRequest"))});
        let path = format!("{base}/infer");
        let codes: &[&[ErrorCode]] = &[COMMON, SCOPED, WITH_BODY, unknown, SUBMISSION];
        d.call((&path, "post"), call, (200, reference("InferAnswer")), codes);
        let bytes = json!({"schema": {"type": "string", "format": "binary"}});
        d.paths[&path]["post"]["responses"]["200"]["content"]["application/octet-stream"] = bytes;
    }
}

/// A sentence of every operation's description.
pub(super) fn elsewhere(model: &str) -> String {
    format!(
        "Also at `/v2/models/{model}/infer`, and here as Arrow IPC streams (`application/vnd.apache.arrow.stream`): \
         columns are inputs by name, streams of different lengths follow each other, scalars and options are query \
         parameters, and each output is a stream."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    #[test]
    fn every_call_has_an_id_of_its_own() {
        let mut d = Document::default();
        paths(&mut d, &Registry::default());
        let calls: Vec<&Json> =
            d.paths.iter().flat_map(|(_, p)| p.as_object()).flat_map(|p| p.values()).collect();
        let mut ids: Vec<&str> = calls.iter().filter_map(|c| c["operationId"].as_str()).collect();
        assert_eq!(ids.len(), 12);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 12);
    }
}
