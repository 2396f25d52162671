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

/// What of several types a tensor can be, and a mask.
fn open_schema() -> Schema {
    let field = |name, elem, max_rank| Field {
        name,
        doc: "for a test",
        kind: Kind::Tensor { elem, min_rank: 1, max_rank },
        required: false,
        default: None,
    };
    Schema {
        fields: vec![
            field("data", Elem::OneOf(&[DType::F64, DType::I64]), 1),
            field("codes", Elem::OneOf(&[DType::F32, DType::F64, DType::U8]), 2),
            field("mask", Elem::Fixed(DType::U8), 2),
        ],
        default_dtype: None,
    }
}

fn opened(body: &str, name: &str) -> Tensor {
    let decoded = decode_request(body.as_bytes(), &open_schema()).unwrap_or_else(|e| panic!("{body}: {e}"));
    match decoded.inputs.get(name) {
        Some(Value::Tensor(Source::Inline(t))) => t.clone(),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_tensor_of_one_of_several_types_is_of_the_requests_wherever_dtype_stands() {
    // 2^53 + 1, which no f64 holds: read as f64 first, it would be lost.
    let large = vec![9_007_199_254_740_993i64, -1];
    for body in [
        r#"{"data":[9007199254740993,-1],"dtype":"i64"}"#,
        r#"{"dtype":"i64","data":[9007199254740993,-1]}"#,
        r#"{"inputs":{"data":[9007199254740993,-1],"dtype":"i64"}}"#,
    ] {
        assert_eq!(opened(body, "data"), Tensor::vector(large.clone()), "{body}");
    }
    assert_eq!(opened(r#"{"data":[1,2.5]}"#, "data"), Tensor::vector(vec![1.0, 2.5]));
    // A type that the field does not take is for another field.
    let body = r#"{"data":[1],"codes":[7,255],"dtype":"u8"}"#;
    assert_eq!(opened(body, "data"), Tensor::vector(vec![1.0]));
    assert_eq!(opened(body, "codes"), Tensor::vector(vec![7u8, 255]));
    assert_eq!(opened(r#"{"codes":[[0.1]]}"#, "codes"), Tensor::new([1, 1], vec![0.1f32]).unwrap());
    assert_eq!(opened(r#"{"codes":[true],"dtype":"u8"}"#, "codes"), Tensor::vector(vec![1u8]));
    let schema = open_schema();
    assert_eq!(schema.dtypes(), [DType::F64, DType::I64, DType::F32, DType::U8]);
    for (body, pointer, part) in [
        (r#"{"codes":[1,256],"dtype":"u8"}"#, "/codes/1", "out of range"),
        (r#"{"codes":[1,1.5],"dtype":"u8"}"#, "/codes/1", "integer"),
        (r#"{"codes":[true]}"#, "/codes/0", "expected a number"),
        (r#"{"codes":[[1],2]}"#, "/codes/1", "ragged"),
        (r#"{"codes":[1"#, "/codes", "the end of the body"),
        (r#"{"data":[[1]]}"#, "/data", "2 dimensions"),
        (r#"{"data":[[1]],"dtype":"i64"}"#, "/data", "2 dimensions"),
        (r#"{"dtype":"u64"}"#, "/dtype", "f64 or i64 or f32 or u8"),
    ] {
        let e = decode_request(body.as_bytes(), &schema).expect_err(body);
        assert!(e.pointer.starts_with(pointer) && e.message.contains(part), "{body}\n  gave {e:?}");
    }
}

#[test]
fn a_mask_is_bytes_or_truth_values() {
    assert_eq!(opened(r#"{"mask":[true,false, true ,0,1]}"#, "mask"), Tensor::vector(vec![1u8, 0, 1, 0, 1]));
    let deep = Tensor::new([2, 2], vec![1u8, 7, 0, 0]).unwrap();
    assert_eq!(opened(r#"{"mask":[[true,7],[false,0]]}"#, "mask"), deep);
    for body in [r#"{"mask":[tru]}"#, r#"{"mask":[truefalse]}"#, r#"{"mask":[null]}"#, r#"{"data":[true]}"#] {
        assert!(decode_request(body.as_bytes(), &open_schema()).is_err(), "{body}");
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
    for (body, pointer, part) in [
        ("[".repeat(deep), "", "expected '{'"),
        ("{\"a\":".repeat(deep), "/a", "nests deeper than the limit of 96"),
        (format!("{{\"a\":{}", "[".repeat(deep)), "/a", "nests deeper than the limit of 8 dimensions"),
        (format!("{{\"deep\":{}", "{\"x\":".repeat(deep)), "/deep", "nests deeper than the limit of 96"),
        (format!("{{\"zzz\":{}", "[".repeat(deep)), "/zzz", "nests deeper than the limit of 96"),
        (
            format!("{{\"inputs\":{}", "{\"a\":".repeat(deep)),
            "/inputs/a",
            "nests deeper than the limit of 96",
        ),
    ] {
        let (at, message) = refused(&body);
        assert!(at == pointer && message.contains(part), "{}\n  gave {at:?}: {message}", &body[..20]);
    }
}

#[test]
fn a_value_that_is_no_tensor_is_short() {
    let list = format!("[{}0]", "0,".repeat(1 << 19));
    for (field, pointer, name) in [
        ("k", "/k", "k"),
        ("kind", "/kind", "kind"),
        ("deep", "/deep", "deep"),
        ("priority", "/priority", "priority"),
        ("depends_on", "/depends_on", "depends_on"),
    ] {
        let (at, message) = refused(&format!("{{\"a\":[[1]],\"{field}\":{list}}}"));
        assert_eq!(at, pointer);
        assert_eq!(message, format!("{name} has 1048579 bytes of json, the limit is 1048576"));
    }
    let (at, message) = refused(&format!("{{\"a\":{{\"dataset\":\"d\",\"in\":{list}}}}}"));
    assert!(at == "/a" && message.contains("a reference has 1048600 bytes of json"), "{at}: {message}");
    // Numbers of a tensor are what bodies are for.
    let body = format!("{{\"a\":[{list}]}}");
    assert!(decode_request(body.as_bytes(), &schema()).is_ok());
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
