//! Writes the audit trail in batches, on a thread of its own, so that no request waits for the disk.

use super::{AuditRecord, StoreError, Stores};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The writing thread yields to everything else (0 normal, 19 least).
const NICENESS: i32 = 10;

/// The first wait after a failed write; each further one is twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// How the audit trail is written and for how long it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditWriterConfig {
    /// The longest that a record waits for others to be written with; default 200 ms.
    pub flush_interval: Duration,
    /// As many records are written without waiting longer; default 512.
    pub batch_records: usize,
    /// The most records that wait; further ones are dropped and counted. Default 65,536.
    pub queue_records_max: usize,
    /// Records older than this are removed; default 30 days.
    pub retention: Duration,
    /// The oldest records beyond this many are removed; default 5,000,000, about 2 GB.
    pub rows_max: u64,
    /// How often records are removed; default 10 minutes.
    pub prune_interval: Duration,
    /// The longest wait between attempts while the store fails; default 10 s.
    pub backoff_max: Duration,
}

impl Default for AuditWriterConfig {
    fn default() -> Self {
        AuditWriterConfig {
            flush_interval: Duration::from_millis(200),
            batch_records: 512,
            queue_records_max: 65_536,
            retention: Duration::from_secs(30 * 24 * 3600),
            rows_max: 5_000_000,
            prune_interval: Duration::from_secs(600),
            backoff_max: Duration::from_secs(10),
        }
    }
}

/// The way from a request to the audit trail: a bounded queue and a thread that empties it.
///
/// What may be lost. If the process dies: the records of the last `flush_interval`, plus, when the store was slow
/// or failing, all that was queued. If the machine dies: also what the store had not yet forced to disk (the
/// embedded one forces at its checkpoints only). If the store fails for long (a full disk): nothing until the
/// queue is full, then the newest records, which [`AuditWriter::dropped`] counts. The service goes on in any case.
///
/// Dropping it writes what is queued, with one attempt, and waits for that.
pub struct AuditWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// There is something to do: records, a flush, the end.
    wake: Condvar,
    /// `Queue::settled` grew.
    settled: Condvar,
    config: AuditWriterConfig,
    written: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
}

#[derive(Default)]
struct Queue {
    records: VecDeque<AuditRecord>,
    /// When the first of `records` came.
    since: Option<Instant>,
    /// Someone waits for what is queued.
    flush: bool,
    stop: bool,
    /// How many records were queued, ever.
    accepted: u64,
    /// Thereof written or given up. Both count in queue order, so `settled` reaching an earlier `accepted` means
    /// that all that was queued then is done with.
    settled: u64,
}

enum Step {
    Write(Vec<AuditRecord>),
    Prune,
    End,
}

impl AuditWriter {
    /// Starts the thread. `now_us` is the clock, unix microseconds, that retention goes by.
    pub fn start(
        stores: Arc<dyn Stores>,
        config: AuditWriterConfig,
        now_us: impl Fn() -> u64 + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            settled: Condvar::new(),
            config,
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            // Writing can wait; a request that shares the core cannot. A refusal costs latency, nothing else.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            worker.run(stores.as_ref(), &now_us);
        })?;
        Ok(AuditWriter { shared, thread: Some(thread) })
    }

    /// Queues the record. Never waits for the disk; drops the record, and counts it, when the queue is full.
    /// Texts that are too long are cut.
    pub fn record(&self, record: AuditRecord) {
        let record = record.clamped();
        let mut queue = self.shared.lock();
        if queue.records.len() >= self.shared.config.queue_records_max {
            drop(queue);
            self.shared.dropped.fetch_add(1, Relaxed);
            return;
        }
        queue.records.push_back(record);
        queue.accepted += 1;
        let len = queue.records.len();
        if len == 1 {
            queue.since = Some(Instant::now());
        }
        drop(queue);
        // The first record starts the thread's clock and a full batch ends its wait; no other one needs a wake-up.
        if len == 1 || len == self.shared.config.batch_records {
            self.shared.wake.notify_one();
        }
    }

    /// Waits until all that is queued now is written or given up; false if that takes longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let mut queue = self.shared.lock();
        let target = queue.accepted;
        if queue.settled >= target {
            return true;
        }
        queue.flush = true;
        self.shared.wake.notify_one();
        let (queue, _) = self
            .shared
            .settled
            .wait_timeout_while(queue, timeout, |q| q.settled < target)
            .unwrap_or_else(PoisonError::into_inner);
        queue.settled >= target
    }

    /// Records that are in the store.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Relaxed)
    }

    /// Records that are lost: the queue was full, or the store failed when the writer was dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Attempts to write or to prune that failed.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Relaxed)
    }

    /// Records that wait.
    pub fn queued(&self) -> usize {
        self.shared.lock().records.len()
    }
}

impl Drop for AuditWriter {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its panic was reported when it happened, and there is nobody to hand it to.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, stores: &dyn Stores, now_us: &dyn Fn() -> u64) {
        let mut prune_at = Instant::now() + self.config.prune_interval;
        loop {
            match self.next(prune_at) {
                Step::Write(batch) => self.write(stores, &batch),
                Step::Prune => {
                    self.prune(stores, now_us());
                    prune_at = Instant::now() + self.config.prune_interval;
                }
                Step::End => return,
            }
        }
    }

    /// Waits for the next thing to do. Pruning comes first, because under load there is always a batch.
    fn next(&self, prune_at: Instant) -> Step {
        let mut queue = self.lock();
        loop {
            let now = Instant::now();
            if now >= prune_at && !queue.stop {
                return Step::Prune;
            }
            let due = queue.since.map(|since| since + self.config.flush_interval);
            let asked = queue.stop || queue.flush || queue.records.len() >= self.config.batch_records;
            if !queue.records.is_empty() && (asked || due.is_none_or(|due| now >= due)) {
                let count = queue.records.len().min(self.config.batch_records.max(1));
                return Step::Write(queue.records.drain(..count).collect());
            }
            if queue.stop {
                return Step::End;
            }
            let until = match due {
                Some(due) if !queue.records.is_empty() => due.min(prune_at),
                _ => {
                    queue.flush = false;
                    prune_at
                }
            };
            queue = self
                .wake
                .wait_timeout(queue, until.saturating_duration_since(now))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Writes the batch, and tries again until that works or the writer is dropped.
    fn write(&self, stores: &dyn Stores, batch: &[AuditRecord]) {
        let mut backoff = BACKOFF_MIN.min(self.config.backoff_max);
        loop {
            match stores.audit().append(batch) {
                Ok(()) => {
                    self.written.fetch_add(batch.len() as u64, Relaxed);
                    return self.settle(batch.len());
                }
                Err(StoreError::Invalid(why)) => {
                    // Cannot be, since records are clamped; but a batch that no attempt can write must not block
                    // the trail for ever.
                    tracing::error!(records = batch.len(), why, "the audit store refuses a batch");
                    self.failures.fetch_add(1, Relaxed);
                    return self.give_up(batch.len());
                }
                Err(error) => {
                    tracing::warn!(%error, records = batch.len(), ?backoff, "audit records wait: the store failed");
                    self.failures.fetch_add(1, Relaxed);
                }
            }
            let mut queue = self.lock();
            if !queue.stop {
                queue.flush = false;
                queue = self
                    .wake
                    .wait_timeout_while(queue, backoff, |q| !q.stop && !q.flush)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                backoff = (backoff * 2).min(self.config.backoff_max);
                if !queue.stop {
                    continue;
                }
                drop(queue);
                // Stopped while waiting: the one last attempt.
                if stores.audit().append(batch).is_ok() {
                    self.written.fetch_add(batch.len() as u64, Relaxed);
                    return self.settle(batch.len());
                }
                queue = self.lock();
            }
            // The end, and the store fails: nothing that is queued will be written either.
            let lost = batch.len() + queue.records.len();
            queue.records.clear();
            drop(queue);
            tracing::error!(lost, "audit records are lost: the store failed at shutdown");
            return self.give_up(lost);
        }
    }

    fn prune(&self, stores: &dyn Stores, now_us: u64) {
        let retention_us = u64::try_from(self.config.retention.as_micros()).unwrap_or(u64::MAX);
        match stores.audit().prune(now_us.saturating_sub(retention_us), self.config.rows_max) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old audit records removed"),
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                tracing::warn!(%error, "old audit records could not be removed");
            }
        }
    }

    fn give_up(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Relaxed);
        self.settle(count);
    }

    fn settle(&self, count: usize) {
        self.lock().settled += count as u64;
        self.settled.notify_all();
    }
}
