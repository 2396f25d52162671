//! Figures for Prometheus, under the design's names. No tenant is named in any of them.

use offload_api::Priority;
use offload_core::device::SliceUse;
use offload_pipeline::data::CatalogStats;
use offload_pipeline::engine::{DeviceState, Pipeline};
use offload_pipeline::settle::{Observer, Settled};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// Upper bounds of latency buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// What is known of tasks when the figures are read.
pub struct TaskFigures {
    /// In this process's pipeline.
    pub running: usize,
    /// Queued and running in the store.
    pub open: Option<u64>,
}

/// All figures.
pub struct Metrics {
    registry: Registry,
    latency: Family<Labels, Histogram, fn() -> Histogram>,
    queue_wait: Family<Labels, Histogram, fn() -> Histogram>,
    workloads: Family<Labels, Counter>,
    gpu_seconds: Family<Labels, Counter<f64, AtomicU64>>,
    cache_lookups: Family<Labels, Counter>,
    cache_hits: Family<Labels, Counter>,
    cache_hit_rate: Family<Labels, FloatGauge>,
    errors: Family<Labels, Counter>,
    sla_misses: Family<Labels, Counter>,
    fallbacks: Family<Labels, Counter>,
    device_faults: Family<Labels, Counter>,
    utilization: Family<Labels, FloatGauge>,
    memory_used: Family<Labels, Gauge>,
    memory_total: Family<Labels, Gauge>,
    temperature: Family<Labels, FloatGauge>,
    power: Family<Labels, FloatGauge>,
    device_up: Family<Labels, Gauge>,
    device_restarts: Family<Labels, Counter>,
    device_jobs: Family<Labels, Gauge>,
    device_slices: Family<Labels, Gauge>,
    queue_depth: Family<Labels, Gauge>,
    running: Gauge,
    cache_bytes: Gauge,
    cache_entries: Gauge,
    datasets: Gauge,
    dataset_rows: Gauge,
    dataset_bytes: Family<Labels, Gauge>,
    timeouts: Gauge,
    audit_dropped: Gauge,
    tasks: Family<Labels, Counter>,
    tasks_running: Gauge,
    tasks_open: Gauge,
    callbacks: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("heliosdb_gpu");
        macro_rules! register {
            ($name:literal, $help:literal) => {
                register!($name, $help, Default::default())
            };
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        let family = || Family::new_with_constructor(histogram as fn() -> Histogram);
        Metrics {
            utilization: register!("utilization_percent", "GPU utilization percentage"),
            latency: register!("workload_latency_seconds", "GPU workload latency", family()),
            queue_wait: register!("queue_wait_seconds", "Time from receipt to start", family()),
            workloads: register!("workload", "Workloads that ended with a result"),
            gpu_seconds: register!("busy_seconds", "Seconds of GPU time of ended workloads"),
            cache_lookups: register!("cache_lookups", "Result cache lookups"),
            cache_hits: register!("cache_hits", "Result cache hits"),
            cache_hit_rate: register!("cache_hit_rate", "Share of result cache lookups that hit"),
            errors: register!("error", "Workloads that ended with an error"),
            sla_misses: register!("sla_miss", "Answers later than their priority promises"),
            fallbacks: register!("fallback", "Workloads that ran on the CPU although a GPU was wanted"),
            device_faults: register!("device_fault", "Device faults"),
            memory_used: register!("memory_used_bytes", "GPU memory used"),
            memory_total: register!("memory_total_bytes", "GPU memory in all"),
            temperature: register!("temperature_celsius", "GPU temperature"),
            power: register!("power_usage_watts", "GPU power"),
            device_up: register!("device_up", "Whether the device is in service"),
            device_restarts: register!("device_restart", "Starts of a device's worker after the first"),
            device_jobs: register!("device_jobs", "Jobs that the device has"),
            device_slices: register!(
                "device_slices",
                "Slices (MIG) that the device is cut into, by who uses them"
            ),
            queue_depth: register!("queue_depth", "Jobs queued"),
            running: register!("running_jobs", "Jobs running"),
            cache_bytes: register!("cache_size_bytes", "Bytes in the result cache"),
            cache_entries: register!("cache_entries", "Results in the result cache"),
            tasks: register!("tasks", "Runs of tasks by how they ended"),
            tasks_running: register!("tasks_running", "Tasks in the pipeline"),
            tasks_open: register!("tasks_open", "Tasks queued and running, on all nodes"),
            callbacks: register!("callbacks", "Deliveries of callbacks by how they went"),
            datasets: register!("datasets", "Datasets of all tenants"),
            dataset_rows: register!("dataset_rows", "Rows of all datasets"),
            dataset_bytes: register!(
                "dataset_bytes",
                "Bytes of all datasets on disk, and of their columns in memory or mapped"
            ),
            timeouts: register!(
                "timeouts_since_start",
                "Requests whose time limit passed in the queue or while running"
            ),
            audit_dropped: register!(
                "audit_dropped_records",
                "Audit records dropped because the queue was full"
            ),
            registry,
        }
    }
}

fn by_type(workload_type: &str) -> Labels {
    vec![("workload_type", workload_type.to_string())]
}

impl Observer for Metrics {
    fn settled(&self, s: &Settled<'_>) {
        let labels = by_type(s.workload_type);
        if let Some(error) = s.error {
            self.errors.get_or_create(&vec![("error_type", error.name().to_string())]).inc();
        } else {
            self.latency.get_or_create(&labels).observe(s.total_us as f64 / 1e6);
            self.workloads.get_or_create(&labels).inc();
            if s.gpu_time_us > 0 {
                self.gpu_seconds.get_or_create(&labels).inc_by(s.gpu_time_us as f64 / 1e6);
            }
        }
        if let Some(hit) = s.cache_hit {
            let lookups = self.cache_lookups.get_or_create(&labels).inc() + 1;
            let hits = self.cache_hits.get_or_create(&labels).clone();
            let hits = if hit { hits.inc() + 1 } else { hits.get() };
            self.cache_hit_rate.get_or_create(&labels).set(hits as f64 / lookups as f64);
        }
        if let Some(priority) = s.priority {
            let labels = vec![("priority", priority.name().to_string())];
            self.queue_wait.get_or_create(&labels).observe(s.queue_us as f64 / 1e6);
        }
    }

    fn sla_missed(&self, class: usize) {
        if let Some(priority) = Priority::ALL.get(class) {
            self.sla_misses.get_or_create(&vec![("priority", priority.name().to_string())]).inc();
        }
    }

    fn fell_back(&self, workload_type: &str) {
        self.fallbacks.get_or_create(&by_type(workload_type)).inc();
    }

    fn device_faulted(&self, device: u32) {
        self.device_faults.get_or_create(&vec![("device_id", device.to_string())]).inc();
    }
}

impl Metrics {
    /// A run of a task ended so.
    pub fn task(&self, how: &str) {
        self.tasks.get_or_create(&vec![("status", how.to_string())]).inc();
    }

    /// A callback's delivery went so.
    pub fn callback(&self, how: &str) {
        self.callbacks.get_or_create(&vec![("status", how.to_string())]).inc();
    }

    /// The text Prometheus reads (exposition format 0.0.4).
    pub fn render(
        &self,
        pipeline: &Pipeline,
        data: &CatalogStats,
        tasks: &TaskFigures,
        audit_dropped: u64,
    ) -> String {
        let as_i64 = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
        self.tasks_running.set(as_i64(tasks.running as u64));
        if let Some(open) = tasks.open {
            self.tasks_open.set(as_i64(open));
        }
        for view in pipeline.devices() {
            let (device, up) = (&view.host, view.state == DeviceState::Up);
            let d = device.descriptor();
            let labels = vec![("device_id", d.id.to_string()), ("device_name", d.name.clone())];
            self.device_up.get_or_create(&labels).set(i64::from(up));
            self.device_jobs.get_or_create(&labels).set(as_i64(view.jobs as u64));
            let restarts = self.device_restarts.get_or_create(&labels).clone();
            restarts.inc_by(device.restarts().saturating_sub(restarts.get()));
            self.memory_total.get_or_create(&labels).set(as_i64(d.memory_bytes));
            if d.slices.is_some() {
                let slices = device.slices();
                for used in [SliceUse::Shared, SliceUse::Tenant, SliceUse::Free, SliceUse::Shut] {
                    let labels = [labels.clone(), vec![("use", used.name().to_string())]].concat();
                    let count = slices.iter().filter(|s| s.used == used).count();
                    self.device_slices.get_or_create(&labels).set(as_i64(count as u64));
                }
            }
            if let (true, Ok(h)) = (up, device.health()) {
                self.memory_used.get_or_create(&labels).set(as_i64(h.memory_used_bytes));
                if let Some(v) = h.utilization_percent {
                    self.utilization.get_or_create(&labels).set(f64::from(v));
                }
                if let Some(v) = h.temperature_celsius {
                    self.temperature.get_or_create(&labels).set(f64::from(v));
                }
                if let Some(v) = h.power_watts {
                    self.power.get_or_create(&labels).set(f64::from(v));
                }
            }
        }
        let snapshot = pipeline.snapshot();
        for (class, depth) in snapshot.queued.iter().enumerate() {
            let labels = vec![("priority", Priority::ALL[class].name().to_string())];
            self.queue_depth.get_or_create(&labels).set(as_i64(*depth as u64));
        }
        let running: usize = snapshot.lanes.iter().map(|(_, _, n)| n).sum();
        self.running.set(as_i64((running + snapshot.inline) as u64));
        let cache = pipeline.results().stats();
        self.cache_bytes.set(as_i64(cache.bytes));
        self.cache_entries.set(as_i64(cache.entries));
        self.datasets.set(as_i64(data.datasets));
        self.dataset_rows.set(as_i64(data.rows));
        for (place, bytes) in
            [("disk", data.bytes), ("memory", data.memory_bytes), ("mapped", data.mapped_bytes)]
        {
            self.dataset_bytes.get_or_create(&vec![("place", place.to_string())]).set(as_i64(bytes));
        }
        self.timeouts.set(as_i64(snapshot.timeouts));
        self.audit_dropped.set(as_i64(audit_dropped));
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            return String::new();
        }
        to_0_0_4(&text)
    }
}

/// OpenMetrics text to the older format that every collector reads: help without the full stop, counters under
/// the name their samples have, no end mark.
fn to_0_0_4(text: &str) -> String {
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ").and_then(|l| l.strip_suffix(" counter")))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|l| *l != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ")
            && let Some((kind, rest)) = rest.split_once(' ')
            && let Some((name, tail)) = rest.split_once(' ')
        {
            let suffix = if counters.contains(&name) { "_total" } else { "" };
            let tail = if kind == "HELP" { tail.trim_end_matches('.') } else { tail };
            out.push_str(&format!("# {kind} {name}{suffix} {tail}\n"));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
