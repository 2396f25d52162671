//! Jobs over resident datasets, through the whole pipeline: a mask from a test, types beside a column, what is charged,
//! and which results are the same.
#![allow(clippy::unwrap_used, reason = "tests")]

use offload_api::json::decode_request;
use offload_api::{ApiError, Column, DType, ErrorCode, Field, Priority, Record, Tensor, TensorSpec, Value};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Registry, Rejection, Slot,
    TenantId, integers, real,
};
use offload_pipeline::admit::{AdmitConfig, Caller, Request};
use offload_pipeline::cache::CacheConfig;
use offload_pipeline::data::{Catalog, CatalogConfig, Change, Mode};
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::engine::{DevicePrior, Pipeline, PipelineConfig, RunConfig};
use offload_pipeline::place::Strategy;
use offload_pipeline::records::Quota;
use offload_pipeline::settle::Answer;
use offload_stores::MemoryStores;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

offload_core::inputs! {
    /// Scores of rows.
    pub struct Inputs<T> (dtype: F64) {
        /// The rows.
        rows: T = real(2, 2),
        /// The query.
        query: T = real(1, 1),
        /// Which rows count.
        filter: Option<T> = integers(DType::U8, 1, 1),
    }
}

/// The sum of the products of the query with the rows that count.
struct Score;

impl Operation for Score {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record;
    fn about() -> About {
        About {
            family: "made",
            name: "score",
            version: 1,
            summary: "made for a test",
            doc: "made for a test",
            default_priority: Priority::Medium,
            work_unit: "nothing",
            outputs: Vec::<Field>::new(),
        }
    }
    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        if inputs.query.dtype != inputs.rows.dtype {
            return Err(Rejection::new("query", "query and rows must be of one type"));
        }
        Ok(Plan {
            work: 1e6,
            bytes_in: inputs.rows.bytes()
                + inputs.query.bytes()
                + inputs.filter.as_ref().map_or(0, TensorSpec::bytes),
            bytes_out: 8,
            host_bytes: 100,
            device: DeviceNeed::CpuOnly("made for the cpu"),
            outputs: vec![PlannedOutput { name: "result", spec: None }],
        })
    }
    fn cpu(inputs: Inputs<Tensor>, _: &Context) -> Result<Record, Failure> {
        let rows = inputs.rows.as_slice::<f32>().unwrap();
        let query = inputs.query.as_slice::<f32>().unwrap();
        let mask = inputs.filter.as_ref().map(|m| m.as_slice::<u8>().unwrap());
        let counts = |i: &usize| mask.is_none_or(|m| m[*i] == 1);
        let score =
            |i: usize| rows[i * query.len()..].iter().zip(query).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let sum: f64 = (0..inputs.rows.shape()[0]).filter(counts).map(score).sum();
        Ok(Record::new().with("result", Value::Float(sum)))
    }
    fn cases() -> Vec<Case> {
        Vec::new()
    }
}

static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry::new([&Score as &dyn offload_core::AnyOperation]));

fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

struct World {
    catalog: Arc<Catalog>,
    pipeline: Arc<Pipeline>,
}

impl World {
    fn new() -> World {
        let config = CatalogConfig {
            memory_bytes: 1 << 20,
            max_columns: 10,
            max_rows: 1 << 20,
            max_segments: 8,
            max_per_tenant: 10,
            fresh_id,
            now: || 1,
        };
        let catalog = Catalog::open(config, Arc::new(MemoryStores::new().unwrap())).unwrap();
        let config = PipelineConfig {
            admit: AdmitConfig { default_timeout_ms: 10_000, host_budget_bytes: 1 << 30 },
            cache: CacheConfig {
                max_bytes: 1 << 20,
                ttl_seconds: 60,
                ttl_seconds_by_type: HashMap::new(),
                auto_min_us: 1 << 40,
            },
            dispatch: DispatchConfig::default(),
            strategy: Strategy::CostBased,
            device_prior: DevicePrior::default(),
            run: RunConfig {
                auto_cpu_devices: true,
                cpu_lanes: 1,
                threads_per_lane: 1,
                realtime_threads: 1,
                niceness: 0,
                max_spare_lanes: 0,
                spare_after_ms: 1000,
                inline_max_us: 50.0,
                inline_realtime_max_us: 50.0,
                derived_bytes: 1 << 20,
            },
            node: "test".into(),
        };
        let pipeline = Pipeline::start(
            config,
            &REGISTRY,
            Vec::new(),
            Arc::new(()),
            Box::new(|_| ()),
            Some(catalog.clone()),
        )
        .unwrap();
        World { catalog, pipeline }
    }

    fn put(&self) {
        let e = Tensor::new([3, 2], vec![1.0f32, 0.0, 0.0, 10.0, 100.0, 0.0]).unwrap();
        let columns = [
            ("e".to_owned(), Column::Tensor(e)),
            ("year".to_owned(), Column::Tensor(Tensor::vector(vec![1999i64, 2000, 2010]))),
        ];
        self.catalog.put(("t", "docs"), &columns, Some("year"), None, 1 << 40).unwrap();
    }

    /// The sum, whether it came from the cache, and the host bytes it was charged.
    fn run(&self, body: &str, host_quota: u64) -> Result<(f64, Answer), ApiError> {
        let operation = REGISTRY.find("made", "score").unwrap();
        let quota = Quota { max_host_memory_bytes: host_quota, ..Quota::default() };
        let caller = Caller::new(TenantId::new("t"), "u".into(), "k".into(), vec!["gpu:made".into()], quota);
        let decoded = decode_request(body.as_bytes(), &operation.schema).unwrap();
        let (sender, outcome) = mpsc::channel();
        let request = Request {
            id: "r".into(),
            caller: Arc::new(caller),
            operation,
            options: decoded.options,
            style: decoded.style,
            inputs: decoded.inputs,
            received: Instant::now(),
            decode: Duration::ZERO,
        };
        self.pipeline.submit(request, Box::new(move |o| sender.send(o).unwrap())).answered();
        let answer = outcome.recv_timeout(Duration::from_secs(20)).unwrap().result?;
        let Some(Value::Float(sum)) = answer.outputs.get("result") else { panic!("no result") };
        Ok((*sum, answer))
    }
}

#[test]
fn a_test_on_a_column_is_a_mask_and_a_query_takes_the_type_of_its_corpus() {
    let world = World::new();
    world.put();
    let sum = |filter: &str| {
        let body = format!(r#"{{"rows":{{"dataset":"docs"}},"query":[1,1]{filter}}}"#);
        world.run(&body, 1 << 30).unwrap().0
    };
    assert_eq!(sum(""), 111.0);
    assert_eq!(sum(r#","filter":{"dataset":"docs","column":"year","ge":2000,"lt":2010}"#), 10.0);
    assert_eq!(sum(r#","filter":{"dataset":"docs","column":"year","in":[1999,2010]}"#), 101.0);
    let large = world.run(r#"{"rows":{"dataset":"docs"},"query":[1,1e300]}"#, 1 << 30).unwrap_err();
    assert_eq!((large.error, &large.details["pointer"]), (ErrorCode::InvalidRequest, &"/query".into()));
}

#[test]
fn what_is_resident_is_not_charged_to_the_job() {
    let world = World::new();
    world.put();
    // 100 of its own and 8 of the query; the rows' 24 are the dataset's.
    let body = r#"{"rows":{"dataset":"docs"},"query":[1,1]}"#;
    assert_eq!(world.run(body, 107).unwrap_err().error, ErrorCode::QuotaExceeded);
    assert_eq!(world.run(body, 108).unwrap().0, 111.0);
    let inline = r#"{"rows":[[1,0],[0,10],[100,0]],"query":[1,1],"dtype":"f32"}"#;
    assert_eq!(world.run(inline, 131).unwrap_err().error, ErrorCode::QuotaExceeded);
    assert_eq!(world.run(inline, 132).unwrap().0, 111.0);
}

#[test]
fn a_result_is_found_again_until_the_dataset_or_the_test_is_another() {
    let world = World::new();
    world.put();
    let hit = |filter: &str, expected: f64| {
        let body = format!(
            r#"{{"rows":{{"dataset":"docs"}},"query":[1,1],"cache":true,"filter":{{"dataset":"docs","column":"year",{filter}}}}}"#
        );
        let (sum, answer) = world.run(&body, 1 << 30).unwrap();
        assert_eq!(sum, expected, "{filter}");
        answer.cache_hit
    };
    assert!(!hit(r#""ge":2000"#, 110.0));
    assert!(hit(r#""ge":2000"#, 110.0));
    assert!(!hit(r#""gt":2000"#, 100.0), "another test");
    let gone = Change {
        mode: Some(Mode::Delete),
        columns: vec![("year".to_owned(), Column::Tensor(Tensor::vector(vec![2000i64])))],
        version: None,
    };
    world.catalog.change(("t", "docs"), &gone, 1 << 40).unwrap();
    assert!(!hit(r#""ge":2000"#, 100.0), "another version");
    assert!(hit(r#""ge":2000"#, 100.0));
    world.pipeline.results().invalidate_dataset(&TenantId::new("t"), "docs");
    assert!(!hit(r#""ge":2000"#, 100.0), "dropped by name");
}
