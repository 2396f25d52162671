//! Files of datasets: sealed, and each column read.

use offload_api::{Column, Run, Tensor};
use offload_pipeline::records::{NewColumn, StoreError, Stores};
use offload_stores::DataDir;
use serde_json::Value as Json;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

const ID: &str = "0123456789abcdef0123456789abcdef";
const NAMES: [&str; 4] = ["x", "v", "t", "none"];
/// Length, checksum and mark behind the description.
const TAIL: usize = 48;

fn store() -> &'static (DataDir, PathBuf) {
    static STORE: LazyLock<(DataDir, PathBuf)> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("hgo-fuzz-segments-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let store = DataDir::open(&folder).expect("a data directory");
        fs::create_dir_all(folder.join("datasets")).expect("a folder");
        (store, folder.join(format!("datasets/{ID}.segment")))
    });
    &STORE
}

/// The file with checksums that hold, as far as it says where they belong.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let Some(at) = file.len().checked_sub(TAIL) else { return file };
    let length = file[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let Some(start) = usize::try_from(length).ok().and_then(|n| at.checked_sub(n)) else { return file };
    let magic = file[at + 40..].to_vec();
    let mut description = file[start..at].to_vec();
    if let Ok(mut json) = serde_json::from_slice::<Json>(&description) {
        for column in json.get_mut("columns").and_then(Json::as_array_mut).into_iter().flatten() {
            for part in ["main", "bytes"] {
                let Some(buffer) = column.get_mut(part).and_then(Json::as_object_mut) else { continue };
                let place = |name: &str| {
                    buffer.get(name).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok())
                };
                let range =
                    place("offset").zip(place("length")).and_then(|(o, n)| Some(o..o.checked_add(n)?));
                if let Some(bytes) = range.and_then(|range| file.get(range)) {
                    let sum = blake3::hash(bytes).to_hex().to_string();
                    buffer.insert("checksum".into(), sum.into());
                }
            }
        }
        description = json.to_string().into_bytes();
    }
    file.truncate(start);
    file.extend_from_slice(&description);
    file.extend_from_slice(&(description.len() as u64).to_le_bytes());
    file.extend_from_slice(blake3::hash(&description).as_bytes());
    file.extend_from_slice(&magic);
    file
}

pub(crate) fn file(bytes: &[u8]) -> bool {
    let (store, path) = store();
    // Forgets what was verified before.
    store.segments().remove(ID).expect("it is removed");
    let bytes = sealed(bytes.to_vec());
    fs::write(path, &bytes).expect("the file is written");
    let mut rows = None;
    for name in NAMES {
        match store.segments().column(ID, name) {
            Ok(column) => {
                let all = *rows.get_or_insert(column.rows());
                assert_eq!(column.rows(), all, "the columns have different numbers of rows");
                // One text more has an end.
                assert!(
                    column.bytes() <= 8 + bytes.len() as u64,
                    "{} bytes from {}",
                    column.bytes(),
                    bytes.len()
                );
            }
            Err(StoreError::NotFound | StoreError::Corrupt(_)) => {}
            Err(other) => panic!("reading fails with {other:?}"),
        }
    }
    rows.is_some()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (store, path) = store();
    let whole = [
        ("x", Column::Tensor(Tensor::vector(vec![1.5f64, -2.0]))),
        ("v", Column::Tensor(Tensor::new([2, 3], vec![1i32, 2, 3, 4, 5, 6]).expect("it fits"))),
        ("t", Column::Text(["a", "grün"].into_iter().collect())),
    ];
    let empty = [
        ("none", Column::Tensor(Tensor::new([0, 2], Vec::<u8>::new()).expect("it fits"))),
        ("t", Column::Text(Vec::<String>::new().into_iter().collect())),
    ];
    let file = |columns: &[(&str, Column)]| {
        store.segments().remove(ID).expect("it is removed");
        let all: Vec<([Run; 1], &str, &Column)> =
            columns.iter().map(|(n, c)| ([Run { source: 0, rows: 0..c.rows() }], *n, c)).collect();
        let new: Vec<NewColumn<'_>> = all
            .iter()
            .map(|(runs, name, column)| NewColumn {
                name,
                kind: column.kind(),
                sources: vec![(*column).clone()],
                runs,
            })
            .collect();
        store.segments().write(ID, &new).expect("it is written");
        fs::read(path).expect("the file is read")
    };
    vec![file(&whole), file(&empty), file(&whole[2..])]
}
