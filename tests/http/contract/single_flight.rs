//! Equal requests are computed once, whoever leaves.

use crate::service::{Service, comes};
use crate::wire::request;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PAGERANK: &str = "/api/v1/workloads/graph/pagerank";
const FOLLOWERS: usize = 99;

/// A hundred callers want the same slow thing. The first, who is patient, hangs up; one of the others is in a hurry.
#[test]
fn a_hundred_equal_requests_are_one_computation() {
    let service = Service::start(&[]);
    // Little to send and to answer, and long to compute: a ring of nodes, with ever more rounds.
    let edges: Vec<[u64; 2]> = (0..2000).map(|i| [i, (i * 7 + 1) % 2000]).collect();
    let inputs = json!({"graph": {"edges": edges}, "tolerance": 0, "iterations": 100_000, "damping": 0.9999});
    let asked = json!({"inputs": inputs, "cache": true, "timeout_ms": 60_000});
    let with = |priority: &str| {
        let mut body = asked.clone();
        body["priority"] = priority.into();
        let headers = [("x-api-key", service.key.as_str())];
        request("POST", PAGERANK, &headers, body.to_string().as_bytes())
    };
    let running = || service.ask("GET", "/metrics").text().contains("heliosdb_gpu_running_jobs 1\n");
    let mut leader = service.connect();
    leader.send(&with("low")).expect("sent");
    assert!(comes(Duration::from_secs(30), running));
    let answers: Vec<Json> = std::thread::scope(|scope| {
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|i| {
                let bytes = with(if i == 50 { "realtime" } else { "medium" });
                let mut connection = service.connect();
                connection.send(&bytes).expect("sent");
                scope.spawn(move || connection.receive().expect("an answer").expect(200))
            })
            .collect();
        drop(leader);
        followers.into_iter().map(|f| f.join().expect("a follower")).collect()
    });
    assert_eq!(answers.len(), FOLLOWERS);
    // Each run takes its own time to the microsecond: one run, one figure. Late comers may meet the cache.
    let computed: Vec<&Json> = answers.iter().filter(|a| a["cache_hit"] == false).collect();
    let figures: BTreeSet<u64> =
        computed.iter().map(|a| a["timings"]["compute_us"].as_u64().expect("a figure")).collect();
    assert_eq!(figures.len(), 1, "{figures:?}");
    assert!(computed.len() > FOLLOWERS / 2, "{} of the followers joined", computed.len());
    assert!(answers.iter().all(|a| a["result"]["scores"] == answers[0]["result"]["scores"]));
}
