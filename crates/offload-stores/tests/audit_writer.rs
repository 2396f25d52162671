//! The writer of the audit trail: it batches, never waits for the store, and counts what it loses.
#![allow(clippy::unwrap_used, reason = "tests")]

use offload_pipeline::records::{
    Audit, AuditFilter, AuditRecord, AuditWriter, AuditWriterConfig, Callbacks, Datasets, Keys, Page,
    Segments, SigningKeys, StoreError, Stores, Tasks, Tenants,
};
use offload_stores::MemoryStores;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// A store that can be made to fail or to stand still, and that notes the sizes of its batches.
struct Faulty {
    memory: MemoryStores,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    error: Option<StoreError>,
    still: bool,
    entered: bool,
    batches: Vec<usize>,
}

impl Default for Faulty {
    fn default() -> Self {
        Faulty { memory: MemoryStores::new().unwrap(), state: Mutex::default(), changed: Condvar::new() }
    }
}

impl Faulty {
    fn set(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn batches(&self) -> Vec<usize> {
        self.state.lock().unwrap().batches.clone()
    }

    fn wait_until_entered(&self) {
        let state = self.state.lock().unwrap();
        let (_state, wait) = self.changed.wait_timeout_while(state, LONG, |s| !s.entered).unwrap();
        assert!(!wait.timed_out());
    }
}

impl Stores for Faulty {
    fn tenants(&self) -> &dyn Tenants {
        &self.memory
    }
    fn keys(&self) -> &dyn Keys {
        &self.memory
    }
    fn signing_keys(&self) -> &dyn SigningKeys {
        &self.memory
    }
    fn audit(&self) -> &dyn Audit {
        self
    }
    fn tasks(&self) -> &dyn Tasks {
        self.memory.tasks()
    }
    fn callbacks(&self) -> &dyn Callbacks {
        self.memory.callbacks()
    }
    fn datasets(&self) -> &dyn Datasets {
        self.memory.datasets()
    }
    fn segments(&self) -> &dyn Segments {
        self.memory.segments()
    }
    fn change_counter(&self) -> Result<u64, StoreError> {
        self.memory.change_counter()
    }
}

impl Audit for Faulty {
    fn append(&self, batch: &[AuditRecord]) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap();
        state.entered = true;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |s| s.still).unwrap();
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        state.batches.push(batch.len());
        self.memory.audit().append(batch)
    }

    fn query(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditRecord>, StoreError> {
        self.memory.audit().query(filter, cursor, limit)
    }

    fn prune(&self, older_than_us: u64, rows_max: u64) -> Result<u64, StoreError> {
        self.memory.audit().prune(older_than_us, rows_max)
    }
}

fn record(at_us: u64) -> AuditRecord {
    AuditRecord {
        at_us,
        request_id: String::new(),
        tenant_id: "a".to_owned(),
        user_id: String::new(),
        key_id: String::new(),
        workload_type: "matrix_multiply".to_owned(),
        workload_hash: String::new(),
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

fn start(config: AuditWriterConfig) -> (Arc<Faulty>, AuditWriter) {
    let stores = Arc::new(Faulty::default());
    let writer = AuditWriter::start(Arc::clone(&stores) as Arc<dyn Stores>, config, || 1_000_000).unwrap();
    (stores, writer)
}

/// Never by itself, only when asked.
fn patient() -> AuditWriterConfig {
    AuditWriterConfig { flush_interval: Duration::from_secs(3600), ..AuditWriterConfig::default() }
}

fn stored(stores: &Faulty) -> Vec<u64> {
    let page = stores.query(&AuditFilter::default(), None, 1000).unwrap();
    page.items.into_iter().rev().map(|r| r.at_us).collect()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_flush_writes_everything_in_order_and_in_batches() {
    let (stores, writer) = start(AuditWriterConfig { batch_records: 10_000, ..patient() });
    assert!(writer.flush(LONG));
    (0..700).for_each(|i| writer.record(record(i)));
    assert!(writer.flush(LONG));
    assert_eq!(stored(&stores), (0..700).collect::<Vec<_>>());
    assert_eq!(stores.batches(), [700]);
    assert_eq!((writer.written(), writer.dropped(), writer.failures(), writer.queued()), (700, 0, 0, 0));
}

#[test]
fn a_full_batch_and_the_interval_each_suffice() {
    let (stores, writer) = start(AuditWriterConfig { batch_records: 5, ..patient() });
    (0..11).for_each(|i| writer.record(record(i)));
    wait_for("two full batches", || writer.written() == 10);
    assert_eq!(stores.batches(), [5, 5]);
    assert_eq!(writer.queued(), 1);

    let (_stores, writer) = start(AuditWriterConfig {
        flush_interval: Duration::from_millis(20),
        ..AuditWriterConfig::default()
    });
    for round in 1..=3 {
        writer.record(record(round));
        wait_for("the interval", || writer.written() == round);
    }
}

#[test]
fn a_store_that_stands_still_delays_no_request_and_the_overflow_is_counted() {
    let (stores, writer) = start(AuditWriterConfig { batch_records: 1, queue_records_max: 10, ..patient() });
    stores.set(|s| s.still = true);
    writer.record(record(0));
    stores.wait_until_entered();
    let start = Instant::now();
    (1..=1000).for_each(|i| writer.record(record(i)));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!((writer.queued(), writer.dropped()), (10, 990));
    assert!(!writer.flush(Duration::from_millis(10)), "there was nothing to wait for");
    stores.set(|s| s.still = false);
    assert!(writer.flush(LONG));
    // The oldest are kept: they are what an attacker who floods the trail wants to be rid of.
    assert_eq!(stored(&stores), (0..=10).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_is_waited_for() {
    let (stores, writer) = start(AuditWriterConfig { backoff_max: Duration::from_millis(5), ..patient() });
    stores.set(|s| s.error = Some(StoreError::Full));
    (0..20).for_each(|i| writer.record(record(i)));
    assert!(!writer.flush(Duration::from_millis(50)));
    wait_for("several attempts", || writer.failures() >= 3);
    assert_eq!((writer.written(), writer.dropped()), (0, 0));
    stores.set(|s| s.error = None);
    assert!(writer.flush(LONG));
    assert_eq!(stored(&stores), (0..20).collect::<Vec<_>>());
}

#[test]
fn the_end_writes_what_is_queued_or_says_that_it_could_not() {
    let (stores, writer) = start(patient());
    (0..1000).for_each(|i| writer.record(record(i)));
    drop(writer);
    assert_eq!(stored(&stores).len(), 1000);

    let (stores, writer) = start(AuditWriterConfig { batch_records: 5, ..patient() });
    stores.set(|s| s.error = Some(StoreError::Io("gone".to_owned())));
    (0..20).for_each(|i| writer.record(record(i)));
    let start = Instant::now();
    drop(writer);
    assert!(start.elapsed() < Duration::from_secs(5), "the end waits for a broken store");
    assert_eq!(stored(&stores), [0; 0]);
}

#[test]
fn absurd_records_are_cut_and_kept() {
    let (stores, writer) = start(patient());
    let long = "é".repeat(1 << 19);
    writer.record(AuditRecord { user_id: long.clone(), error: Some(long), bytes_in: u64::MAX, ..record(1) });
    assert!(writer.flush(LONG));
    let kept = stores.query(&AuditFilter::default(), None, 10).unwrap().items.remove(0);
    assert_eq!((kept.user_id, kept.bytes_in), ("é".repeat(128), i64::MAX as u64));
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn old_and_excess_records_are_removed_even_under_load() {
    let (stores, writer) = start(AuditWriterConfig {
        batch_records: 1,
        retention: Duration::from_micros(1000),
        rows_max: 3,
        prune_interval: Duration::from_millis(5),
        ..AuditWriterConfig::default()
    });
    // The clock stands at 1,000,000.
    [10, 998_999, 999_000, 999_001, 999_002, 999_003]
        .into_iter()
        .for_each(|at_us| writer.record(record(at_us)));
    assert!(writer.flush(LONG));
    wait_for("the removal", || stored(&stores) == [999_001, 999_002, 999_003]);
}
