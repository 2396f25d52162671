//! Requests as callers send them, right and wrong.

use offload_api::json::{decode_request, write_record};
use offload_api::{
    DType, DeviceChoice, Elem, Field, Kind, Priority, Record, Schema, Source, Style, Tensor, Value,
};

fn schema() -> Schema {
    let field = |name, kind, required| Field { name, doc: "for a test", kind, required, default: None };
    Schema {
        fields: vec![
            field("a", Kind::Tensor { elem: Elem::Real, min_rank: 2, max_rank: 3 }, true),
            field("ids", Kind::Tensor { elem: Elem::Fixed(DType::U64), min_rank: 1, max_rank: 1 }, false),
            field("k", Kind::Int { min: 1, max: 9 }, false),
            field("scale", Kind::Float { min: 0.0, max: 1.0 }, false),
            field("kind", Kind::Choice(&["one", "two", "true"]), false),
            field("deep", Kind::Json { schema: || serde_json::json!({}) }, false),
        ],
        default_dtype: Some(DType::F64),
    }
}

fn refused(body: &str) -> (String, String) {
    let e = decode_request(body.as_bytes(), &schema()).expect_err(body);
    (e.pointer, e.message)
}

#[test]
fn both_shapes_carry_the_same_request() {
    let flat = r#" {"priority":"high","a":[[1,2.5],[-3e0,0]],"dtype":"f32","ids":[18446744073709551615],
                    "kind":true,"device":0,"timeout_ms":5} "#;
    let envelope = r#"{"inputs":{"ids":[18446744073709551615],"a":[[1,2.5],[-3,0.0]],"dtype":"f32","kind":"true"},
                       "priority":"high","device":"0","timeout_ms":5}"#;
    let (flat, envelope) = (
        decode_request(flat.as_bytes(), &schema()).unwrap(),
        decode_request(envelope.as_bytes(), &schema()).unwrap(),
    );
    assert_eq!((flat.style, envelope.style), (Style::Flat, Style::Envelope));
    assert_eq!(flat.inputs, envelope.inputs);
    assert_eq!(flat.options, envelope.options);
    assert_eq!((flat.options.priority, flat.options.device), (Some(Priority::High), DeviceChoice::Id(0)));
    let a = Tensor::new(vec![2, 2], vec![1.0f32, 2.5, -3.0, 0.0]).unwrap();
    assert_eq!(flat.inputs.get("a"), Some(&Value::Tensor(Source::Inline(a))));
}

#[test]
fn empty_arrays_have_shapes() {
    for (text, shape) in [("[[]]", vec![1, 0]), ("[[],[]]", vec![2, 0]), ("[[[]],[[]]]", vec![2, 1, 0])] {
        let decoded = decode_request(format!("{{\"a\":{text}}}").as_bytes(), &schema()).unwrap();
        let Some(Value::Tensor(Source::Inline(t))) = decoded.inputs.get("a") else { panic!("{text}") };
        assert_eq!(t.shape(), shape, "{text}");
    }
}

#[test]
fn every_fault_is_named_where_it_is() {
    for (body, pointer, part) in [
        (r#"{"a":[[1,2],[3]]}"#, "/a/1", "ragged"),
        (r#"{"a":[[1,2],3]}"#, "/a/1", "ragged"),
        (r#"{"a":[1,[2]]}"#, "/a/1", "ragged"),
        (r#"{"a":[[[1]],[[1],[2]]]}"#, "/a/1", "ragged"),
        (r#"{"a":[[],[1]]}"#, "/a/1", "ragged"),
        (r#"{"a":[[1,1e400]]}"#, "/a/0/1", "out of range"),
        (r#"{"a":[[1,1e39]],"dtype":"f32"}"#, "/a/0/1", "does not fit f32"),
        (r#"{"a":[[null]]}"#, "/a/0/0", "null"),
        (r#"{"a":[[NaN]]}"#, "/a/0/0", "NaN"),
        (r#"{"a":[["1"]]}"#, "/a/0/0", "expected a number"),
        (r#"{"a":[[01]]}"#, "/a/0/0", "not a json number"),
        (r#"{"a":[[1.]]}"#, "/a/0/0", "not a json number"),
        (r#"{"a":[[1,]]}"#, "/a/0/1", "expected a number"),
        (r#"{"a":[[1 2]]}"#, "/a/0/1", "expected ','"),
        (r#"{"a":[[,1]]}"#, "/a/0/0", "expected a number"),
        (r#"{"a":[1]}"#, "/a", "1 dimensions"),
        (r#"{"a":[[[[[[[[[1]]]]]]]]]}"#, "/a", "deeper"),
        (r#"{"a":[[1]],"dtype":"f16"}"#, "/dtype", "f32 or f64"),
        (r#"{"a":[[1]],"ids":[-1]}"#, "/ids/0", "out of range"),
        (r#"{"a":[[1]],"ids":[1.5]}"#, "/ids/0", "integer"),
        (r#"{"a":[[1]],"k":10}"#, "/k", "from 1 to 9"),
        (r#"{"a":[[1]],"scale":2}"#, "/scale", "from 0 to 1"),
        (r#"{"a":[[1]],"kind":"tow"}"#, "/kind", "did you mean two?"),
        (r#"{"a":[[1]],"priorty":"low"}"#, "/priorty", "did you mean priority?"),
        (r#"{"inputs":{"a":[[1]],"ks":1}}"#, "/inputs/ks", "did you mean k?"),
        (r#"{"inputs":{"a":[[1]]},"k":1}"#, "/k", "beside inputs"),
        (r#"{"inputs":{}}"#, "/inputs", "missing"),
        (r#"{"a":[[1]],"a":[[1]]}"#, "/a", "twice"),
        (r#"{"a":[[1]],"a/b~c":1}"#, "/a~1b~0c", "unknown"),
        (r#"{"a":[[1]]} x"#, "", "expected the end"),
        (r#"{"a":[[1]]"#, "", "expected '}'"),
        ("[]", "", "expected '{'"),
        ("", "", "the end of the body"),
        (r#"{"a":[[1]],"priority":5}"#, "/priority", "one of"),
        (r#"{"a":[[1]],"timeout_ms":0}"#, "/timeout_ms", "from 1"),
        (r#"{"a":[[1]],"device":"+7"}"#, "/device", "device id"),
        (r#"{"a":[[1]],"depends_on":[["t",1]]}"#, "/depends_on", "objects"),
        (r#"{"a":[[1]],"depends_on":[{"table":"t","version":1.5}]}"#, "/depends_on/0", "version"),
        (r#"{"a":{"dataset":"d","columm":"c"}}"#, "/a", "unknown field"),
    ] {
        let (at, message) = refused(body);
        assert!(at == pointer && message.contains(part), "{body}\n  gave {at:?}: {message}");
    }
}

#[test]
fn no_nesting_exhausts_the_stack() {
    let deep = 100_000;
    for body in [
        "[".repeat(deep),
        "{\"a\":".repeat(deep),
        format!("{{\"a\":{}", "[".repeat(deep)),
        format!("{{\"deep\":{}", "{\"x\":".repeat(deep)),
        format!("{{\"zzz\":{}", "[".repeat(deep)),
        format!("{{\"inputs\":{}", "{\"a\":".repeat(deep)),
    ] {
        refused(&body);
    }
}

#[test]
fn what_is_written_reads_back_to_the_bit() {
    let mut state = 7u64;
    let numbers: Vec<f64> = (0..20_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from_bits(state)
        })
        .filter(|x| x.is_finite())
        .chain([0.0, -0.0, 1e7, 9_999_999.0, f64::MAX, f64::MIN_POSITIVE, 5e-324])
        .collect();
    let a = Tensor::new(vec![1, numbers.len()], numbers).unwrap();
    let mut body = b"{".to_vec();
    write_record(&Record::new().with("a", Value::Tensor(a.clone())), &mut body).unwrap();
    body.push(b'}');
    let decoded = decode_request(&body, &schema()).unwrap();
    assert_eq!(decoded.inputs.get("a"), Some(&Value::Tensor(Source::Inline(a))));
    let nan = Record::new().with("a", Value::Tensor(Tensor::vector(vec![f64::NAN])));
    assert!(write_record(&nan, &mut Vec::new()).is_err());
}
