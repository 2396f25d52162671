//! The catalog of datasets over both stores: versions, readers, budgets, references, and a full disk.
#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use offload_api::{ApiError, Column, DType, DatasetRef, Elem, ErrorCode, Field, Kind, Tensor, graph};
use offload_pipeline::data::{Catalog, CatalogConfig, Change, Mode, Residence, Version, Wanted};
use offload_pipeline::records::{Segments, Stores};
use offload_stores::{DataDir, MemoryStores};
use scratch::Scratch;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const AMPLE: u64 = 1 << 40;

fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn config() -> CatalogConfig {
    CatalogConfig {
        memory_bytes: 1 << 30,
        max_columns: 100,
        max_rows: 1 << 30,
        max_segments: 4,
        max_per_tenant: 100,
        fresh_id,
        now: || 1,
    }
}

fn over(stores: Arc<dyn Stores>) -> Arc<Catalog> {
    Catalog::open(config(), stores).unwrap()
}

fn whole(values: &[i64]) -> Column {
    Column::Tensor(Tensor::vector(values.to_vec()))
}

fn texts(values: &[&str]) -> Column {
    Column::Text(values.iter().collect())
}

fn columns(all: Vec<(&str, Column)>) -> Vec<(String, Column)> {
    all.into_iter().map(|(n, c)| (n.to_owned(), c)).collect()
}

fn put(catalog: &Catalog, name: &str, all: Vec<(&str, Column)>, key: Option<&str>) -> Arc<Version> {
    catalog.put(("t", name), &columns(all), key, None, AMPLE).unwrap().0
}

fn change(
    catalog: &Catalog,
    name: &str,
    mode: Option<Mode>,
    all: Vec<(&str, Column)>,
) -> Result<Arc<Version>, ApiError> {
    catalog.change(("t", name), &Change { mode, columns: columns(all), version: None }, AMPLE)
}

fn reference(text: &str) -> DatasetRef {
    serde_json::from_str(text).unwrap()
}

fn wanted(elem: Elem, ranks: std::ops::RangeInclusive<usize>) -> Wanted {
    Wanted { elem, min_rank: *ranks.start(), max_rank: *ranks.end(), part: None }
}

fn numbers(version: &Arc<Version>, column: &str) -> Vec<i64> {
    let r = DatasetRef { dataset: "d".into(), column: Some(column.into()), version: None, test: None };
    let input = version.input(&r, &wanted(Elem::Fixed(DType::I64), 1..=1), "").unwrap().unwrap();
    input.tensor.as_slice::<i64>().unwrap().to_vec()
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `f` over each kind of store: in memory, read from files, mapped from files.
fn each(f: impl Fn(Arc<dyn Stores>)) {
    f(Arc::new(MemoryStores::new().unwrap()));
    let read = Scratch::new();
    f(Arc::new(DataDir::open(read.path()).unwrap()));
    let mapped = Scratch::new();
    f(Arc::new(DataDir::open(mapped.path()).unwrap().mapping(offload_devices::host::map_file)));
}

#[test]
fn every_change_is_what_a_plain_list_of_rows_would_be() {
    each(|stores| {
        let catalog = over(Arc::clone(&stores));
        put(&catalog, "d", vec![("k", texts(&["k0"])), ("v", whole(&[0]))], Some("k"));
        let mut model = vec![("k0".to_owned(), 0i64)];
        let mut state = 17u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for step in 1..120i64 {
            let mut keys: Vec<String> = (0..1 + next(4)).map(|_| format!("k{}", next(40))).collect();
            keys.sort();
            keys.dedup();
            let shown: Vec<&str> = keys.iter().map(String::as_str).collect();
            if next(3) == 0 {
                change(&catalog, "d", Some(Mode::Delete), vec![("k", texts(&shown))]).unwrap();
                model.retain(|(k, _)| !keys.contains(k));
            } else {
                let values: Vec<i64> = (0..keys.len() as i64).map(|i| step * 10 + i).collect();
                change(&catalog, "d", None, vec![("v", whole(&values)), ("k", texts(&shown))]).unwrap();
                for (k, v) in keys.iter().zip(values) {
                    match model.iter_mut().find(|(m, _)| m == k) {
                        Some(row) => row.1 = v,
                        None => model.push((k.clone(), v)),
                    }
                }
            }
            let version = catalog.newest("t", "d").unwrap();
            assert_eq!(numbers(&version, "v"), model.iter().map(|r| r.1).collect::<Vec<_>>(), "step {step}");
            assert!(version.record().segments.len() <= 4);
        }
        drop(catalog);
        let again = over(stores);
        assert_eq!(
            numbers(&again.newest("t", "d").unwrap(), "v"),
            model.iter().map(|r| r.1).collect::<Vec<_>>()
        );
    });
}

#[test]
fn an_old_version_lives_as_long_as_its_reader_and_takes_quota_until_then() {
    each(|stores| {
        let catalog = over(Arc::clone(&stores));
        let first = put(&catalog, "d", vec![("v", whole(&[1, 2, 3]))], None);
        let r = reference(r#"{"dataset":"d"}"#);
        let held = first.input(&r, &wanted(Elem::Fixed(DType::I64), 1..=1), "").unwrap().unwrap().tensor;
        drop(first);
        catalog.put(("t", "d"), &columns(vec![("v", whole(&[9]))]), None, None, AMPLE).unwrap();
        assert_eq!(catalog.used_bytes("t"), 32);
        assert_eq!(catalog.at("t", "d", Some(1)).unwrap().record().rows(), 3);
        let full = catalog.put(("t", "e"), &columns(vec![("v", whole(&[9]))]), None, None, 39).unwrap_err();
        assert_eq!(full.error, ErrorCode::QuotaExceeded);
        assert_eq!(held.as_slice::<i64>(), Some(&[1, 2, 3][..]));
        drop(held);
        assert_eq!(catalog.used_bytes("t"), 8);
        assert_eq!(catalog.at("t", "d", Some(1)).unwrap_err().error, ErrorCode::StaleVersion);
        wait("its segment goes", || stores.segments().sweep().unwrap().len() == 1);
        catalog.delete("t", "d", None).unwrap();
        wait("all segments go", || stores.segments().sweep().unwrap().is_empty());
        assert_eq!((catalog.used_bytes("t"), catalog.tenants().len()), (0, 0));
    });
}

#[test]
fn references_become_tensors_of_the_fields_type_or_say_why_not() {
    each(|stores| {
        let catalog = over(stores);
        let e = Tensor::new([3, 2], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        put(
            &catalog,
            "d",
            vec![
                ("e", Column::Tensor(e)),
                ("u", whole(&[1, 2, -1])),
                ("year", whole(&[1999, 2000, 2010])),
                ("lang", texts(&["de", "en", "de"])),
            ],
            None,
        );
        let version = catalog.newest("t", "d").unwrap();
        let get = |text: &str, w: &Wanted| version.input(&reference(text), w, "/x").map(Option::unwrap);
        let real = |ranks| wanted(Elem::Real, ranks);
        let whole_mask = wanted(Elem::Fixed(DType::U8), 1..=1);
        let e = get(r#"{"dataset":"d"}"#, &real(2..=2)).unwrap();
        assert_eq!((e.tensor.dtype(), e.tensor.shape()), (DType::F32, &[3, 2][..]));
        assert_eq!(e.resident_bytes, 24);
        let years = get(r#"{"dataset":"d","column":"year"}"#, &real(1..=1)).unwrap();
        assert_eq!(years.tensor.as_slice::<f64>(), Some(&[1999.0, 2000.0, 2010.0][..]));
        let mask = get(r#"{"dataset":"d","column":"year","ge":2000,"lt":2010}"#, &whole_mask).unwrap();
        assert_eq!((mask.tensor.as_slice::<u8>(), mask.resident_bytes), (Some(&[0, 1, 0][..]), 0));
        let other = get(r#"{"dataset":"d","column":"year","ge":2000}"#, &whole_mask).unwrap();
        assert_eq!(other.tensor.as_slice::<u8>(), Some(&[0, 1, 1][..]));
        assert_ne!(mask.origin, other.origin);
        let again = get(r#"{"dataset":"d","column":"year"}"#, &real(1..=1)).unwrap();
        assert!(again.tensor.resident().is_some() && again.tensor.resident() == years.tensor.resident());
        let keys = [&e, &years, &mask, &other].map(|i| i.tensor.resident());
        assert!((1..4).all(|i| !keys[..i].contains(&keys[i])), "a key of two contents: {keys:?}");
        let lang = get(r#"{"dataset":"d","column":"lang","in":["de"]}"#, &whole_mask).unwrap();
        assert_eq!(lang.tensor.as_slice::<u8>(), Some(&[1, 0, 1][..]));
        for (text, w, part) in [
            (r#"{"dataset":"d","column":"yaer"}"#, real(1..=1), "did you mean year?"),
            (r#"{"dataset":"d","column":"e"}"#, real(1..=1), "has 2 dimensions, the field takes 1"),
            (r#"{"dataset":"d","column":"e"}"#, wanted(Elem::Fixed(DType::I64), 2..=2), "has type f32"),
            (r#"{"dataset":"d","column":"lang"}"#, real(1..=1), "has texts"),
            (
                r#"{"dataset":"d","column":"u"}"#,
                wanted(Elem::Fixed(DType::U64), 1..=1),
                "in row 2 that does not fit u64",
            ),
            (r#"{"dataset":"d"}"#, real(1..=1), "name one of u, year"),
            (r#"{"dataset":"d"}"#, real(3..=3), "no column that the field takes"),
            (r#"{"dataset":"d","column":"year","eq":2000}"#, real(1..=1), "a test gives a mask"),
            (r#"{"dataset":"d","eq":2000}"#, whole_mask, "needs the column"),
            (r#"{"dataset":"d","column":"lang","gt":"a"}"#, whole_mask, "not gt"),
        ] {
            let e = get(text, &w).unwrap_err();
            assert!(e.message.contains(part) && e.details["pointer"] == "/x", "{text}: {e:?}");
        }
    });
}

#[test]
fn a_graph_takes_its_columns_by_either_name_and_without_weights() {
    let catalog = over(Arc::new(MemoryStores::new().unwrap()));
    put(&catalog, "p", vec![("u", whole(&[0, 1])), ("v", whole(&[1, 2])), ("w", whole(&[5, 6]))], None);
    put(&catalog, "q", vec![("src", whole(&[0])), ("dst", whole(&[1]))], None);
    let field = Field { name: "graph", doc: "", kind: Kind::Graph, required: true, default: None };
    let part = |name: &str, entry: &str| {
        let version = catalog.newest("t", name).unwrap();
        let wanted = Wanted::of(std::slice::from_ref(&field), entry).unwrap();
        let column = graph::columns(entry).unwrap().names[0];
        let r = DatasetRef { dataset: name.into(), column: Some(column.into()), version: None, test: None };
        version.input(&r, &wanted, "/graph").map(|i| i.map(|i| i.tensor))
    };
    assert_eq!(part("p", graph::SRC).unwrap(), Some(Tensor::vector(vec![0u64, 1])));
    assert_eq!(part("p", graph::WEIGHT).unwrap(), Some(Tensor::vector(vec![5.0, 6.0])));
    assert_eq!(part("q", graph::DST).unwrap(), Some(Tensor::vector(vec![1u64])));
    assert_eq!(part("q", graph::WEIGHT).unwrap(), None);
    put(&catalog, "r", vec![("src", whole(&[0]))], None);
    assert!(part("r", graph::DST).unwrap_err().message.contains("no column dst or v"));
}

#[test]
fn columns_come_and_go_within_the_budget() {
    let scratch = Scratch::new();
    let stores = Arc::new(DataDir::open(scratch.path()).unwrap().mapping(offload_devices::host::map_file));
    let catalog = Catalog::open(CatalogConfig { memory_bytes: 100, ..config() }, stores).unwrap();
    let rows = |n: i64| (0..n).collect::<Vec<_>>();
    put(&catalog, "a", vec![("v", whole(&rows(8)))], None);
    put(&catalog, "b", vec![("v", whole(&rows(2)))], None);
    change(&catalog, "b", None, vec![("v", whole(&[2, 3, 4]))]).unwrap();
    let (a, b) = (catalog.newest("t", "a").unwrap(), catalog.newest("t", "b").unwrap());
    assert_eq!((a.residence(), b.residence()), (vec![Residence::Disk], vec![Residence::Disk]));
    assert_eq!(numbers(&a, "v"), rows(8));
    assert_eq!((a.residence(), catalog.stats().mapped_bytes), (vec![Residence::Mapped], 64));
    // 40 bytes of two segments do not fit beside the 64.
    assert_eq!(numbers(&b, "v"), rows(5));
    assert_eq!((a.residence(), b.residence()), (vec![Residence::Disk], vec![Residence::Memory]));
    assert_eq!(numbers(&a, "v"), rows(8));
    assert_eq!((a.residence(), b.residence()), (vec![Residence::Mapped], vec![Residence::Disk]));
    let stats = catalog.stats();
    assert_eq!((stats.datasets, stats.rows, stats.bytes), (2, 13, 104));
}

#[test]
fn writers_of_one_dataset_lose_nothing() {
    each(|stores| {
        let catalog = over(stores);
        put(&catalog, "d", vec![("k", whole(&[-1]))], Some("k"));
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let catalog = &catalog;
                scope.spawn(move || {
                    for i in 0..10 {
                        change(catalog, "d", None, vec![("k", whole(&[writer * 100 + i]))]).unwrap();
                    }
                });
            }
        });
        let version = catalog.newest("t", "d").unwrap();
        assert_eq!((version.record().version, version.record().rows()), (41, 41));
        let mut keys = numbers(&version, "k");
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 41);
    });
}

/// A file system of 1 MB, where the test may mount one.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let scratch = Scratch::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(scratch.path())
            .output();
        match mounted {
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

fn files(path: &Path) -> usize {
    std::fs::read_dir(path.join("datasets")).map_or(0, Iterator::count)
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_call_works_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path();
    let stores = Arc::new(DataDir::open(path).unwrap().mapping(offload_devices::host::map_file));
    let catalog = over(stores.clone());
    put(&catalog, "d", vec![("v", whole(&[1, 2]))], None);
    let large = columns(vec![("v", whole(&vec![7; 40_000]))]);
    let ballast = path.join("ballast");
    std::fs::write(&ballast, vec![0; 500_000]).unwrap();
    for _ in 0..3 {
        let e = catalog.put(("t", "d"), &large, None, None, AMPLE).unwrap_err();
        assert_eq!((e.error, e.retryable), (ErrorCode::StorageFull, true), "{e:?}");
        let append = Change { mode: None, columns: large.clone(), version: None };
        assert_eq!(catalog.change(("t", "d"), &append, AMPLE).unwrap_err().error, ErrorCode::StorageFull);
        assert_eq!(
            catalog.put(("t", "new"), &large, None, None, AMPLE).unwrap_err().error,
            ErrorCode::StorageFull
        );
    }
    assert_eq!((files(path), catalog.used_bytes("t")), (1, 16), "nothing is left of what failed");
    assert_eq!(numbers(&catalog.newest("t", "d").unwrap(), "v"), [1, 2]);
    assert_eq!(catalog.newest("t", "new").unwrap_err().error, ErrorCode::NotFound);
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(catalog.put(("t", "d"), &large, None, None, AMPLE).unwrap().0.record().version, 2);
    wait("the first version goes", || files(path) == 1);
}

#[test]
fn damage_anywhere_in_a_file_is_noticed() {
    let scratch = Scratch::new();
    let open = || DataDir::open(scratch.path()).unwrap().mapping(offload_devices::host::map_file);
    let catalog = over(Arc::new(open()));
    let version = put(&catalog, "d", vec![("v", whole(&[1, 2])), ("t", texts(&["ab", "c"]))], None);
    let id = version.record().segments[0].id.clone();
    let file = scratch.path().join(format!("datasets/{id}.segment"));
    let sound = std::fs::read(&file).unwrap();
    let reads = |bytes: &[u8]| {
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let stores = open();
        let segments: &dyn Segments = stores.segments();
        segments.column(&id, "v").is_ok() && segments.column(&id, "t").is_ok()
    };
    assert!(reads(&sound));
    // Bytes between the buffers belong to nobody, and so does what the file begins with.
    let needles: [&[u8]; 3] = [&1i64.to_le_bytes(), b"abc", b"\"rows\""];
    for needle in needles {
        let at = sound.windows(needle.len()).rposition(|w| w == needle).unwrap();
        let mut broken = sound.clone();
        broken[at] ^= 1;
        assert!(!reads(&broken), "{needle:?}");
    }
    for length in [0, 1, 47, 64, sound.len() / 2, sound.len() - 1] {
        assert!(!reads(&sound[..length]), "cut to {length}");
    }
}
