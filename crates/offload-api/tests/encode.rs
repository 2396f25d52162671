//! Answers as callers get them.

use offload_api::json::{NotFinite, render};
use offload_api::{DType, Field, Kind, Layout, Matches, Record, Value};

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
