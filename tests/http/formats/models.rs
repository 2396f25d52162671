//! Operations as models.

use super::INFER;
use crate::service::Service;
use serde_json::{Value as Json, json};

#[test]
fn the_server_and_its_health_are_open_and_models_are_not() {
    let service = Service::start(&[]);
    for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/api/v1/v2", "/api/v1/v2/health/ready"] {
        service.call("GET", path, &[], b"").expect(200);
    }
    let extensions = service.call("GET", "/v2", &[], b"").json()["extensions"].clone();
    assert!(extensions.as_array().is_some_and(|e| e.contains(&json!("binary_tensor_data"))), "{extensions}");
    for (method, path) in [
        ("GET", "/v2/models/matrix.multiply"),
        ("GET", "/v2/models/matrix.multiply/ready"),
        ("GET", "/v2/models/matrix.multiply/config"),
        ("POST", "/v2/repository/index"),
        ("POST", INFER),
    ] {
        service.call(method, path, &[], b"").fails(401, "unauthenticated");
    }
    let (_, key) = service.tenant("other", json!({}), &["gpu:graph"]);
    service.post_as(&key, INFER, &json!({"inputs": []})).fails(403, "insufficient_scope");
    let bearer = format!("Bearer {}", service.token(&service.key));
    service.call("GET", "/v2/models/matrix.multiply/ready", &[("authorization", &bearer)], b"").expect(200);
    service.ask("DELETE", INFER).fails(405, "method_not_allowed");
    service.ask("GET", "/v2/models").fails(404, "not_found");
}

#[test]
fn every_operation_is_a_model_with_metadata() {
    let service = Service::start(&[]);
    let models =
        service.call("POST", "/v2/repository/index", &[("x-api-key", &service.key)], b"").expect(200);
    let operations = service.ask("GET", "/api/v1/operations").expect(200);
    let names = |list: &Json, name: &dyn Fn(&Json) -> String| -> Vec<String> {
        list.as_array().expect("a list").iter().map(name).collect()
    };
    let text = |v: &Json| v.as_str().expect("a text").to_string();
    let known =
        names(&operations["operations"], &|o| format!("{}.{}", text(&o["type"]), text(&o["operation"])));
    assert_eq!(names(&models, &|m| text(&m["name"])), known);
    for (name, operation) in known.iter().zip(operations["operations"].as_array().expect("a list")) {
        let about = service.ask("GET", &format!("/v2/models/{name}")).expect(200);
        assert_eq!(about["name"], **name);
        assert_eq!(about["versions"], json!([operation["version"].to_string()]));
        let inputs = names(&about["inputs"], &|i| text(&i["name"]));
        let properties = operation["inputs"]["properties"].as_object().expect("an object");
        // A tensor says its datatype itself, and a graph is sent by its columns.
        let columns = ["src", "dst", "weight", "nodes", "directed"].map(|c| format!("graph.{c}"));
        let sent: Vec<String> = properties
            .keys()
            .filter(|n| *n != "dtype")
            .flat_map(|n| if n == "graph" { columns.to_vec() } else { vec![n.clone()] })
            .collect();
        assert_eq!(inputs, sent, "{name}");
        assert!(about["outputs"].as_array().is_some_and(|o| !o.is_empty()), "{about}");
        service.ask("GET", &format!("/v2/models/{name}/ready")).expect(200);
        let config = service.ask("GET", &format!("/v2/models/{name}/config")).expect(200);
        assert_eq!(config["max_batch_size"], 0);
        assert_eq!(config["input"].as_array().map(Vec::len), Some(inputs.len()));
    }
}

#[test]
fn a_model_that_is_not_there_is_told_with_the_nearest() {
    let service = Service::start(&[]);
    for path in ["/v2/models/matrix.multipl", "/v2/models/matrix.multipl/ready"] {
        let fails = service.ask("GET", path).fails(404, "unknown_operation");
        assert_eq!(fails["details"]["nearest"], json!(["matrix/multiply"]));
    }
    service.ask("GET", "/v2/models/multiply").fails(404, "unknown_operation");
    service.ask("GET", "/v2/models/matrix.multiply/versions/99").fails(404, "not_found");
    service
        .post("/v2/models/matrix.multiply/versions/99/infer", &json!({"inputs": []}))
        .fails(404, "not_found");
}
