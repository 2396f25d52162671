//! Inference requests over real sockets.

use super::{HEAD_LENGTH, INFER, bytes, infer, parts};
use crate::service::{Service, assert_within};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::time::Duration;

fn sized(name: &str, shape: &[usize]) -> Json {
    let size = 4 * shape.iter().product::<usize>();
    json!({"name": name, "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": size}})
}

/// `[[1, 2], [3, 4]] · [[5, 6], [7, 8]]`, as binary tensors.
fn product() -> (Json, Vec<u8>) {
    let head = json!({"id": "42", "inputs": [sized("a", &[2, 2]), sized("b", &[2, 2])],
                      "parameters": {"binary_data_output": true}});
    (head, bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))
}

#[test]
fn binary_tensors_go_in_and_come_out() {
    let service = Service::start(&[]);
    let (head, tail) = product();
    for path in
        [INFER, "/api/v1/v2/models/matrix.multiply/infer", "/v2/models/matrix.multiply/versions/1/infer"]
    {
        let reply = infer(&service, path, &[("x-request-id", "abc")], &head, &tail);
        let (answer, data) = parts(&reply);
        assert_eq!(data, bytes(&[19.0, 22.0, 43.0, 50.0]));
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
        let result = json!({"name": "result", "datatype": "FP32", "shape": [2, 2],
                            "parameters": {"binary_data_size": 16}});
        let want = json!({"model_name": "matrix.multiply", "id": "42", "outputs": [result],
                          "parameters": {"gpu_time_us": 0, "request_id": "abc"}});
        assert_within(&answer, &want);
        let parameters = answer["parameters"].as_object().expect("an object");
        assert!(
            parameters.values().all(|v| !v.is_object() && !v.is_array() && !v.is_null()),
            "{parameters:?}"
        );
        assert!(parameters["compute_us"].is_u64() && parameters["device"].is_string(), "{parameters:?}");
    }
}

#[test]
fn json_tensors_are_answered_in_json_and_outputs_can_be_chosen() {
    let service = Service::start(&[]);
    let a = json!({"name": "a", "datatype": "FP64", "shape": [2, 2], "data": [3, 0, 0, 2]});
    let post = |outputs: Option<Json>| {
        let mut body = json!({"inputs": [a]});
        if let Some(outputs) = outputs {
            body["outputs"] = outputs;
        }
        service.post("/v2/models/matrix.svd/infer", &body)
    };
    let reply = post(None);
    let all = reply.expect(200);
    assert_eq!(reply.header(HEAD_LENGTH), None);
    let names: Vec<&str> =
        all["outputs"].as_array().expect("a list").iter().filter_map(|o| o["name"].as_str()).collect();
    assert_eq!(names, ["u", "s", "vt"]);
    let s = post(Some(json!([{"name": "s"}]))).expect(200);
    assert_eq!(s["outputs"], json!([{"name": "s", "datatype": "FP64", "shape": [2], "data": [3, 2]}]));
    let (head, tail) =
        parts(&post(Some(json!([{"name": "s", "parameters": {"binary_data": true}}, {"name": "u"}]))));
    assert_eq!(head["outputs"][1]["parameters"]["binary_data_size"], 16, "{head}");
    assert_eq!(tail, [3.0f64, 2.0].map(f64::to_le_bytes).concat());
    let fails = post(Some(json!([{"name": "sv"}]))).fails(400, "invalid_request");
    assert_eq!(fails["details"]["pointer"], "/outputs/0");
}

#[test]
fn what_is_not_finite_travels_as_binary_data() {
    let service = Service::start(&[]);
    let a = sized("a", &[1, 2]);
    let tail = bytes(&[f32::NAN, f32::INFINITY]);
    let ask = |binary: bool| {
        let head = json!({"inputs": [a], "parameters": {"binary_data_output": binary}});
        infer(&service, "/v2/models/matrix.transpose/infer", &[], &head, &tail)
    };
    assert_eq!(parts(&ask(true)).1, tail);
    let fails = ask(false).fails(422, "unprocessable");
    assert!(fails["message"].as_str().is_some_and(|m| m.contains("binary data")), "{fails}");
}

#[test]
fn bodies_and_answers_can_be_compressed() {
    let service = Service::start(&[]);
    let (head, tail) = product();
    let head = head.to_string();
    let plain = [head.as_bytes(), &tail].concat();
    let length = head.len().to_string();
    let gzip = {
        let mut w = GzEncoder::new(Vec::new(), Compression::default());
        w.write_all(&plain).expect("a vector");
        w.finish().expect("a vector")
    };
    let deflate = {
        let mut w = ZlibEncoder::new(Vec::new(), Compression::default());
        w.write_all(&plain).expect("a vector");
        w.finish().expect("a vector")
    };
    for (coding, body) in [("gzip", gzip), ("deflate", deflate)] {
        let headers = [
            ("x-api-key", service.key.as_str()),
            (HEAD_LENGTH, &length),
            ("content-encoding", coding),
            ("accept-encoding", coding),
        ];
        let reply = service.call("POST", INFER, &headers, &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("content-encoding"), Some(coding));
        let mut unpacked = Vec::new();
        match coding {
            "gzip" => GzDecoder::new(&reply.body[..]).read_to_end(&mut unpacked),
            _ => ZlibDecoder::new(&reply.body[..]).read_to_end(&mut unpacked),
        }
        .expect("it unpacks");
        let length: usize = reply.header(HEAD_LENGTH).expect("framed").parse().expect("a number");
        assert_eq!(unpacked[length..], bytes(&[19.0, 22.0, 43.0, 50.0]));
    }
    let reply = service.call(
        "POST",
        INFER,
        &[("x-api-key", &service.key), (HEAD_LENGTH, &length), ("accept-encoding", "gzip, deflate, br")],
        &plain,
    );
    assert_eq!(reply.header("content-encoding"), None, "a list is what libraries send unasked");
}

#[test]
fn faults_name_their_place_in_the_request() {
    let service = Service::start(&[("SERVER__MAX_BODY_BYTES", "4096")]);
    let (head, tail) = product();
    let mut short = head.clone();
    short["inputs"][1]["shape"] = json!([1, 4]);
    let fails = infer(&service, INFER, &[], &short, &tail).fails(400, "invalid_request");
    assert_eq!(fails["details"]["pointer"], "/inputs/1", "{fails}");
    let mut flag = head.clone();
    flag["parameters"]["timeout_ms"] = json!("soon");
    let fails = infer(&service, INFER, &[], &flag, &tail).fails(400, "invalid_request");
    assert_eq!(fails["details"]["pointer"], "/parameters/timeout_ms", "{fails}");
    let fails = infer(&service, INFER, &[], &head, &tail[1..]).fails(400, "invalid_request");
    assert_eq!(fails["details"]["pointer"], "/inputs/1/parameters/binary_data_size", "{fails}");
    let absent = json!({"inputs": [{"name": "a", "parameters": {"dataset": "nowhere", "column": "x"}}, head["inputs"][1]]});
    let fails = infer(&service, INFER, &[], &absent, &tail[16..]).fails(404, "not_found");
    assert_eq!(fails["details"]["pointer"], "/inputs/0", "{fails}");
    let singular =
        json!({"inputs": [{"name": "a", "datatype": "FP64", "shape": [2, 2], "data": [1, 2, 2, 4]}]});
    service.post("/v2/models/matrix.inverse/infer", &singular).fails(422, "unprocessable");
    for length in ["-1", "1e3", "", "99999999999999999999999", "4096"] {
        let headers = [("x-api-key", service.key.as_str()), (HEAD_LENGTH, length)];
        service
            .call("POST", INFER, &headers, &[head.to_string().as_bytes(), &tail].concat())
            .fails(400, "invalid_request");
    }
    infer(&service, INFER, &[], &head, &[0; 5000]).fails(413, "payload_too_large");
    let headers = [("x-api-key", service.key.as_str()), ("content-type", "text/csv")];
    service.call("POST", INFER, &headers, b"a,b").fails(415, "unsupported_media_type");
    // A body that breaks off ends nothing but its connection.
    let mut connection = service.connect();
    let begun = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\n{HEAD_LENGTH}: 30\r\ncontent-length: 90\r\n\r\n{{\"inputs\"",
        service.key
    );
    connection.send(begun.as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    drop(connection);
    let (_, data) = parts(&infer(&service, INFER, &[], &head, &tail));
    assert_eq!(data.len(), 16);
}

#[test]
fn large_tensors_come_whole_in_any_framing() {
    let service = Service::start(&[]);
    // Nine megabytes, more than any buffer on the way, of an odd head so that nothing is aligned by chance.
    let (rows, columns) = (1501, 1499);
    let values: Vec<f32> = (0..rows * columns).map(|i| (i % 8191) as f32).collect();
    let transposed: Vec<f32> = (0..columns)
        .flat_map(|c| (0..rows).map(move |r| (r * columns + c) % 8191))
        .map(|v| v as f32)
        .collect();
    let head = json!({"id": "odd", "inputs": [sized("a", &[rows, columns])],
                      "parameters": {"binary_data_output": true, "cache": false}});
    let (answer, tail) =
        parts(&infer(&service, "/v2/models/matrix.transpose/infer", &[], &head, &bytes(&values)));
    assert_eq!(answer["outputs"][0]["shape"], json!([columns, rows]));
    assert!(tail == bytes(&transposed), "the elements differ");
    // Chunked, so that no length is known before.
    let head = head.to_string();
    let mut connection = service.connect();
    let mut request = format!(
        "POST /v2/models/matrix.transpose/infer HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\n{HEAD_LENGTH}: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        service.key,
        head.len()
    )
    .into_bytes();
    for part in [head.as_bytes(), &bytes(&values)].concat().chunks(100_001) {
        request.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    connection.send(&request).expect("sent");
    let (_, tail) = parts(&connection.receive().expect("an answer"));
    assert!(tail == bytes(&transposed), "the elements differ");
}
