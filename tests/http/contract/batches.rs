//! Batches: references between items, failures that stay where they are, limits.

use super::BATCH;
use crate::service::{Service, assert_within};
use serde_json::{Value as Json, json};

fn item(operation: &str, inputs: Json) -> Json {
    json!({"type": "matrix", "operation": operation, "inputs": inputs})
}

fn output(index: usize, output: &str) -> Json {
    json!({"$result": {"index": index, "output": output}})
}

#[test]
fn items_use_what_earlier_items_gave() {
    let service = Service::start(&[]);
    let body = json!({"workloads": [
        item("multiply", json!({"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]})),
        item("transpose", json!({"a": output(0, "result")})),
        item("multiply", json!({"a": output(0, "result"), "b": output(1, "result")})),
        item("svd", json!({"a": [[2, 0], [0, 1]]})),
        item("multiply", json!({"a": output(3, "u"), "b": output(3, "vt")})),
    ]});
    let answer = service.post(BATCH, &body).expect(200);
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), 5);
    assert_within(&results[1], &json!({"index": 1, "result": [[19, 43], [22, 50]]}));
    // [[19, 22], [43, 50]] times its transpose.
    assert_within(&results[2], &json!({"index": 2, "result": [[845, 1917], [1917, 4349]]}));
    assert_within(&results[3]["result"], &json!({"s": [2, 1]}));
    // U times V^T of a positive diagonal matrix is the identity.
    assert_within(&results[4]["result"], &json!([[1, 0], [0, 1]]));
    for (i, r) in results.iter().enumerate() {
        assert!(r["index"] == i && r["gpu_time_us"].is_u64(), "{r}");
    }
    assert!(answer["total_time_us"].is_u64() && answer["request_id"].is_string());
}

#[test]
fn one_failure_spoils_only_what_needs_it() {
    let service = Service::start(&[]);
    let good = json!({"a": [[1]], "b": [[1]]});
    let body = json!({"workloads": [
        item("inverse", json!({"a": [[1, 2], [2, 4]]})),
        item("multiply", good),
        item("transpose", json!({"a": output(0, "result")})),
        item("transpose", json!({"a": output(2, "result")})),
        item("transpose", json!({"a": output(5, "result")})),
        item("transpose", json!({"a": output(5, "result")})),
        item("transpose", json!({"a": output(1, "nothing")})),
        item("transpose", json!({"a": [[1, 2], [3]]})),
        item("transpose", json!({"a": [[1]], "b": 1})),
        item("invert", json!({"a": [[1]]})),
        json!({"type": "matrix", "operation": "transpose", "input": {"a": [[1]]}}),
        json!(7),
        item("multiply", json!({"a": [[1, 2]], "b": [[1]]})),
        item("transpose", json!({"a": {"dataset": "nothing", "column": "c"}})),
    ]});
    let answer = service.post(BATCH, &body).expect(200);
    for (index, code, pointer) in [
        (0, "unprocessable", None),
        (2, "unprocessable", Some("/workloads/2/inputs/a")),
        (3, "unprocessable", Some("/workloads/3/inputs/a")),
        (4, "invalid_request", Some("/workloads/4/inputs")),
        (5, "invalid_request", Some("/workloads/5/inputs")),
        (6, "invalid_request", Some("/workloads/6/inputs/a")),
        (7, "invalid_request", Some("/workloads/7/inputs/a/1")),
        (8, "invalid_request", Some("/workloads/8/inputs/b")),
        (9, "unknown_operation", None),
        (10, "invalid_request", Some("/workloads/10")),
        (11, "invalid_request", Some("/workloads/11")),
        (12, "invalid_request", Some("/workloads/12/inputs/b")),
        (13, "not_found", Some("/workloads/13/inputs/a")),
    ] {
        let result = &answer["results"][index];
        assert_eq!(result["index"], index);
        assert_eq!(result["error"]["error"], code, "{result}");
        if let Some(pointer) = pointer {
            assert_eq!(result["error"]["details"]["pointer"], pointer, "{result}");
        }
        let id = format!("{}-{index}", answer["request_id"].as_str().expect("an id"));
        assert_eq!(result["error"]["request_id"], id, "{result}");
    }
    assert_within(&answer["results"][1], &json!({"result": [[1]]}));
    assert_eq!(answer["results"][2]["error"]["details"]["reason"], "dependency_failed");
}

#[test]
fn a_batch_itself_has_rules() {
    let service = Service::start(&[("SERVER__MAX_BATCH_ITEMS", "3")]);
    let one = item("transpose", json!({"a": [[1]]}));
    service.post(BATCH, &json!({"workloads": []})).expect(200);
    service.post(BATCH, &json!({"workloads": [one, one, one]})).expect(200);
    for (body, pointer, text) in [
        (json!({"workloads": [one, one, one, one]}), "/workloads", "server.max_batch_items"),
        (json!({"workload": [one]}), "/workload", "did you mean workloads?"),
        (json!({}), "", "workloads is missing"),
        (json!({"workloads": {"0": one}}), "/workloads", "list"),
        (json!({"workloads": [one], "timeout_ms": 0}), "/timeout_ms", "from 1"),
    ] {
        let e = service.post(BATCH, &body).fails(400, "invalid_request");
        assert_eq!(e["details"]["pointer"], pointer, "{e}");
        assert!(e["message"].as_str().is_some_and(|m| m.contains(text)), "{e}");
    }
    // Scopes hold for each item.
    let (_, key) = service.tenant("vectors", json!({}), &["gpu:vector"]);
    let answer = service.post_as(&key, BATCH, &json!({"workloads": [one]})).expect(200);
    assert_eq!(answer["results"][0]["error"]["error"], "insufficient_scope", "{answer}");
}
