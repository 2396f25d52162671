//! Datasets: versions, names that come back, listings; and segments: what is written is read.

use super::{Open, all_pages};
use offload_api::{Column, ColumnKind, DType, Run, Tensor};
use offload_pipeline::records::{
    Dataset, DatasetColumn, DatasetSegment, Datasets, NewColumn, StoreError, Stores,
};
use std::sync::Barrier;
use std::thread;

fn hex(n: u64) -> String {
    format!("{n:032x}")
}

fn dataset(tenant_id: &str, name: &str, id: u64) -> Dataset {
    Dataset {
        tenant_id: tenant_id.to_owned(),
        name: name.to_owned(),
        id: hex(id),
        version: 0,
        key: Some("id".to_owned()),
        columns: vec![
            DatasetColumn { name: "id".to_owned(), dtype: Some(DType::I64), inner: Vec::new() },
            DatasetColumn { name: "title".to_owned(), dtype: None, inner: Vec::new() },
            DatasetColumn { name: "e".to_owned(), dtype: Some(DType::F32), inner: vec![2, 3] },
        ],
        segments: vec![DatasetSegment { id: hex(id + 1000), rows: 5, bytes: 77 }],
        created_at: 10,
        updated_at: 20,
    }
}

fn delete(store: &dyn Datasets, d: &Dataset) -> Result<(), StoreError> {
    store.delete(&d.tenant_id, &d.name, &d.id, d.version)
}

/// Every field is read back, the version is the store's, and a tenant's names are its own.
pub fn created_datasets_are_read_back(open: &Open) {
    let stores = open();
    let given = dataset("a", "Docs.v-1_x", 1);
    let stored = stores.datasets().create(&given).expect("created");
    assert_eq!(stored, Dataset { version: 1, ..given.clone() });
    assert_eq!(open().datasets().get("a", "Docs.v-1_x"), Ok(Some(stored)));
    assert_eq!(stores.datasets().get("b", "Docs.v-1_x"), Ok(None));
    assert_eq!(stores.datasets().get("a", "docs.v-1_x"), Ok(None));
    assert_eq!(stores.datasets().create(&given), Err(StoreError::AlreadyExists));
    stores.datasets().create(&dataset("b", "Docs.v-1_x", 2)).expect("another tenant's");
    for bad in ["", "a/b", "a b", "..", "é", &"x".repeat(129)] {
        let named = Dataset { name: bad.to_owned(), ..dataset("a", "x", 3) };
        assert!(matches!(stores.datasets().create(&named), Err(StoreError::Invalid(_))), "{bad}");
    }
}

/// Compare-and-set on identity and version: who read an older one is told so.
pub fn a_change_needs_the_current_version(open: &Open) {
    let stores = open();
    let store = stores.datasets();
    let first = store.create(&dataset("a", "d", 1)).expect("created");
    let change = Dataset { segments: Vec::new(), key: None, updated_at: 99, created_at: 5, ..first.clone() };
    let second = store.update(&change).expect("updated");
    assert_eq!(second, Dataset { version: 2, created_at: first.created_at, ..change });
    assert_eq!(store.update(&first), Err(StoreError::Conflict));
    assert_eq!(store.update(&Dataset { id: hex(9), ..second.clone() }), Err(StoreError::Conflict));
    assert_eq!(delete(store, &first), Err(StoreError::Conflict));
    assert_eq!(store.update(&dataset("a", "other", 2)), Err(StoreError::NotFound));
    assert_eq!(delete(store, &dataset("b", "d", 1)), Err(StoreError::NotFound));
    assert_eq!(store.get("a", "d"), Ok(Some(second)));
}

/// No version of a name is given twice, even when the dataset was deleted, and even when very many were.
pub fn versions_never_come_back(open: &Open) {
    let stores = open();
    let store = stores.datasets();
    let mut last = 0;
    for round in 0..3 {
        let made = store.create(&dataset("a", "d", round)).expect("created");
        assert!(made.version > last, "{} after {last}", made.version);
        let changed = store.update(&made).expect("updated");
        last = changed.version;
        assert_eq!(delete(store, &changed), Ok(()));
        assert_eq!(store.get("a", "d"), Ok(None));
    }
    assert_eq!(last, 6);
    // More names than are remembered one by one.
    for n in 0..1010 {
        let made = store.create(&dataset("a", &format!("n{n}"), 100 + n)).expect("created");
        assert_eq!(delete(store, &made), Ok(()));
    }
    let made = store.create(&dataset("a", "d", 7)).expect("created");
    assert!(made.version > last, "{} after {last}", made.version);
    assert_eq!(store.create(&dataset("b", "d", 8)).expect("created").version, 1, "another tenant's count");
}

/// Nothing twice, nothing missed, whatever is made between the pages; tenants apart and together.
pub fn paging_is_stable_under_inserts(open: &Open) {
    let stores = open();
    let store = stores.datasets();
    for n in 0..10 {
        store.create(&dataset("a", &format!("n{n}0"), n)).expect("created");
        store.create(&dataset("b", &format!("m{n}"), 50 + n)).expect("created");
    }
    let listed = all_pages(
        |cursor| store.list("a", cursor, 3),
        |page| {
            if page <= 3 {
                store.create(&dataset("a", &format!("n{page}5"), 200 + page as u64)).expect("created");
            }
        },
    );
    let names: Vec<&str> = listed.iter().map(|d| d.name.as_str()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert!((0..10).all(|n| names.contains(&format!("n{n}0").as_str())), "{names:?}");
    assert!(listed.iter().all(|d| d.tenant_id == "a"));
    let all = all_pages(|cursor| store.list_all(cursor, 4), |_| ());
    assert_eq!(all.len(), 23);
    assert!(all.is_sorted_by(|x, y| (&x.tenant_id, &x.name) < (&y.tenant_id, &y.name)));
    assert!(matches!(store.list_all(Some("no slash"), 4), Err(StoreError::Invalid(_))));
}

/// Of several nodes that change one version one is first.
pub fn concurrent_changes_have_one_winner(open: &Open) {
    let first = open().datasets().create(&dataset("a", "d", 1)).expect("created");
    let barrier = Barrier::new(4);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let run = |_| {
            scope.spawn(|| {
                let stores = open();
                barrier.wait();
                stores.datasets().update(&first)
            })
        };
        let threads: Vec<_> = (0..4).map(run).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|o| matches!(o, Ok(_) | Err(StoreError::Conflict))));
}

fn sources() -> [(ColumnKind, Vec<Column>); 4] {
    let texts = |all: &[&str]| Column::Text(all.iter().collect());
    let tensor = |t: Option<Tensor>| Column::Tensor(t.expect("a tensor"));
    [
        vec![tensor(Tensor::new([3], vec![1i64, -2, i64::MAX])), tensor(Tensor::new([1], vec![9i64]))],
        vec![texts(&["a", "", "grün"]), texts(&["🦀"])],
        vec![
            tensor(Tensor::new([3, 2], vec![0.5f32, f32::NAN, -0.0, 1e-40, 3.0, 4.0])),
            tensor(Tensor::new([1, 2], vec![7.0f32, 8.0])),
        ],
        vec![tensor(Tensor::new([3], vec![1u8, 0, 1])), tensor(Tensor::new([1], vec![7u8]))],
    ]
    .map(|all| (all[0].kind(), all))
}

const NAMES: [&str; 4] = ["id", "title", "e", "flag"];

fn write(stores: &dyn Stores, id: &str, runs: &[Run]) -> Result<(), StoreError> {
    let all = sources();
    let columns: Vec<_> = all
        .iter()
        .zip(NAMES)
        .map(|((kind, sources), name)| NewColumn { name, kind: kind.clone(), sources: sources.clone(), runs })
        .collect();
    stores.segments().write(id, &columns)
}

/// Rows of several columns in a new order, to the bit, after a restart too; and then they are gone.
pub fn segments_are_read_as_they_were_written(open: &Open) {
    let runs = [Run { source: 0, rows: 1..3 }, Run { source: 1, rows: 0..1 }, Run { source: 0, rows: 0..1 }];
    let (a, b) = (hex(1), hex(2));
    let stores = open();
    write(stores.as_ref(), &a, &runs).expect("written");
    write(stores.as_ref(), &b, &[]).expect("no rows are rows");
    assert_eq!(write(stores.as_ref(), &a, &runs), Err(StoreError::AlreadyExists));
    for stores in [stores, open()] {
        for (name, (kind, sources)) in NAMES.iter().zip(sources()) {
            let got = stores.segments().column(&a, name).expect("read");
            assert_eq!(Some(&got), Column::gather(&kind, &sources, &runs).as_ref(), "{name}");
            let none = stores.segments().column(&b, name).expect("read");
            assert_eq!((none.rows(), none.kind()), (0, kind), "{name}");
        }
        assert_eq!(stores.segments().column(&a, "nme").map(drop), Err(StoreError::NotFound));
        assert_eq!(stores.segments().column(&hex(3), "id").map(drop), Err(StoreError::NotFound));
        assert_eq!(stores.segments().sweep(), Ok(vec![a.clone(), b.clone()]));
    }
    let stores = open();
    let held = stores.segments().column(&a, "e").expect("read");
    stores.segments().remove(&a).expect("removed");
    stores.segments().remove(&a).expect("removed already");
    assert_eq!(stores.segments().sweep(), Ok(vec![b]));
    assert_eq!(stores.segments().column(&a, "e").map(drop), Err(StoreError::NotFound));
    assert_eq!(held.rows(), 4, "what was read stays readable");
    for runs in [&[Run { source: 0, rows: 2..4 }], &[Run { source: 2, rows: 0..1 }]] {
        assert!(matches!(write(stores.as_ref(), &hex(5), runs), Err(StoreError::Invalid(_))));
    }
    assert_eq!(stores.segments().sweep().expect("listed").len(), 1, "nothing is left of what failed");
}
