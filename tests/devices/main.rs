//! The kit for a machine with a GPU, run by the real binary on the test device: what it finds, prints, writes and exits
//! with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value as Json;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str], name: &str) -> (Output, Option<Json>) {
    let file: PathBuf = std::env::temp_dir().join(format!("heliosdb-kit-{}-{name}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_heliosdb-gpu-offload"))
        .args(arguments)
        .arg("--json")
        .arg(&file)
        .output()
        .unwrap();
    let json = std::fs::read_to_string(&file).ok().map(|t| serde_json::from_str(&t).unwrap());
    let _ = std::fs::remove_file(file);
    (output, json)
}

fn list<'a>(of: &'a Json, key: &str) -> &'a [Json] {
    of[key].as_array().unwrap()
}

#[test]
fn check_runs_every_case_of_the_device_and_says_what_has_no_path_there() {
    let (output, json) = run(&["check", "--gpu", "--device", "test:0", "--budget-s", "100"], "check");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let json = json.unwrap();
    assert_eq!((&json["complete"], &json["failed"]), (&Json::Bool(true), &0.into()), "{text}");
    let device = &list(&json, "devices")[0];
    assert_eq!(device["used_bytes"], 0);
    let multiply = list(device, "operations").iter().find(|o| o["name"] == "matrix.multiply").unwrap();
    // More than the worked examples: random inputs too.
    let cases = offload_ops::registry().find("matrix", "multiply").unwrap().operation.cases().len();
    assert!(multiply["passed"].as_u64().unwrap() as usize > cases - 5 + 10, "{multiply}");
    assert_eq!(list(device, "operations").len(), offload_ops::registry().iter().count());
}

#[test]
fn a_check_without_time_says_so_and_claims_nothing() {
    let (output, json) = run(&["check", "--gpu", "--device", "test:0", "--budget-s", "0"], "no-time");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("had NO TIME") && !text.contains("everything holds"), "{text}");
    let json = json.unwrap();
    let operations = list(&list(&json, "devices")[0], "operations").to_vec();
    assert!(operations.iter().all(|o| o["passed"] == 0), "{text}");
    assert!(operations.iter().any(|o| o["skipped"].as_u64().unwrap() > 0), "{text}");
}

#[test]
fn bench_measures_and_writes_what_it_measured() {
    let words = [
        "bench",
        "--gpu",
        "--device",
        "test:0",
        "--scale",
        "small",
        "--only",
        "matrix.multiply",
        "--budget-s",
        "60",
    ];
    let (output, json) = run(&words, "bench");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let json = json.unwrap();
    assert_eq!(json["complete"], true);
    for work in list(&json, "works") {
        assert_eq!(work["status"], "measured", "{work}");
        let ms = |part: &str| work["compute_ms"][part].as_f64().unwrap();
        assert!(ms("min") > 0.0 && ms("min") <= ms("median") && ms("median") <= ms("p95"), "{work}");
        // Inputs are resident: they travel in the first run alone.
        assert_eq!(work["upload_ms"]["p95"], 0.0, "{work}");
        assert!(work["first_run_ms"]["upload"].as_f64().unwrap() > 0.0, "{work}");
        assert_eq!(work["cpu"]["agrees"], true, "{work}");
    }
}

#[test]
fn a_device_that_is_not_there_fails_with_its_reason() {
    for words in
        [&["check", "--gpu", "--device", "nothing:3"][..], &["bench", "--gpu", "--device", "nothing:3"]]
    {
        let (output, _) = run(words, "absent");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("nothing:3"), "{error}");
    }
}
