//! Answers as callers get them.

use offload_api::json::{NotFinite, decode_request, render};
use offload_api::{DType, Field, Kind, Layout, Matches, Record, Schema, Source, Tensor, Value};

fn matches(shape: &[usize], rows: &[(i64, f64)], layout: Layout) -> Value {
    let (indices, scores) = rows.iter().copied().unzip();
    Value::Matches(Matches::new::<f64>(shape, indices, scores, layout).expect("the rows fill the shape"))
}

fn text(value: &Value) -> Result<String, NotFinite> {
    let mut out = Vec::new();
    render("matches", value, &mut out)?;
    Ok(String::from_utf8(out).expect("json is text"))
}

#[test]
fn ranked_answers_are_lists_without_their_padding() {
    let nan = f64::NAN;
    let one = [(42, 0.95), (7, 0.5), (-1, nan)];
    let flat = r#"[{"idx":42,"score":0.95},{"idx":7,"score":0.5}]"#;
    assert_eq!(text(&matches(&[3], &one, Layout::Flat)).as_deref(), Ok(flat));
    assert_eq!(text(&matches(&[1, 3], &one, Layout::Flat)), Ok(format!("[{flat}]")));
    let per_query = format!(r#"[{{"query_idx":0,"matches":{flat}}}]"#);
    assert_eq!(text(&matches(&[3], &one, Layout::PerQuery)), Ok(per_query.clone()));
    assert_eq!(text(&matches(&[1, 3], &one, Layout::PerQuery)), Ok(per_query));
    let two = [(-1, nan), (0, -2.0)];
    assert_eq!(text(&matches(&[2, 1], &two, Layout::Flat)).as_deref(), Ok(r#"[[],[{"idx":0,"score":-2}]]"#));
    let per_query = r#"[{"query_idx":0,"matches":[]},{"query_idx":1,"matches":[{"idx":0,"score":-2}]}]"#;
    assert_eq!(text(&matches(&[2, 1], &two, Layout::PerQuery)).as_deref(), Ok(per_query));
    for layout in [Layout::Flat, Layout::PerQuery] {
        assert_eq!(text(&matches(&[0, 4], &[], layout)).as_deref(), Ok("[]"));
        assert!(text(&matches(&[1], &[(0, f64::INFINITY)], layout)).is_err());
    }
}

#[test]
fn ranked_answers_count_their_bytes_and_keep_their_columns() {
    let record: Record = Record::new().with("m", matches(&[2], &[(1, 0.5), (-1, f64::NAN)], Layout::Flat));
    assert_eq!(record.bytes(), 32);
    let Some(Value::Matches(m)) = record.get("m") else { panic!("no matches") };
    assert_eq!(m.indices().as_slice::<i64>(), Some(&[1, -1][..]));
    assert_eq!((m.scores().dtype(), m.scores().shape()), (DType::F64, &[2][..]));
}

#[test]
fn the_schema_of_ranked_answers_has_the_keys_that_are_written() {
    for (layout, at) in
        [(Layout::Flat, "/anyOf/0/items"), (Layout::PerQuery, "/items/properties/matches/items")]
    {
        let kind = Kind::Matches(layout);
        let field = Field { name: "matches", doc: "for a test", kind, required: true, default: None };
        let schema = field.to_json_schema();
        let one = schema.pointer(at).unwrap_or_else(|| panic!("{schema}"));
        assert_eq!(one["required"], serde_json::json!(["idx", "score"]));
        assert_eq!(schema["description"], "for a test");
    }
}

#[test]
fn bytes_are_base64_both_ways() {
    // The vectors of RFC 4648, section 10.
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        let bytes = plain.as_bytes().to_vec();
        assert_eq!(text(&Value::Bytes(bytes.clone().into())), Ok(format!("\"{coded}\"")));
        let body = format!(r#"{{"index":"{coded}"}}"#);
        let decoded = decode_request(body.as_bytes(), &bytes_schema()).expect(&body);
        assert_eq!(decoded.inputs.get("index"), Some(&Value::Tensor(Source::Inline(Tensor::vector(bytes)))));
    }
    for (body, part) in [
        (r#"{"index":"Zm9vYmFyZg=="}"#, "limit is 6"),
        (r#"{"index":"Zm9vYmFyZm9vYmFy"}"#, "limit is 6"),
        (r#"{"index":"Zg"}"#, "base64"),
        (r#"{"index":"Zm9_"}"#, "base64"),
        (r#"{"index":[1]}"#, "expected a string"),
    ] {
        let e = decode_request(body.as_bytes(), &bytes_schema()).expect_err(body);
        assert!(e.pointer == "/index" && e.message.contains(part), "{body}: {e:?}");
    }
    let body = br#"{"index":{"$result":{"index":0,"output":"index"}}}"#;
    let decoded = decode_request(body, &bytes_schema()).expect("a reference stands for bytes");
    assert!(matches!(decoded.inputs.get("index"), Some(Value::Tensor(Source::Output(_)))));
}

fn bytes_schema() -> Schema {
    let kind = Kind::Bytes { max_bytes: 6 };
    let field = Field { name: "index", doc: "for a test", kind, required: true, default: None };
    Schema { fields: vec![field], default_dtype: None }
}
