//! Arrow streams over real sockets.

use crate::service::Service;
use crate::wire::Reply;
use offload_api::Column;
use offload_api::arrow::{MEDIA_TYPE, columns, encode};
use offload_api::{Memory, Record, Tensor, Value};
use serde_json::json;
use std::sync::Arc;

/// One stream for each tensor.
fn streams(tensors: Vec<(&'static str, Tensor)>) -> Vec<u8> {
    let record = tensors.into_iter().fold(Record::new(), |r, (name, t)| r.with(name, Value::Tensor(t)));
    let buffers = encode(&record, Vec::new()).expect("it fits");
    buffers.iter().flat_map(|b| b.as_slice().to_vec()).collect()
}

fn matrix(shape: [usize; 2], values: &[f64]) -> Tensor {
    Tensor::new(shape, values.to_vec()).expect("the values fill the shape")
}

fn read(reply: &Reply) -> Vec<(String, Tensor)> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some(MEDIA_TYPE));
    let body: Arc<dyn Memory> = Arc::new(reply.body.clone());
    let tensor = |(name, column)| match column {
        Column::Tensor(t) => (name, t),
        Column::Text(_) => panic!("{name} is text"),
    };
    columns(&body).expect("streams").into_iter().map(tensor).collect()
}

fn factors() -> Vec<u8> {
    streams(vec![
        ("a", matrix([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        ("b", matrix([3, 1], &[1.0, 0.0, -1.0])),
    ])
}

fn post(service: &Service, path: &str, accept: Option<&str>, body: &[u8]) -> Reply {
    let mut headers = vec![("x-api-key", service.key.as_str()), ("content-type", MEDIA_TYPE)];
    headers.extend(accept.map(|a| ("accept", a)));
    service.call("POST", path, &headers, body)
}

const MULTIPLY: &str = "/api/v1/workloads/matrix/multiply";

#[test]
fn streams_are_answered_with_streams_unless_asked_otherwise() {
    let service = Service::start(&[]);
    let want = vec![("result".to_string(), matrix([2, 1], &[-2.0, -2.0]))];
    for accept in [None, Some("*/*"), Some(MEDIA_TYPE)] {
        assert_eq!(read(&post(&service, MULTIPLY, accept, &factors())), want);
    }
    let json = post(&service, MULTIPLY, Some("application/json"), &factors());
    assert_eq!(json.expect(200)["result"], json!([[-2], [-2]]));
    let body = json!({"a": [[1, 2, 3], [4, 5, 6]], "b": [[1], [0], [-1]]}).to_string();
    let headers = [("x-api-key", service.key.as_str()), ("accept", MEDIA_TYPE)];
    assert_eq!(read(&service.call("POST", MULTIPLY, &headers, body.as_bytes())), want);
}

#[test]
fn parameters_ride_in_the_query_and_every_output_is_a_stream() {
    let service = Service::start(&[]);
    let a = || streams(vec![("a", matrix([2, 2], &[2.0, 0.0, 0.0, 3.0]))]);
    let path =
        "/api/v1/workloads/matrix/eigenvalues?symmetric=true&vectors=true&priority=high&timeout_ms=9000";
    let got = read(&post(&service, path, None, &a()));
    let names: Vec<&str> = got.iter().map(|(n, _)| n.as_str()).collect();
    assert!(names.contains(&"values") && names.contains(&"vectors"), "{names:?}");
    let values = &got[names.iter().position(|n| *n == "values").expect("values")].1;
    let mut sorted = values.as_slice::<f64>().expect("f64").to_vec();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, [2.0, 3.0]);
    for (query, pointer) in
        [("?vector=true", "/vector"), ("?timeout_ms=soon", "/timeout_ms"), ("?priority=x", "/priority")]
    {
        let path = format!("/api/v1/workloads/matrix/eigenvalues{query}");
        let fails = post(&service, &path, None, &a()).fails(400, "invalid_request");
        assert_eq!(fails["details"]["pointer"], pointer, "{fails}");
    }
}

#[test]
fn streams_that_are_wrong_are_told_why() {
    let service = Service::start(&[]);
    let good = factors();
    let fails = post(&service, MULTIPLY, None, &good[..good.len() / 2]).fails(400, "invalid_request");
    assert!(fails["message"].is_string());
    post(&service, MULTIPLY, None, b"").fails(400, "invalid_request");
    post(&service, MULTIPLY, None, br#"{"a": [[1]], "b": [[1]]}"#).fails(400, "invalid_request");
    let twice = streams(vec![("a", matrix([1, 1], &[1.0])), ("c", matrix([1, 1], &[1.0]))]);
    let fails = post(&service, MULTIPLY, None, &twice).fails(400, "invalid_request");
    assert_eq!(fails["details"]["pointer"], "/c");
    let fails = post(&service, MULTIPLY, None, &streams(vec![("a", matrix([1, 1], &[1.0]))]))
        .fails(400, "invalid_request");
    assert!(fails["message"].as_str().is_some_and(|m| m.contains("the input b is missing")), "{fails}");
    let unlike = streams(vec![("a", matrix([1, 2], &[1.0, 2.0])), ("b", matrix([1, 2], &[1.0, 2.0]))]);
    assert_eq!(
        post(&service, MULTIPLY, None, &unlike).fails(400, "invalid_request")["details"]["pointer"],
        "/b"
    );
}
