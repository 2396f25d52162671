//! The same operations in other formats: the Open Inference Protocol and Arrow streams.

mod arrow;
mod models;
mod tasks;
mod tensors;

use crate::service::Service;
use crate::wire::Reply;
use serde_json::Value as Json;

const INFER: &str = "/v2/models/matrix.multiply/infer";
const HEAD_LENGTH: &str = "inference-header-content-length";

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An inference request with binary tensors behind its head.
fn infer(service: &Service, path: &str, more: &[(&str, &str)], head: &Json, tail: &[u8]) -> Reply {
    let head = head.to_string();
    let length = head.len().to_string();
    let body = [head.as_bytes(), tail].concat();
    let mut headers = vec![
        ("x-api-key", service.key.as_str()),
        (HEAD_LENGTH, &length),
        ("content-type", "application/octet-stream"),
    ];
    headers.extend_from_slice(more);
    service.call("POST", path, &headers, &body)
}

/// The head and the tail of an answer.
fn parts(reply: &Reply) -> (Json, Vec<u8>) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let length: usize = reply.header(HEAD_LENGTH).expect("a framed answer").parse().expect("a number");
    let (head, tail) = reply.body.split_at(length);
    (serde_json::from_slice(head).expect("json"), tail.to_vec())
}
