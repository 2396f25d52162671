//! The data directory: privacy, the server's lock, old and broken files, and a full disk.
#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use offload_pipeline::records::{AuditFilter, AuditRecord, SigningKey, StoreError, Stores, Tenant};
use offload_stores::{DataDir, OpenError};
use scratch::Scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn record(at_us: u64) -> AuditRecord {
    AuditRecord {
        at_us,
        request_id: String::new(),
        tenant_id: "a".to_owned(),
        user_id: String::new(),
        key_id: String::new(),
        workload_type: "matrix_multiply".to_owned(),
        workload_hash: "0".repeat(64),
        priority: offload_api::Priority::Low,
        status: 200,
        error: None,
        gpu_time_us: 0,
        total_time_us: 0,
        queue_us: 0,
        cache_hit: false,
        device_id: None,
        device: "cpu".to_owned(),
        bytes_in: 0,
        bytes_out: 0,
        node: String::new(),
    }
}

fn database_error(path: &Path) -> (String, StoreError) {
    match DataDir::open(path) {
        Err(OpenError::Database { path, source }) => {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), source)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_directory_and_all_files_are_private() {
    let scratch = Scratch::new();
    let path = scratch.path().join("new/data");
    let dir = DataDir::open_exclusive(&path).unwrap();
    dir.tenants().create(&Tenant::new("a", 1)).unwrap();
    dir.audit().append(&[record(1)]).unwrap();
    assert_eq!(mode(&path), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let database = |name: &str| ["", "-shm", "-wal"].map(|end| format!("{name}.db{end}"));
    let mut expected =
        [database("audit"), database("datasets"), database("state"), database("tasks")].concat();
    expected.push("lock".to_owned());
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn what_was_open_to_others_is_closed_unless_it_is_not_ours() {
    let scratch = Scratch::new();
    let path = scratch.path().join("volume");
    fs::create_dir(&path).unwrap();
    fs::create_dir(path.join("lost+found")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    drop(DataDir::open(&path).unwrap());
    assert_eq!(mode(&path), 0o700);
    fs::set_permissions(path.join("state.db"), Permissions::from_mode(0o644)).unwrap();
    drop(DataDir::open(&path).unwrap());
    assert_eq!(mode(&path.join("state.db")), 0o600);

    let shared = scratch.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("thesis.tex"), "").unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    drop(DataDir::open(&shared).unwrap());
    assert_eq!((mode(&shared), mode(&shared.join("state.db"))), (0o777, 0o600));
}

#[test]
fn one_server_and_any_number_of_administrators() {
    let scratch = Scratch::new();
    let server = DataDir::open_exclusive(scratch.path()).unwrap();
    let refused = DataDir::open_exclusive(scratch.path()).unwrap_err();
    let expected = format!("data directory {} is in use by another process", scratch.path().display());
    assert_eq!(refused.to_string(), expected);

    let admin = DataDir::open(scratch.path()).unwrap();
    let before = server.change_counter().unwrap();
    admin.tenants().create(&Tenant::new("a", 1)).unwrap();
    assert!(server.change_counter().unwrap() > before);
    assert!(server.tenants().get("a").unwrap().is_some());

    drop(server);
    drop(DataDir::open_exclusive(scratch.path()).unwrap());
}

#[test]
fn a_database_of_schema_version_1_opens_with_its_data() {
    let scratch = Scratch::new();
    let db = rusqlite::Connection::open(scratch.path().join("state.db")).unwrap();
    db.execute_batch(include_str!("fixtures/state_v1.sql")).unwrap();
    drop(db);

    let dir = DataDir::open(scratch.path()).unwrap();
    let tenant = dir.tenants().get("acme").unwrap().unwrap();
    assert_eq!(
        (tenant.revision, tenant.quota.max_concurrent_tasks, tenant.quota.max_queued_tasks),
        (7, 3, 1000)
    );
    let key = dir.keys().by_hash(&std::array::from_fn(|i| i as u8)).unwrap().unwrap();
    assert_eq!((key.key_id.as_str(), key.expires_at), ("key_0123456789abcdef", Some(1_800_000_000)));
    assert_eq!(dir.signing_keys().list().unwrap()[0].kid, "k1");
    assert_eq!(dir.change_counter(), Ok(41));
    dir.tenants().update(&tenant).unwrap();
    assert_eq!(dir.change_counter(), Ok(42));
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let scratch = Scratch::new();
    drop(DataDir::open(scratch.path()).unwrap());
    let db = rusqlite::Connection::open(scratch.path().join("audit.db")).unwrap();
    db.pragma_update(None, "user_version", 1000).unwrap();
    drop(db);
    let (file, error) = database_error(scratch.path());
    assert_eq!(file, "audit.db");
    assert!(error.to_string().contains("schema version 1000 is newer than"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_reported() {
    for name in ["state.db", "audit.db"] {
        let scratch = Scratch::new();
        fs::write(scratch.path().join(name), "not a database, but quite long ".repeat(1000)).unwrap();
        let (file, error) = database_error(scratch.path());
        assert_eq!(file, name);
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    }
}

#[test]
fn damaged_pages_are_reported_and_nothing_panics() {
    let scratch = Scratch::new();
    {
        let dir = DataDir::open(scratch.path()).unwrap();
        for i in 0..200 {
            dir.tenants().create(&Tenant::new(&format!("t{i}"), 1)).unwrap();
        }
        dir.audit().append(&(0..5000).map(record).collect::<Vec<_>>()).unwrap();
    }
    for name in ["state.db", "audit.db"] {
        let file = fs::OpenOptions::new().write(true).open(scratch.path().join(name)).unwrap();
        let len = file.metadata().unwrap().len();
        assert!(len > 5 * 4096, "{len}");
        for page in 4..len / 4096 {
            file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
        }
    }
    let (file, error) = database_error(scratch.path());
    assert_eq!(file, "state.db");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");

    // The trail is not read through at the start, because it is large: it is found out in use.
    fs::remove_file(scratch.path().join("state.db")).unwrap();
    let dir = DataDir::open(scratch.path()).unwrap();
    for outcome in [
        dir.audit().query(&AuditFilter::default(), None, 1000).map(drop),
        dir.audit().append(&(0..1000).map(record).collect::<Vec<_>>()),
        dir.audit().prune(u64::MAX, 0).map(drop),
    ] {
        assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
    }
    assert!(dir.tenants().get("t1").unwrap().is_none());
}

/// A file system of 1 MB, where the test may mount one.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let scratch = Scratch::new();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(scratch.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(scratch)),
            other => {
                eprintln!("skipped: a small file system cannot be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[test]
fn a_full_disk_is_reported_as_such_and_recovers() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path();
    let dir = DataDir::open_exclusive(path).unwrap();
    dir.tenants().create(&Tenant::new("first", 1)).unwrap();
    dir.audit().append(&[record(1)]).unwrap();
    let ballast = path.join("ballast");
    // Writes until there is no room for even a byte.
    let filled = fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);

    let key = |i: u64| SigningKey {
        kid: format!("k{i}"),
        private_pkcs8_der: vec![1; 60_000],
        n: String::new(),
        e: String::new(),
        created_at: 0,
        not_before: 0,
        retire_at: 0,
        expires_at: 0,
    };
    let stored = (0..100).take_while(|i| dir.signing_keys().insert(&key(*i)) == Ok(())).count() as u64;
    for _ in 0..3 {
        assert_eq!(dir.signing_keys().insert(&key(stored)), Err(StoreError::Full));
        assert_eq!(dir.audit().append(&(0..5000).map(record).collect::<Vec<_>>()), Err(StoreError::Full));
    }
    // Reading goes on, and nothing of what failed is there.
    assert_eq!(dir.signing_keys().list().unwrap().len() as u64, stored);
    assert!(dir.tenants().get("first").unwrap().is_some());
    assert_eq!(dir.audit().query(&AuditFilter::default(), None, 10).unwrap().items.len(), 1);

    fs::remove_file(&ballast).unwrap();
    dir.signing_keys().insert(&key(stored)).unwrap();
    dir.audit().append(&(0..100).map(record).collect::<Vec<_>>()).unwrap();
    drop(dir);
    let dir = DataDir::open_exclusive(path).unwrap();
    assert_eq!(dir.signing_keys().list().unwrap().len() as u64, stored + 1);
    assert_eq!(dir.audit().query(&AuditFilter::default(), None, 1000).unwrap().items.len(), 101);
}

#[test]
fn a_disk_that_was_full_from_the_start_is_reported() {
    let Some(disk) = SmallDisk::mount() else { return };
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    let error = DataDir::open(disk.0.path()).unwrap_err();
    assert!(matches!(&error, OpenError::Database { source: StoreError::Full, .. }), "{error:?}");
    fs::remove_file(&ballast).unwrap();
    drop(DataDir::open(disk.0.path()).unwrap());
}
