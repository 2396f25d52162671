//! Shapes of requests and answers, priorities, devices, and what every answer has.

use super::{MULTIPLY, product, product_with};
use crate::service::{Service, assert_within};
use serde_json::json;

#[test]
fn the_answer_has_the_shape_of_its_request() {
    let service = Service::start(&[]);
    let rows = json!([[19, 22], [43, 50]]);
    // A sole output named `result` is unwrapped; in the flat shape it stands at the top level anyway.
    let envelope = service.post(MULTIPLY, &product()).expect(200);
    assert_within(
        &envelope,
        &json!({"result": rows, "gpu_time_us": 0, "cache_hit": false, "device_id": null,
        "device": "cpu", "priority": "medium"}),
    );
    for field in ["queue_us", "decode_us", "upload_us", "compute_us", "download_us", "encode_us"] {
        assert!(envelope["timings"][field].is_u64(), "{field}: {envelope}");
    }
    let flat = service.post(MULTIPLY, &json!({"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]})).expect(200);
    assert_within(&flat, &json!({"result": rows, "cache_hit": false, "device": "cpu"}));

    // Several outputs: named within `result` in the envelope, at the top level in the flat shape.
    let svd = "/api/v1/workloads/matrix/svd";
    let envelope = service.post(svd, &json!({"inputs": {"a": [[2, 0], [0, 1]]}})).expect(200);
    assert_within(&envelope, &json!({"result": {"s": [2, 1]}}));
    assert!(envelope["result"]["u"].is_array() && envelope.get("u").is_none(), "{envelope}");
    let flat = service.post(svd, &json!({"a": [[2, 0], [0, 1]]})).expect(200);
    assert_within(&flat, &json!({"s": [2, 1]}));
    assert!(flat["u"].is_array() && flat.get("result").is_none(), "{flat}");

    // An envelope if and only if `inputs` is an object.
    for body in [json!({"inputs": [1]}), json!({"inputs": 1}), json!({"inputs": null})] {
        service.post(MULTIPLY, &body).fails(400, "invalid_request");
    }
    let both = service.post(MULTIPLY, &product_with(json!({"a": [[1]]})));
    assert_eq!(both.fails(400, "invalid_request")["details"]["pointer"], "/a");
}

#[test]
fn what_is_wrong_is_named_with_its_pointer() {
    let service = Service::start(&[]);
    for (body, pointer, hint) in [
        (product_with(json!({"priorty": "high"})), "/priorty", "did you mean priority?"),
        (product_with(json!({"chace": true})), "/chace", "did you mean cache?"),
        (
            json!({"inputs": {"a": [[1]], "b": [[1]], "transpos_a": true}}),
            "/inputs/transpos_a",
            "transpose_a?",
        ),
        (json!({"a": [[1]], "b": [[1]], "tranpose_b": true}), "/tranpose_b", "transpose_b?"),
        (product_with(json!({"workload_type": "matrix_svd"})), "/workload_type", "matrix_multiply"),
        (product_with(json!({"priority": "hihg"})), "/priority", "did you mean high?"),
        (product_with(json!({"device": "tpu"})), "/device", "auto, cpu, gpu"),
        (product_with(json!({"cache": "yes"})), "/cache", "true or false"),
        (product_with(json!({"depends_on": [{"table": ""}]})), "/depends_on/0", "1 to 256"),
        (json!({"inputs": {"a": [[1, "x"]], "b": [[1]]}}), "/inputs/a/0/1", ""),
        (json!({"inputs": {"a": [[1, null]], "b": [[1]]}}), "/inputs/a/0/1", "null"),
        (json!({"a": [[1, 2]], "b": [[1]]}), "/b", "b has 1 rows"),
        (json!({"inputs": {"a": [[1, 2]], "b": [[1]]}}), "/inputs/b", "b has 1 rows"),
        (json!({"inputs": {"a": [[1]]}}), "/inputs", "b is missing"),
    ] {
        let e = service.post(MULTIPLY, &body).fails(400, "invalid_request");
        assert_eq!(e["details"]["pointer"], pointer, "{body}: {e}");
        assert!(e["message"].as_str().is_some_and(|m| m.contains(hint)), "{body}: {e}");
        assert_eq!(e["retryable"], false);
    }
    service.post(MULTIPLY, &product_with(json!({"workload_type": "matrix_multiply"}))).expect(200);
    let unknown =
        service.post("/api/v1/workloads/matrix/multipyl", &product()).fails(404, "unknown_operation");
    assert!(unknown["details"]["nearest"].to_string().contains("multiply"), "{unknown}");
    let singular = service.post("/api/v1/workloads/matrix/inverse", &json!({"a": [[1, 2], [2, 4]]}));
    assert!(singular.fails(422, "unprocessable")["details"]["reason"].is_string());
}

#[test]
fn priorities_above_the_tenants_are_lowered_and_said_so() {
    let service = Service::start(&[]);
    let (_, key) = service.tenant("modest", json!({"max_priority": "medium"}), &["gpu:matrix"]);
    for (asked, given) in [("realtime", "medium"), ("high", "medium"), ("medium", "medium"), ("low", "low")] {
        let body = product_with(json!({"priority": asked}));
        assert_eq!(service.post_as(&key, MULTIPLY, &body).expect(200)["priority"], given);
        assert_eq!(service.post(MULTIPLY, &body).expect(200)["priority"], asked);
    }
}

#[test]
fn a_device_computes_what_the_cpu_computes() {
    let service = crate::devices::with_test_devices(1, &[]);
    for device in [json!("gpu"), json!(0), json!("0")] {
        let answer =
            service.post(MULTIPLY, &product_with(json!({"device": device, "explain": true}))).expect(200);
        assert_within(
            &answer,
            &json!({"result": [[19, 22], [43, 50]], "device_id": 0, "device": "gpu:0",
            "cache_hit": false}),
        );
        assert!(answer.get("fallback").is_none(), "{answer}");
        for field in ["upload_us", "compute_us", "download_us"] {
            assert!(answer["timings"][field].is_u64(), "{answer}");
        }
        assert_eq!(answer["gpu_time_us"], answer["timings"]["compute_us"]);
        assert_eq!(answer["explanation"]["chosen"], "gpu:0");
    }
    // Larger, so that GPU time is visible: every element of the product is 64.
    let ones = vec![vec![1; 64]; 64];
    let body = json!({"inputs": {"a": ones, "b": ones}, "device": "gpu"});
    let answer = service.post(MULTIPLY, &body).expect(200);
    assert_within(&answer["result"], &json!(vec![vec![64; 64]; 64]));
    assert!(answer["gpu_time_us"].as_u64() > Some(0), "{answer}");

    let no_such = service.post(MULTIPLY, &product_with(json!({"device": 7})));
    assert_eq!(no_such.fails(400, "invalid_request")["details"]["pointer"], "/device");
    let devices = service.ask("GET", "/api/v1/devices").expect(200);
    assert_within(&devices["devices"][0], &json!({"id": 0, "status": "up"}));
    // An operation without a device path says so instead of running elsewhere.
    let search = json!({"inputs": {"graph": {"edges": [[0, 1]]}, "start": 0}, "device": "gpu"});
    service.post("/api/v1/workloads/graph/dfs", &search).fails(501, "backend_unavailable");
    // So does one whose kernels the device cannot run.
    service.post("/api/v1/workloads/graph/bfs", &search).fails(501, "backend_unavailable");
}

#[test]
fn a_gpu_that_is_not_there_is_not_silently_replaced() {
    let service = Service::start(&[]);
    let gpu = service.post(MULTIPLY, &product_with(json!({"device": "gpu"})));
    assert_eq!(gpu.fails(503, "no_gpu_available")["retryable"], true);
    let first = service.post(MULTIPLY, &product_with(json!({"device": 0})));
    assert_eq!(first.fails(400, "invalid_request")["details"]["pointer"], "/device");
    let cpu = service.post(MULTIPLY, &product_with(json!({"device": "cpu"}))).expect(200);
    assert_eq!(cpu["device"], "cpu");
}

#[test]
fn explain_shows_the_figures_behind_the_choice() {
    let service = crate::devices::with_test_devices(1, &[]);
    let answer = service.post(MULTIPLY, &product_with(json!({"explain": true}))).expect(200);
    let explanation = &answer["explanation"];
    assert_eq!(explanation["chosen"], answer["device"], "{answer}");
    let candidates = explanation["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2, "{answer}");
    assert!(candidates.iter().all(|c| c["expected_us"].is_number()), "{answer}");
    assert!(explanation["why"].as_str().is_some_and(|w| !w.is_empty()), "{answer}");
    assert!(service.post(MULTIPLY, &product()).expect(200).get("explanation").is_none());
}

#[test]
fn every_answer_has_its_id_and_failures_have_one_body() {
    let service = Service::start(&[]);
    let key = ("x-api-key", service.key.as_str());
    let with = |extra: (&str, &str), path: &str, method: &str| {
        service.call(method, path, &[key, extra], if method == "GET" { b"" } else { b"{}" })
    };
    for (path, method, status) in
        [("/health/live", "GET", 200), (MULTIPLY, "POST", 400), ("/nowhere", "GET", 404)]
    {
        let reply = with(("x-request-id", "trace-me-17"), path, method);
        assert_eq!((reply.status, reply.header("x-request-id")), (status, Some("trace-me-17")));
    }
    let body = with(("x-request-id", "trace-me-18"), MULTIPLY, "POST").expect(400);
    assert_eq!(body["request_id"], "trace-me-18");
    // An id that would break a log line or a header is replaced.
    let fresh = with(("x-request-id", "a b"), "/health/live", "GET");
    assert_eq!(fresh.header("x-request-id").map(str::len), Some(32));

    let problem = with(("accept", "application/problem+json"), MULTIPLY, "POST");
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    let body = problem.fails(400, "invalid_request");
    assert_within(&body, &json!({"status": 400, "title": "invalid_request"}));
    assert!(body["type"].is_string() && body["detail"] == body["message"], "{body}");

    for path in ["/nowhere", "/api/v1/nowhere", "/api/v1", "/api/v2/operations", "/api/v1/workloads/matrix"] {
        with(key, path, "GET").fails(404, "not_found");
    }
    for path in ["", "/", "/matrix", "/matrix/", "//multiply", "/matrix/multiply/", "/matrix/multiply/now"] {
        with(key, &format!("/api/v1/workloads{path}"), "POST").fails(404, "not_found");
    }
    with(key, "/api/v1/workloads/matrix/multiply/async/", "POST").fails(404, "not_found");
    // A letter may be written as its code (RFC 3986, 2.3).
    with(("accept", "*/*"), "/api/v1/workloads/matri%78/multiply", "POST").fails(400, "invalid_request");
    for (method, path) in [
        ("GET", MULTIPLY),
        ("PUT", MULTIPLY),
        ("GET", "/api/v1/workloads/matrix/multiply/async"),
        ("DELETE", "/api/v1/workloads/batch"),
        ("GET", "/v2/models/matrix.multiply/infer"),
        ("POST", "/v2/models/matrix.multiply/versions/1"),
        ("GET", "/api/v1/auth/token"),
        ("POST", "/api/v1/operations"),
        ("PATCH", "/api/v1/tenants"),
        ("POST", "/health/live"),
        ("DELETE", "/metrics"),
    ] {
        let reply = with(("accept", "*/*"), path, method);
        reply.fails(405, "method_not_allowed");
        let allow = reply.header("allow").unwrap_or_default();
        assert!(!allow.is_empty() && !allow.contains(method), "{method} {path}: allow: {allow}");
    }
}

#[test]
fn compressed_bodies_are_read() {
    let service = Service::start(&[]);
    // {"a":[[1,2],[3,4]],"b":[[5,6],[7,8]]} by Python's gzip and zlib, and by zstd 1.5.
    const GZIP: &str = "1f8b0800000000000203ab564a54b28a8e36d4318ad58936d631898dd5514a028998ea980145cc752c62636b01ff8493bb25000000";
    const ZLIB: &str = "78daab564a54b28a8e36d4318ad58936d631898dd5514a028998ea980145cc752c62636b01b80a09e0";
    const DEFLATE: &str = "ab564a54b28a8e36d4318ad58936d631898dd5514a028998ea980145cc752c62636b01";
    const ZSTD: &str = "28b52ffd04682901007b2261223a5b5b312c325d2c5b332c345d5d2c2262223a5b5b352c365d2c5b372c385d5d7da6e237b2";
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect()
    };
    for (encoding, hex) in [
        ("gzip", GZIP),
        ("x-gzip", GZIP),
        ("GZIP", GZIP),
        ("deflate", ZLIB),
        ("deflate", DEFLATE),
        ("zstd", ZSTD),
    ] {
        let headers = [("x-api-key", service.key.as_str()), ("content-encoding", encoding)];
        let answer = service.call("POST", MULTIPLY, &headers, &bytes(hex)).expect(200);
        assert_within(&answer, &json!({"result": [[19, 22], [43, 50]]}));
    }
}
