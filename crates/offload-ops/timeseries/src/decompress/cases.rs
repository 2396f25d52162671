//! Worked examples: files of a second encoder, and files that are none.

use crate::codec::examples::{Row, SOURCE, rows};
use offload_api::{Buf, Record, Tensor, Value};
use offload_core::{Case, Expect};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let rows = rows();
    let mut cases: Vec<Case> = rows.iter().map(reads).collect();
    let Some(longest) = rows.iter().max_by_key(|row| row.file.len()) else { return cases };
    let file = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = longest.file.clone();
        change(&mut file);
        file
    };
    let corrupt = Expect::Unprocessable("corrupt");
    let end = longest.file.len() - 1;
    for (name, wrong) in [
        ("no bytes", Vec::new()),
        ("other bytes", b"this is not a compressed series, though it is long enough".to_vec()),
        ("the last byte is missing", file(&|f| f.truncate(end))),
        ("a byte more", file(&|f| f.push(0))),
        ("a bit of the header is another", file(&|f| f[16] ^= 1)),
        ("a bit of the index is another", file(&|f| f[33] ^= 128)),
        ("a bit of a block is another", file(&|f| f[end] ^= 4)),
        ("its length is beyond all memory", file(&|f| f[16..24].fill(0xFF))),
    ] {
        cases.push(case(name.into(), "by hand", of(wrong), corrupt.clone()));
    }
    cases.push(case(
        "a later version".into(),
        "by hand",
        of(file(&|f| f[4] = 2)),
        Expect::Unprocessable("unsupported_version"),
    ));
    let few = of(longest.file.clone()).with("max_values", Value::Int(10));
    cases.push(case("more values than may come out".into(), "by hand", few, Expect::Rejected("max_values")));
    let numbers = Record::new().with("compressed", Value::Tensor(Tensor::vector(vec![1.0])));
    cases.push(case("numbers instead of bytes".into(), "by hand", numbers, Expect::Rejected("compressed")));
    cases
}

fn of(file: Vec<u8>) -> Record<Tensor> {
    Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(Buf::from(file))))
}

fn case(name: String, source: &'static str, inputs: Record<Tensor>, expect: Expect) -> Case {
    Case { name, source, inputs, expect }
}

/// Compared as bits, not as numbers: a NaN has a payload, and zero a sign.
fn reads(row: &Row) -> Case {
    let want = row.outputs();
    let same = move |_: &Record<Tensor>, got: &Record<Tensor>| match want
        .iter()
        .find(|(n, v)| got.get(n) != Some(*v))
    {
        None => Ok(()),
        Some((name, value)) => Err(format!("{name} is {:?}, expected {value:?}", got.get(name))),
    };
    case(row.name.clone(), SOURCE, of(row.file.clone()), Expect::Property(Arc::new(same)))
}
