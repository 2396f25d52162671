//! What an operator sees and does.

use super::{absent, devices, metric, multiply, multiply_as, statuses, until, with_test_devices, workers};
use crate::service::Service;
use std::time::{Duration, Instant};

#[test]
fn a_device_is_listed_with_how_it_is() {
    let service = with_test_devices(2, &[]);
    let answer = multiply(&service, 100, 1, "gpu");
    assert!(answer["device_id"].is_u64(), "{answer}");
    assert!(answer["gpu_time_us"].as_u64().is_some_and(|us| us > 0), "{answer}");
    let listed = devices(&service);
    assert_eq!(listed.len(), 2);
    let d = &listed[1];
    assert_eq!((&d["id"], &d["name"], &d["backend"]), (&1.into(), &"test device 1".into(), &"test".into()));
    assert_eq!((&d["is_cpu"], &d["faults"], &d["restarts"]), (&true.into(), &0.into(), &0.into()));
    assert_eq!((&d["memory_total_bytes"], &d["memory_used_bytes"]), (&268_435_456.into(), &0.into()));
    assert_eq!(workers(&service).len(), 2);
    assert_eq!(metric(&service, "heliosdb_gpu_device_up"), 2.0);
}

#[test]
fn a_device_is_drained_and_resumed_by_an_administrator_alone() {
    let service = with_test_devices(1, &[]);
    let (_, key) = service.tenant("plain", serde_json::json!({}), &["gpu:matrix"]);
    for word in ["drain", "resume"] {
        let path = format!("/api/v1/devices/0/{word}");
        service.call("POST", &path, &[], b"").fails(401, "unauthenticated");
        service.call("POST", &path, &[("x-api-key", &key)], b"").fails(403, "insufficient_scope");
        service.ask("POST", &format!("/api/v1/devices/7/{word}")).fails(404, "not_found");
        service.ask("POST", &format!("/api/v1/devices/x/{word}")).fails(404, "not_found");
        service.ask("GET", &path).expect(405);
    }
    assert_eq!(service.ask("POST", "/api/v1/devices/0/drain").expect(200)["status"], "draining");
    let (inputs, _) = super::product(4, 1);
    let asked = serde_json::json!({"inputs": inputs, "device": "gpu", "cache": false});
    let refused = service.post("/api/v1/workloads/matrix/multiply", &asked);
    assert_eq!(refused.fails(503, "no_gpu_available")["message"], "All GPUs busy, try again later");
    let answer = multiply(&service, 160, 3, "auto");
    assert!(answer["device_id"].is_null(), "{answer}");
    super::tells(&answer);
    assert_eq!(metric(&service, "heliosdb_gpu_device_up"), 0.0);
    assert_eq!(service.ask("POST", "/api/v1/devices/0/resume").expect(200)["status"], "up");
    assert_eq!(multiply(&service, 4, 4, "gpu")["device_id"], 0);
}

#[test]
fn a_device_that_is_a_cpu_runs_what_names_it_and_nothing_else() {
    let service = with_test_devices(1, &[("DEVICES__AUTO_CPU_DEVICES", "false")]);
    for seed in 0..3 {
        let answer = multiply(&service, 160, seed, "auto");
        assert!(answer["device_id"].is_null() && answer["fallback"].is_null(), "{answer}");
    }
    assert_eq!(multiply(&service, 160, 9, "gpu")["device_id"], 0);
}

#[test]
fn without_a_gpu_the_service_is_ready_at_once_and_says_what_is_absent() {
    let mut took: Vec<Duration> = (0..3)
        .map(|_| {
            let start = Instant::now();
            let service = Service::start(&[]);
            service.ask("GET", "/health/ready").expect(200);
            start.elapsed()
        })
        .collect();
    took.sort();
    println!("start to ready: {took:?}");
    // The promise is 300 ms; a machine that also does other things gets some more.
    assert!(took[0] < Duration::from_millis(1500), "{took:?}");
    let service = Service::start(&[]);
    let absent = absent(&service);
    for driver in ["cuda", "rocm", "opencl"] {
        let of = |what: &str| what.split(':').next() == Some(driver);
        let listed = devices(&service).iter().any(|d| d["backend"] == driver);
        let reason = absent.iter().find(|(what, _)| of(what)).map(|(_, reason)| reason);
        assert!(listed || reason.is_some_and(|r| !r.is_empty()), "{driver}: {absent:?}");
    }
    let (_, key) = service.tenant("plain", serde_json::json!({}), &["gpu:matrix"]);
    let told = service.call("GET", "/api/v1/devices", &[("x-api-key", &key)], b"").expect(200);
    let reasons = told["absent"].as_array().expect("a list").iter().map(|a| a["reason"].clone());
    assert!(reasons.into_iter().all(|r| r == "not used; the service's log has the reason"), "{told}");
    let service = Service::start(&[("DEVICES__ENABLED", "false"), ("DEVICES__TEST_DEVICES", "1")]);
    assert_eq!(super::absent(&service).len(), 1);
    assert!(devices(&service).is_empty());
}

#[test]
fn workers_end_with_their_service_however_it_ends() {
    let mut service = with_test_devices(2, &[]);
    let first = workers(&service);
    assert_eq!(first.len(), 2);
    let folder = service.kill();
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    until("the workers of a killed service are gone", || first.iter().all(gone));
    let mut service = Service::over(folder, &[("DEVICES__TEST_DEVICES", "2")], &[]);
    until("the devices are up", || statuses(&service) == ["up", "up"]);
    let second = workers(&service);
    service.terminate();
    assert!(service.wait().success());
    until("the workers of a stopped service are gone", || second.iter().all(gone));
}

#[test]
fn a_tenant_that_shares_no_process_has_a_worker_of_its_own_or_the_cpu() {
    let service =
        with_test_devices(1, &[("DEVICES__ISOLATED_WORKERS", "1"), ("DEVICES__ISOLATED_PERCENT", "20")]);
    // What the tenants' own workers have is not everybody's.
    let listed = devices(&service);
    assert_eq!(listed[0]["memory_total_bytes"], 268_435_456 - 268_435_456 / 100 * 20);
    let quota = serde_json::json!({"isolation": "process"});
    let keys = ["one", "two"].map(|tenant| service.tenant(tenant, quota.clone(), &["gpu:matrix"]).1);
    let shared = workers(&service);
    assert_eq!(shared.len(), 1);
    assert_eq!(multiply_as(&service, &keys[0], 100, 1, "gpu")["device_id"], 0);
    let own: Vec<u32> = workers(&service).into_iter().filter(|pid| !shared.contains(pid)).collect();
    assert_eq!(own.len(), 1);
    // It dies: the tenant's next job has another, the device is none the worse.
    super::kill(own[0]);
    until("the tenant's own worker is another", || {
        multiply_as(&service, &keys[0], 100, 2, "auto");
        workers(&service).iter().any(|pid| !shared.contains(pid) && *pid != own[0])
    });
    assert_eq!(multiply(&service, 100, 3, "gpu")["device_id"], 0);
    assert!(workers(&service).contains(&shared[0]));
    assert_eq!(
        (statuses(&service), devices(&service)[0]["restarts"].clone()),
        (vec!["up".to_owned()], 0.into())
    );
    // The place goes from the first to the second.
    assert_eq!(multiply_as(&service, &keys[1], 100, 4, "gpu")["device_id"], 0);
    until("there is one worker beside the shared one", || workers(&service).len() == 2);
    // Where there are no places, the processor it is, and the answer says so.
    let service = with_test_devices(1, &[]);
    let (_, key) = service.tenant("one", quota, &["gpu:matrix"]);
    let answer = multiply_as(&service, &key, 100, 5, "auto");
    assert!(answer["device_id"].is_null(), "{answer}");
    super::tells(&answer);
    assert_eq!(workers(&service).len(), 1);
}
