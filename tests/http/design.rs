//! Every request and answer that the published design prints about tokens, matrices, envelopes, batches and
//! metrics works as printed, `...` aside: equal as JSON values, further fields allowed.

use crate::service::{Folder, Service, assert_within, run_well};
use serde_json::{Value as Json, json};

const KEY: &str = "heliosdb_api_key_xyz";

/// A service whose folder holds the design's key.
fn with_the_designs_key(settings: &[(&str, &str)]) -> Service {
    let folder = Folder::new();
    run_well(&folder, &["tenants", "create", "heliosdb"], "");
    let printed = run_well(&folder, &["keys", "import", "--tenant", "heliosdb", "--name", "design"], KEY);
    assert!(printed.starts_with("key id: key_") && !printed.contains(KEY), "{printed}");
    Service::over(folder, settings, &[])
}

fn is_count(v: &Json) -> bool {
    v.as_u64().is_some()
}

#[test]
fn tokens_and_submissions_are_as_printed() {
    let service = with_the_designs_key(&[]);
    let reply = service.call("POST", "/api/v1/auth/token", &[], br#"{"api_key": "heliosdb_api_key_xyz"}"#);
    let body = reply.expect(200);
    assert_eq!(body["expires_in"], 3600);
    let token = body["token"].as_str().expect("a token");
    // The printed token's header is this one; ours has a kid besides.
    assert!(token.starts_with("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCI"), "{token}");
    let bearer = format!("Bearer {token}");
    let post = |path: &str, body: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        service.call("POST", path, &headers, body.as_bytes())
    };

    let flat = post(
        "/api/v1/workloads/matrix/multiply",
        r#"{
  "a": [[1, 2], [3, 4]],
  "b": [[5, 6], [7, 8]],
  "dtype": "f32"
}"#,
    )
    .expect(200);
    assert_within(&flat, &json!({"result": [[19, 22], [43, 50]], "cache_hit": false}));
    assert!(is_count(&flat["gpu_time_us"]), "{flat}");

    let flow = post(
        "/api/v1/workloads/matrix/multiply",
        r#"{
  "workload_type": "matrix_multiply",
  "a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]],
  "priority": "high",
  "timeout_ms": 1000
}"#,
    )
    .expect(200);
    assert_within(&flow, &json!({"result": [[19, 22], [43, 50]], "priority": "high"}));
    assert!(is_count(&flow["gpu_time_us"]), "{flow}");

    let envelope = post(
        "/api/v1/workloads/matrix/multiply",
        r#"{
  "inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]},
  "priority": "high",
  "timeout_ms": 1000,
  "cache": true
}"#,
    )
    .expect(200);
    assert_within(&envelope, &json!({"result": [[19, 22], [43, 50]], "cache_hit": false, "device_id": null}));
    assert!(is_count(&envelope["gpu_time_us"]) && is_count(&envelope["total_time_us"]), "{envelope}");
}

/// The graph of the design's example.
const GRAPH: &str = r#"{
    "nodes": [0, 1, 2, 3],
    "edges": [[0, 1, 1.0], [0, 2, 4.0], [1, 3, 2.0], [2, 3, 1.0]]
  }"#;

/// What the design leaves out of its batch (`{...}`) is what it prints for each of the three elsewhere.
#[test]
fn the_printed_batch_answers_item_by_item() {
    let service = with_the_designs_key(&[]);
    let token = service.token(KEY);
    let body = format!(
        r#"{{
  "workloads": [
    {{"type": "matrix", "operation": "multiply", "inputs": {{"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}}}},
    {{"type": "graph", "operation": "shortest_path", "inputs": {{"graph": {GRAPH}, "start": 0, "end": 3}}}},
    {{"type": "vector", "operation": "similarity",
      "inputs": {{"queries": [[1, 0]], "corpus": [[0, 1], [2, 0]], "metric": "cosine", "top_k": 1}}}}
  ],
  "priority": "medium"
}}"#
    );
    let headers = [("Authorization", &*format!("Bearer {token}"))];
    let answer = service.call("POST", "/api/v1/workloads/batch", &headers, body.as_bytes()).expect(200);
    assert!(is_count(&answer["total_time_us"]), "{answer}");
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 3);
    assert_within(&results[0], &json!({"index": 0, "result": [[19, 22], [43, 50]]}));
    assert_within(&results[1], &json!({"index": 1, "result": {"path": [0, 1, 3], "distance": 3}}));
    assert_within(
        &results[2]["result"],
        &json!({"results": [{"query_idx": 0, "matches": [{"idx": 1, "score": 1}]}]}),
    );
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert!(is_count(&result["gpu_time_us"]), "{answer}");
    }
}

#[test]
fn graphs_and_vectors_are_answered_as_printed() {
    let service = with_the_designs_key(&[]);
    let bearer = format!("Bearer {}", service.token(KEY));
    let post = |path: &str, body: &str| {
        service.call("POST", path, &[("Authorization", bearer.as_str())], body.as_bytes()).expect(200)
    };
    let path = post(
        "/api/v1/workloads/graph/shortest_path",
        &format!(
            r#"{{
  "graph": {GRAPH},
  "start": 0,
  "end": 3,
  "algorithm": "dijkstra"
}}"#
        ),
    );
    assert_within(&path, &json!({"path": [0, 1, 3], "distance": 3.0}));
    assert!(is_count(&path["gpu_time_us"]), "{path}");

    let found = post(
        "/api/v1/workloads/vector/batch_similarity",
        r#"{
  "queries": [[0.1, 0.2, 0.2], [0.3, 0.4, 0.0]],
  "corpus": [[3, 4, 0], [1, 2, 2], [-1, -2, -2]],
  "metric": "cosine",
  "top_k": 2
}"#,
    );
    let results = found["results"].as_array().expect("a list");
    for (query, (result, best)) in results.iter().zip([1, 0]).enumerate() {
        assert_eq!(
            (&result["query_idx"], result["matches"].as_array().map(Vec::len)),
            (&json!(query), Some(2))
        );
        assert_eq!(result["matches"][0]["idx"], best);
        assert!(result["matches"][0]["score"].as_f64().is_some_and(|s| (s - 1.0).abs() < 1e-6), "{found}");
    }
    assert_eq!(results.len(), 2);
    assert!(is_count(&found["gpu_time_us"]), "{found}");
}

/// The submission, the states on the way, the events and the end of the design's asynchronous flow. Its callback goes
/// to a host that is not there.
#[test]
fn tasks_are_promised_followed_and_ended_as_printed() {
    let service = with_the_designs_key(&[]);
    let bearer = format!("Bearer {}", service.token(KEY));
    let headers = [("Authorization", bearer.as_str())];
    let body = r#"{
  "inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]},
  "priority": "medium",
  "callback_url": "https://heliosdb.example.com/gpu/callback"
}"#;
    let promise = service
        .call("POST", "/api/v1/workloads/matrix/multiply/async", &headers, body.as_bytes())
        .expect(202);
    assert_eq!(promise["status"], "queued");
    let id = promise["task_id"].as_str().filter(|id| id.starts_with("task_")).expect("a task");
    assert!(is_count(&promise["estimated_completion_ms"]) && is_count(&promise["position_in_queue"]));
    let stream = service.call("GET", &format!("/api/v1/tasks/{id}/stream"), &headers, b"");
    let events: Vec<Json> = stream
        .text()
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("json"))
        .collect();
    assert!(events.iter().all(|e| e["status"].is_string() && e["progress"].is_number()), "{events:?}");
    let end = json!({"task_id": id, "status": "completed", "result": [[19, 22], [43, 50]]});
    assert_within(events.last().expect("an event"), &end);
    let task = service.call("GET", &format!("/api/v1/tasks/{id}"), &headers, b"").expect(200);
    assert_within(&task, &end);
    assert!(is_count(&task["gpu_time_us"]) && task["progress"] == 1.0, "{task}");
}

/// The sample `name{labels} value` with at least these labels.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    text.lines().find_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, inside) = series.split_once('{').unwrap_or((series, ""));
        let holds = labels.iter().all(|(k, v)| inside.contains(&format!("{k}=\"{v}\"")));
        (found == name && holds).then(|| value.parse().ok()).flatten()
    })
}

#[test]
fn metrics_have_the_printed_names_and_labels() {
    let service = crate::devices::with_test_devices(1, &[("PLACE__HOST_BUDGET_BYTES", "67108864")]);
    let multiply = "/api/v1/workloads/matrix/multiply";
    let small = json!({"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}, "cache": true});
    for device in ["cpu", "cpu", "gpu"] {
        let mut body = small.clone();
        body["device"] = device.into();
        service.post(multiply, &body).expect(200);
    }
    // 6000 by 6000 numbers are more than the budget: the error that the design's example counts.
    let (column, row) = (vec![[1]; 6000], [vec![1; 6000]]);
    let large = service.post(multiply, &json!({"a": column, "b": row}));
    large.fails(507, "out_of_memory");

    for path in ["/api/v1/metrics", "/metrics"] {
        let reply = service.call("GET", path, &[], b"");
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").is_some_and(|t| t.starts_with("text/plain; version=0.0.4")));
        let text = reply.text();
        for line in [
            "# HELP heliosdb_gpu_utilization_percent GPU utilization percentage",
            "# TYPE heliosdb_gpu_utilization_percent gauge",
            "# HELP heliosdb_gpu_workload_latency_seconds GPU workload latency",
            "# TYPE heliosdb_gpu_workload_latency_seconds histogram",
            "# TYPE heliosdb_gpu_cache_hit_rate gauge",
            "# TYPE heliosdb_gpu_error_total counter",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let of = [("workload_type", "matrix_multiply")];
        let latency = "heliosdb_gpu_workload_latency_seconds";
        for le in ["0.001", "0.01", "+Inf"] {
            let bucket = sample(&text, &format!("{latency}_bucket"), &[of[0], ("le", le)]);
            assert!(bucket.is_some(), "le {le}\n{text}");
        }
        assert!(sample(&text, &format!("{latency}_sum"), &of).is_some_and(|v| v > 0.0), "{text}");
        assert_eq!(sample(&text, &format!("{latency}_count"), &of), Some(3.0), "{text}");
        let all = sample(&text, &format!("{latency}_bucket"), &[of[0], ("le", "+Inf")]);
        assert_eq!(all, Some(3.0), "{text}");
        // Three lookups, of which the second hit: the third wanted another device.
        let rate = sample(&text, "heliosdb_gpu_cache_hit_rate", &of).expect("a hit rate");
        assert!((rate - 1.0 / 3.0).abs() < 1e-9, "{rate}");
        let errors = sample(&text, "heliosdb_gpu_error_total", &[("error_type", "out_of_memory")]);
        assert_eq!(errors, Some(1.0), "{text}");
        let device = sample(&text, "heliosdb_gpu_utilization_percent", &[("device_id", "0")]);
        assert!(device.is_some_and(|v| (0.0..=100.0).contains(&v)), "{text}");
        assert!(sample(&text, "heliosdb_gpu_memory_total_bytes", &[("device_id", "0")]).is_some());
        let named = text.lines().filter(|l| l.contains("device_id=\"0\"") && l.contains("_percent"));
        assert!(named.into_iter().all(|l| l.contains("device_name=\"")), "{text}");
        assert!(!text.contains("dev\""), "no tenant is named: {text}");
    }
}

/// Numbers without structure, so that no decomposition ends early.
fn scattered(n: usize) -> String {
    let mut x = 1u32;
    let mut rows = String::from("[");
    for i in 0..n {
        rows.push_str(if i == 0 { "[" } else { ",[" });
        for j in 0..n {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            rows.push_str(if j == 0 { "" } else { "," });
            rows.push((b'1' + (x >> 24) as u8 % 9) as char);
        }
        rows.push(']');
    }
    rows.push(']');
    rows
}

#[test]
fn the_two_printed_failures_are_as_printed() {
    let service = Service::start(&[]);
    let body = format!(r#"{{"inputs": {{"a": {}}}, "timeout_ms": 1000, "cache": false}}"#, scattered(2500));
    let headers = [("x-api-key", service.key.as_str())];
    let reply = service.call("POST", "/api/v1/workloads/matrix/svd", &headers, body.as_bytes());
    assert_within(
        &reply.fails(408, "timeout"),
        &json!({"error": "timeout", "message": "Workload exceeded 1000ms timeout"}),
    );
    let body = json!({"inputs": {"a": [[1]], "b": [[1]]}, "device": "gpu"});
    let reply = service.post("/api/v1/workloads/matrix/multiply", &body);
    assert_within(
        &reply.fails(503, "no_gpu_available"),
        &json!({"error": "no_gpu_available", "message": "All GPUs busy, try again later",
                "retry_after_ms": 5000}),
    );
    assert_eq!(reply.header("retry-after"), Some("5"));
}
