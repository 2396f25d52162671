//! The rules of the HTTP contract.

mod access;
mod admin;
mod batches;
mod caching;
mod process;
mod requests;
mod signatures;
mod single_flight;
mod tenants;

const MULTIPLY: &str = "/api/v1/workloads/matrix/multiply";
const BATCH: &str = "/api/v1/workloads/batch";

/// A request whose answer is `[[19, 22], [43, 50]]`, in an envelope.
fn product() -> serde_json::Value {
    serde_json::json!({"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}})
}

/// [`product`] with further fields.
fn product_with(fields: serde_json::Value) -> serde_json::Value {
    let mut body = product();
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}
