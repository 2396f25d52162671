//! Columns in JSON: what types they get, and what is refused where.

use offload_api::json::{ColumnsBody, decode_columns};
use offload_api::{Column, ColumnKind, DType, Tensor};

const WORDS: &[&str] = &["dtypes", "key"];

fn decoded(body: &str) -> ColumnsBody {
    decode_columns(body.as_bytes(), WORDS, &[]).expect(body)
}

fn kind(body: &str) -> String {
    decoded(&format!(r#"{{"columns":{{"c":{body}}}}}"#)).columns[0].1.kind().to_string()
}

#[test]
fn types_are_what_the_values_are() {
    for (values, expected) in [
        (r#"["a", "b"]"#, "text"),
        ("[true,false]", "u8"),
        ("[1, -2]", "i64"),
        ("[9007199254740993]", "i64"),
        ("[1, 2.5]", "f64"),
        ("[1.0, 2.0]", "f64"),
        ("[1, 2e3]", "f64"),
        ("[]", "f64"),
        ("[[1, 2], [3, 4]]", "f32[2]"),
        ("[[[1], [2]]]", "f32[2][1]"),
    ] {
        assert_eq!(kind(values), expected, "{values}");
    }
    let Column::Tensor(t) = &decoded(r#"{"columns":{"c":[9007199254740993]}}"#).columns[0].1 else {
        panic!()
    };
    assert_eq!(t.as_slice::<i64>(), Some(&[9_007_199_254_740_993][..]), "no double on the way");
}

#[test]
fn named_types_hold_wherever_they_stand() {
    let before = r#"{"dtypes":{"c":"f64","t":"text"},"columns":{"c":[[1],[2.5]],"t":[]}}"#;
    let behind = r#"{"columns":{"c":[[1],[2.5]],"t":[]},"dtypes":{"t":"text","c":"f64"}}"#;
    assert_eq!(decoded(before), decoded(behind));
    assert_eq!(decoded(before).columns[0].1, Column::Tensor(Tensor::new([2, 1], vec![1.0, 2.5]).unwrap()));
    assert_eq!(decoded(before).columns[1].1.kind(), ColumnKind::Text);
    let known = [("c".to_string(), ColumnKind::Tensor { dtype: DType::F64, inner: vec![] })];
    let body = decode_columns(br#"{"columns":{"c":[1,2]}}"#, &[], &known).unwrap();
    assert_eq!(body.columns[0].1.kind(), known[0].1, "a settled type needs no word");
}

#[test]
fn every_fault_is_named_where_it_is() {
    for (body, pointer, part) in [
        (r#"{"columns":{"c":["a",1]}}"#, "/columns/c/1", "texts"),
        (r#"{"columns":{"c":[1,"a"]}}"#, "/columns/c/1", "expected a number"),
        (r#"{"columns":{"c":[true,1]}}"#, "/columns/c/1", "truth values"),
        (r#"{"columns":{"c":[[1,2],[3]]}}"#, "/columns/c/1", "ragged"),
        (r#"{"columns":{"c":[[1],[NaN]]}}"#, "/columns/c/1/0", "NaN"),
        (r#"{"columns":{"c":[1,null]}}"#, "/columns/c/1", "null"),
        (r#"{"columns":{"c":[18446744073709551615]}}"#, "/columns/c/0", "out of range"),
        (r#"{"columns":{"c":[[1e39]]}}"#, "/columns/c/0/0", "does not fit f32"),
        (r#"{"columns":{"c":5}}"#, "/columns/c", "an array"),
        (r#"{"columns":{"c":[1],"c":[2]}}"#, "/columns/c", "twice"),
        (r#"{"columns":{"c":[1]},"columns":{}}"#, "/columns", "twice"),
        (r#"{"columns":{"c":[1]},"dtypes":{"c":"f16"}}"#, "/dtypes/c", "one of f32"),
        (r#"{"columns":{"c":[1]},"dtypes":{"c":"f32","c":"f64"}}"#, "/dtypes/c", "twice"),
        (
            r#"{"columns":{"embedding":[1]},"dtypes":{"embeding":"f32"}}"#,
            "/dtypes/embeding",
            "did you mean embedding",
        ),
        (r#"{"columns":{"c":[1.5]},"dtypes":{"c":"i64"}}"#, "/columns/c/0", "integer"),
        (r#"{"columns":{"c":[300]},"dtypes":{"c":"u8"}}"#, "/columns/c/0", "out of range"),
        (r#"{"columns":{"c":["a"]},"dtypes":{"c":"f32"}}"#, "/columns/c/0", "expected a number"),
        (r#"{"column":{"c":[1]}}"#, "/column", "did you mean columns"),
        (r#"{"columns":{"c":[1]},"mode":"append"}"#, "/mode", "unknown field"),
        (r#"{"key":"c"}"#, "", "columns is missing"),
        (r#"{"columns":{"c":[1]"#, "/columns", "expected '}'"),
        (r#"{"columns":{"c":["a"#, "/columns/c", "unterminated"),
    ] {
        let e = decode_columns(body.as_bytes(), WORDS, &[]).expect_err(body);
        assert!(
            e.pointer == pointer && e.message.contains(part),
            "{body}\n  gave {:?}: {}",
            e.pointer,
            e.message
        );
    }
}

#[test]
fn the_number_of_columns_is_bounded_while_they_are_read() {
    let of = |n: usize, value: &str| (0..n).map(|i| format!("\"{i}\":{value}")).collect::<Vec<_>>().join(",");
    let most = format!("{{\"columns\":{{{}}}}}", of(4096, "[]"));
    assert_eq!(decoded(&most).columns.len(), 4096);
    for (body, pointer) in [
        (format!("{{\"columns\":{{{}}}}}", of(4097, "[]")), "/columns"),
        (format!("{{\"columns\":{{}},\"dtypes\":{{{}}}}}", of(4097, "\"f32\"")), "/dtypes"),
    ] {
        let e = decode_columns(body.as_bytes(), WORDS, &[]).expect_err("one more");
        assert_eq!((e.pointer.as_str(), e.message.contains("limit of 4096")), (pointer, true), "{e}");
    }
}
