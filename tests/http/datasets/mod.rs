//! Datasets as callers see them.

mod inputs;
mod rows;

use crate::service::Service;
use crate::wire::Reply;
use serde_json::{Value as Json, json};

const MULTIPLY: &str = "/api/v1/workloads/matrix/multiply";

pub fn path(name: &str) -> String {
    format!("/api/v1/datasets/{name}")
}

/// A call with JSON as this key.
fn send(service: &Service, key: &str, method: &str, path: &str, body: &Json) -> Reply {
    service.call(method, path, &[("x-api-key", key)], body.to_string().as_bytes())
}

pub fn put(service: &Service, name: &str, body: &Json) -> Reply {
    send(service, &service.key, "PUT", &path(name), body)
}

pub fn patch(service: &Service, name: &str, body: &Json) -> Reply {
    send(service, &service.key, "PATCH", &path(name), body)
}

/// The values of a column, as a job sees them: the product of the column and a 1 by 1 identity.
pub fn values(service: &Service, name: &str, column: &str) -> Json {
    let body = json!({"a": {"dataset": name, "column": column}, "b": [[1]], "cache": false});
    let result = service.post(MULTIPLY, &body).expect(200)["result"].clone();
    let row = |r: &Json| json!([r[0].as_f64().expect("a number")]);
    result.as_array().expect("rows").iter().map(row).collect()
}

/// Rows with a key and a matrix of one column.
pub fn keyed(ids: &[i64], values: &[f64]) -> Json {
    let m: Vec<_> = values.iter().map(|v| [*v]).collect();
    json!({"columns": {"id": ids, "m": m}, "key": "id"})
}

/// The same without the key, for a change.
pub fn changed(ids: &[i64], values: &[f64]) -> Json {
    let mut body = keyed(ids, values);
    body.as_object_mut().expect("an object").remove("key");
    body
}
