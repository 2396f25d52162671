//! Several processes over one data directory, and one that is killed in the middle of writing: what it was told
//! is stored, is stored.
//!
//! The last shows that nothing acknowledged lives in the process only. That it also survives a power cut is SQLite's
//! `synchronous = FULL`, which a test of this kind cannot show.
#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use offload_pipeline::records::{
    ApiKey, AuditFilter, AuditRecord, SigningKey, StoreError, Stores, Tenant, hash_key,
};
use offload_stores::{DataDir, OpenError};
use scratch::Scratch;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "OFFLOAD_STORES_KILL_TEST_DIRECTORY";

fn key(number: u64) -> ApiKey {
    ApiKey {
        key_id: format!("key_{number:016x}"),
        tenant_id: format!("t{number}"),
        user_id: String::new(),
        name: String::new(),
        scopes: vec![],
        hash: hash_key(&number.to_string()),
        last_four: String::new(),
        created_at: number,
        expires_at: None,
        revoked_at: None,
        revision: 0,
    }
}

fn signing_key(number: u64) -> SigningKey {
    SigningKey {
        kid: format!("k{number}"),
        private_pkcs8_der: vec![7; 1200],
        n: String::new(),
        e: String::new(),
        created_at: 0,
        not_before: 0,
        retire_at: 0,
        expires_at: 0,
    }
}

fn record(number: u64) -> AuditRecord {
    AuditRecord {
        at_us: number,
        request_id: String::new(),
        tenant_id: format!("t{number}"),
        user_id: String::new(),
        key_id: String::new(),
        workload_type: String::new(),
        workload_hash: String::new(),
        priority: offload_api::Priority::Low,
        status: 200,
        error: None,
        gpu_time_us: 0,
        total_time_us: 0,
        queue_us: 0,
        cache_hit: false,
        device_id: None,
        device: String::new(),
        bytes_in: 0,
        bytes_out: 0,
        node: String::new(),
    }
}

/// One child's part: does nothing unless it is told where.
#[test]
fn server() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let dir = DataDir::open_exclusive(Path::new(&path)).unwrap();
    let start = dir.signing_keys().list().unwrap().len() as u64;
    let mut out = std::io::stdout();
    for number in start.. {
        // The last kill may have left the tenant and the key of a number whose signing key it prevented.
        let fresh =
            |outcome| assert!(matches!(outcome, Ok(()) | Err(StoreError::AlreadyExists)), "{outcome:?}");
        fresh(dir.tenants().create(&Tenant::new(&format!("t{number}"), 1)).map(drop));
        fresh(dir.keys().create(&key(number)).map(drop));
        dir.keys().revoke(&key(number).key_id, 9).unwrap();
        dir.audit().append(&[record(number)]).unwrap();
        dir.signing_keys().insert(&signing_key(number)).unwrap();
        // One line by one write, so that a line is there whole or not at all.
        out.write_all(format!("\nstored {number}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

/// The other child's part: as a command does, opens a directory that may not be there yet, and writes.
#[test]
fn command() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let dir = DataDir::open(Path::new(&path)).unwrap();
    dir.tenants().create(&Tenant::new(&format!("t{}", std::process::id()), 1)).unwrap();
}

fn spawn(test: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn processes_that_make_the_directory_at_once_all_succeed() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        let path = scratch.path().join("data");
        let children: Vec<Child> = (0..8).map(|_| spawn("command", &path)).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(dir.tenants().list(None, 100).unwrap().items.len(), 8);
        assert_eq!(dir.change_counter(), Ok(8));
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let scratch = Scratch::new();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = spawn("server", scratch.path());
        let mut stored = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(number) = line.strip_prefix("stored ") else { continue };
            acknowledged = number.parse::<u64>().unwrap() + 1;
            stored += 1;
            if stored == 20 * round {
                // Another server is refused while this one lives; lines still in the pipe count as acknowledged.
                let other = DataDir::open_exclusive(scratch.path());
                assert!(matches!(other, Err(OpenError::InUse(_))), "{other:?}");
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(stored >= 20 * round, "the child ended by itself: {status}");

        let dir = DataDir::open_exclusive(scratch.path()).unwrap();
        let kids: Vec<String> = dir.signing_keys().list().unwrap().into_iter().map(|k| k.kid).collect();
        for number in 0..acknowledged {
            assert!(dir.tenants().get(&format!("t{number}")).unwrap().is_some(), "t{number}");
            let key = dir.keys().by_hash(&key(number).hash).unwrap().unwrap();
            assert_eq!(key.revoked_at, Some(9));
            assert!(kids.contains(&format!("k{number}")), "k{number}");
            let filter = AuditFilter { tenant_id: Some(format!("t{number}")), ..AuditFilter::default() };
            assert!(!dir.audit().query(&filter, None, 10).unwrap().items.is_empty(), "audit {number}");
        }
    }
    assert!(acknowledged >= 100);
}
