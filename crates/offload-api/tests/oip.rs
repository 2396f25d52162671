//! Inference requests as clients of the Open Inference Protocol send them, right and wrong, and their answers.

use offload_api::oip::{About, Infer, Wanted, config, decode, encode, metadata};
use offload_api::{
    DType, DatasetRef, DeviceChoice, Elem, Field, Invalid, Kind, Layout, Matches, Memory, Priority, Record,
    Schema, Source, Tensor, Value,
};
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn field(name: &'static str, kind: Kind, required: bool) -> Field {
    Field { name, doc: "for a test", kind, required, default: None }
}

fn schema() -> Schema {
    Schema {
        fields: vec![
            field("a", Kind::Tensor { elem: Elem::Real, min_rank: 1, max_rank: 3 }, true),
            field("ids", Kind::Tensor { elem: Elem::Fixed(DType::I64), min_rank: 1, max_rank: 1 }, false),
            field("mask", Kind::Tensor { elem: Elem::Fixed(DType::U8), min_rank: 1, max_rank: 1 }, false),
            field("k", Kind::Int { min: 1, max: 9 }, false),
            field("scale", Kind::Float { min: 0.0, max: 1.0 }, false),
            field("flag", Kind::Bool, false),
            field("metric", Kind::Choice(&["cosine", "l2"]), false),
            field("filter", Kind::Json { schema: || json!({}) }, false),
        ],
        default_dtype: Some(DType::F64),
    }
}

fn outputs() -> Vec<Field> {
    vec![
        field("result", Kind::Tensor { elem: Elem::Real, min_rank: 0, max_rank: 2 }, true),
        field("matches", Kind::Matches(Layout::PerQuery), true),
        field("count", Kind::Int { min: 0, max: i64::MAX }, true),
        field("name", Kind::Text { max_bytes: 100 }, true),
    ]
}

/// The head and, behind it, the binary tensors; the length of the head.
fn framed(head: &Json, tail: &[u8]) -> (Vec<u8>, usize) {
    let head = head.to_string().into_bytes();
    let length = head.len();
    ([head, tail.to_vec()].concat(), length)
}

fn read(body: Vec<u8>, head: Option<usize>) -> Result<Infer, Invalid> {
    decode(&(Arc::new(body) as Arc<dyn Memory>), head, &schema(), &outputs())
}

fn json_body(head: &Json) -> Result<Infer, Invalid> {
    read(head.to_string().into_bytes(), None)
}

fn binary(head: &Json, tail: &[u8]) -> Result<Infer, Invalid> {
    let (body, length) = framed(head, tail);
    read(body, Some(length))
}

fn input(name: &str, datatype: &str, shape: Json, more: Json) -> Json {
    let mut input = json!({"name": name, "datatype": datatype, "shape": shape});
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    input
}

fn one(input: Json) -> Json {
    json!({"inputs": [input]})
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn tensor(infer: &Infer, name: &str) -> Tensor {
    match infer.inputs.get(name) {
        Some(Value::Tensor(Source::Inline(t))) => t.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn binary_tensors_json_tensors_and_parameters_make_one_request() {
    let head = json!({
        "id": "7",
        "inputs": [
            input("a", "FP32", json!([2, 3]), json!({"parameters": {"binary_data_size": 24}})),
            input("ids", "INT64", json!([2]), json!({"data": [9_007_199_254_740_993i64, -1]})),
            input("mask", "BOOL", json!([3]), json!({"parameters": {"binary_data_size": 3}})),
            input("flag", "BOOL", json!([1]), json!({"data": [true]})),
            input("scale", "FP32", json!([1]), json!({"parameters": {"binary_data_size": 4}})),
        ],
        "parameters": {"k": 3, "metric": "cosine", "filter": "{\"x\": 1}", "priority": 2, "timeout": 1500,
                       "cache": false, "device": "cpu", "binary_data_output": true},
        "outputs": [{"name": "result"}, {"name": "matches.scores", "parameters": {"binary_data": false}}],
    });
    let tail = [floats(&[1.0, 2.0, f32::NAN, 4.0, 5.0, 6.0]), vec![1, 0, 1], floats(&[0.5])].concat();
    let infer = binary(&head, &tail).expect("a good request");
    assert_eq!(infer.id.as_deref(), Some("7"));
    let a = tensor(&infer, "a");
    assert_eq!(a.shape(), [2, 3]);
    let got = a.as_slice::<f32>().expect("f32");
    assert_eq!(got[..2], [1.0, 2.0]);
    assert!(got[2].is_nan());
    assert_eq!(tensor(&infer, "ids"), Tensor::vector(vec![9_007_199_254_740_993i64, -1]));
    assert_eq!(tensor(&infer, "mask"), Tensor::vector(vec![1u8, 0, 1]));
    assert_eq!(infer.inputs.get("k"), Some(&Value::Int(3)));
    assert_eq!(infer.inputs.get("scale"), Some(&Value::Float(0.5)));
    assert_eq!(infer.inputs.get("flag"), Some(&Value::Bool(true)));
    assert_eq!(infer.inputs.get("metric"), Some(&Value::Text("cosine".into())));
    assert_eq!(infer.inputs.get("filter"), Some(&Value::Json(Arc::new(json!({"x": 1})))));
    assert_eq!(infer.options.priority, Some(Priority::High));
    assert_eq!(infer.options.timeout_ms, Some(2));
    assert_eq!((infer.options.cache, &infer.options.device), (Some(false), &DeviceChoice::Cpu));
    let named = vec![("result".to_string(), true), ("matches.scores".to_string(), false)];
    assert_eq!(infer.wanted, Wanted { binary: true, named: Some(named) });
    assert!(infer.pointers.contains(&("ids".into(), "/inputs/1".into())));
    assert!(infer.pointers.contains(&("k".into(), "/parameters/k".into())));
    // In the order of the schema, whatever the order of the request.
    let names: Vec<&str> = infer.inputs.iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["a", "ids", "mask", "k", "scale", "flag", "metric", "filter"]);
}

#[test]
fn tensors_stand_on_the_body_where_they_are_aligned() {
    let head = one(input("a", "FP32", json!([4]), json!({"parameters": {"binary_data_size": 16}})));
    let (mut body, mut length) = framed(&head, &[]);
    // Spaces after the head belong to it, and bring the tensor to where it is aligned.
    let mut memory: Vec<u8> = Vec::with_capacity(body.len() + 64);
    while !(memory.as_ptr().addr() + length).is_multiple_of(4) {
        body.push(b' ');
        length += 1;
    }
    memory.extend_from_slice(&body);
    memory.extend_from_slice(&floats(&[1.0, 2.0, 3.0, 4.0]));
    let at = memory.as_ptr().addr() + length;
    let infer = read(memory, Some(length)).expect("a good request");
    assert_eq!(tensor(&infer, "a").data().as_bytes().as_ptr().addr(), at);
}

#[test]
fn data_in_the_head_is_flat_or_nested() {
    for data in [json!([1, 2, 3, 4]), json!([[1, 2], [3, 4]])] {
        let infer = json_body(&one(input("a", "FP64", json!([2, 2]), json!({"data": data})))).expect("good");
        assert_eq!(Some(tensor(&infer, "a")), Tensor::new([2, 2], vec![1.0f64, 2.0, 3.0, 4.0]));
        assert_eq!(infer.wanted, Wanted { binary: false, named: None });
    }
    let infer = json_body(&one(input("a", "FP32", json!([0, 5]), json!({"data": []})))).expect("empty");
    assert_eq!(tensor(&infer, "a").shape(), [0, 5]);
    // Whole numbers of a smaller type keep their values in a larger one.
    let ids = json!({"inputs": [input("a", "FP32", json!([1]), json!({"data": [1]})),
                                input("ids", "INT32", json!([2]), json!({"data": [-5, 7]}))]});
    assert_eq!(tensor(&json_body(&ids).expect("good"), "ids"), Tensor::vector(vec![-5i64, 7]));
}

#[test]
fn a_column_of_a_dataset_stands_for_a_tensor() {
    let parameters = json!({"parameters": {"dataset": "docs", "column": "embedding", "version": 7}});
    let infer = json_body(&one(input("a", "FP32", json!([]), parameters))).expect("good");
    let want =
        DatasetRef { dataset: "docs".into(), column: Some("embedding".into()), version: Some(7), test: None };
    assert_eq!(infer.inputs.get("a"), Some(&Value::Tensor(Source::Dataset(want))));
    let bare = json!({"inputs": [{"name": "a", "parameters": {"dataset": "docs"}}]});
    assert!(json_body(&bare).is_ok());
    let wrong = json!({"inputs": [{"name": "a", "parameters": {"column": "embedding"}}]});
    assert!(json_body(&wrong).expect_err("no dataset").message.contains("dataset"));
}

#[test]
fn what_does_not_add_up_is_told_with_its_place() {
    let sized = |n: i64| json!({"parameters": {"binary_data_size": n}});
    let a = |shape: Json, n: i64| one(input("a", "FP32", shape, sized(n)));
    let eight = [0u8; 8];
    let size = "/inputs/0/parameters/binary_data_size";
    let good = || input("a", "FP32", json!([2]), sized(8));
    let cases: Vec<(Json, &[u8], &str, &str)> = vec![
        (a(json!([2]), 4), &eight, size, "a has 4 bytes, FP32 of [2] are 8"),
        (a(json!([3]), 8), &eight, size, "FP32 of [3] are 12"),
        (a(json!([2]), 9), &eight, size, "a has 9 bytes, the body has 8 left"),
        (a(json!([2]), i64::MAX), &eight, size, "the body has 8 left"),
        (a(json!([2]), -8), &eight, size, "binary_data_size must be a number of bytes"),
        (a(json!([1]), 4), &eight, "", "4 bytes follow the last tensor"),
        (a(json!([-2]), 8), &eight, "/inputs/0/shape", "extent -2, none may be negative"),
        (a(json!([2.5]), 8), &eight, "/inputs/0/shape", "whole numbers"),
        (a(json!("2"), 8), &eight, "/inputs/0/shape", "whole numbers"),
        (a(json!([4294967296u64, 4294967296u64, 2]), 8), &eight, "/inputs/0/shape", "overflows"),
        (a(json!([i64::MAX, 0]), 0), &[], "/inputs/0/shape", "the limit is 16777216"),
        (a(json!([i64::MAX, i64::MAX, 0]), 0), &[], "/inputs/0/shape", "overflows"),
        (a(json!([1, 1, 1, 1, 1, 1, 1, 1, 2]), 8), &eight, "/inputs/0/shape", "the limit is 8"),
        (a(json!([1, 1, 1, 2]), 8), &eight, "/inputs/0", "a has 4 dimensions, it takes 1 to 3"),
        (
            one(input("a", "INT32", json!([2]), sized(8))),
            &eight,
            "/inputs/0",
            "a is i32, it takes f32 or f64",
        ),
        (
            one(input("a", "FP16", json!([4]), sized(8))),
            &eight,
            "/inputs/0/datatype",
            "FP16 is not carried here",
        ),
        (
            one(input("a", "fp32", json!([2]), sized(8))),
            &eight,
            "/inputs/0/datatype",
            "there is no datatype fp32",
        ),
        (one(input("a", "BYTES", json!([2]), sized(8))), &eight, size, "a is one text"),
        (one(input("aa", "FP32", json!([2]), sized(8))), &eight, "/inputs/0", "did you mean a?"),
        (json!({"inputs": [good(), good()]}), &[0; 16], "/inputs/1", "the input a is there twice"),
        (json!({"inputs": []}), &[], "/inputs", "the input a is missing"),
        (json!({}), &[], "/inputs", "the input a is missing"),
        (json!({"inputs": [good()], "input": []}), &eight, "/input", "did you mean inputs?"),
        (json!({"inputs": [{"datatype": "FP32"}]}), &[], "/inputs/0", "an input has a name"),
        (json!({"inputs": [{"name": "a", "shape": [1]}]}), &[], "/inputs/0", "a has no datatype"),
        (json!({"inputs": [{"name": "a", "datatype": "FP32"}]}), &[], "/inputs/0", "a has no shape"),
        (
            one(input("a", "FP32", json!([1]), json!({}))),
            &[],
            "/inputs/0",
            "neither data nor binary_data_size",
        ),
        (
            one(input("a", "FP32", json!([1]), json!({"data": [1], "parameters": {"binary_data_size": 4}}))),
            &[0; 4],
            "/inputs/0",
            "data in the head and binary_data_size",
        ),
        (
            one(input("a", "FP32", json!([3]), json!({"data": [1, 2]}))),
            &[],
            "/inputs/0/data",
            "a has 2 elements",
        ),
        (one(input("a", "FP32", json!([1]), json!({"data": 1}))), &[], "/inputs/0/data", "is a list"),
        (
            one(input("a", "FP32", json!([4, 1]), json!({"data": [[1, 2], [3, 4]]}))),
            &[],
            "/inputs/0/data",
            "nested as [2, 2], its shape is [4, 1]",
        ),
        (
            one(input("a", "FP32", json!([1]), json!({"parameters": {"shared_memory_region": "r"}}))),
            &[],
            "/inputs/0/parameters/shared_memory_region",
            "shared memory is not offered",
        ),
        (
            one(input("a", "FP32", json!([1]), json!({"parameters": {"binary_size": 4}}))),
            &[],
            "/inputs/0/parameters/binary_size",
            "unknown parameter binary_size",
        ),
        (
            json!({"inputs": [good()], "parameters": {"metrics": "l2"}}),
            &eight,
            "/parameters/metrics",
            "did you mean metric?",
        ),
        (json!({"inputs": [good()], "parameters": {"k": 10}}), &eight, "/parameters/k", "from 1 to 9"),
        (json!({"inputs": [good()], "parameters": {"a": 1}}), &eight, "/parameters/a", "a is a tensor"),
        (
            json!({"inputs": [good()], "parameters": {"sequence_id": 4}}),
            &eight,
            "/parameters/sequence_id",
            "operations keep no state",
        ),
        (
            json!({"inputs": [good()], "parameters": {"priority": "urgent"}}),
            &eight,
            "/parameters/priority",
            "low, medium, high, realtime",
        ),
        (
            json!({"inputs": [good(), input("k", "INT64", json!([2]), json!({"data": [1, 2]}))]}),
            &eight,
            "/inputs/1",
            "k is one value",
        ),
        (
            json!({"inputs": [good()], "outputs": [{"name": "matches"}]}),
            &eight,
            "/outputs/0",
            "there is no output matches",
        ),
        (
            json!({"inputs": [good()], "outputs": [{"name": "result"}, {"name": "result"}]}),
            &eight,
            "/outputs/1",
            "there twice",
        ),
        (
            json!({"inputs": [good()], "outputs": [{"name": "result", "parameters": {"classification": 3}}]}),
            &eight,
            "/outputs/0/parameters/classification",
            "classification is not offered",
        ),
        (
            json!({"inputs": [good(), input("mask", "BOOL", json!([1]), json!({"parameters": {"binary_data_size": 1}}))]}),
            &[0, 0, 0, 0, 0, 0, 0, 0, 2],
            "/inputs/1/parameters/binary_data_size",
            "each byte is 0 or 1",
        ),
    ];
    for (head, tail, pointer, message) in cases {
        let e = binary(&head, tail).expect_err(&head.to_string());
        assert_eq!(e.pointer, pointer, "{head}: {e}");
        assert!(e.message.contains(message), "{head}: {e}");
    }
    let (body, length) = framed(&a(json!([2]), 8), &eight);
    let e = read(body.clone(), Some(body.len() + 1)).expect_err("beyond the body");
    assert!(e.message.contains("the body has"), "{e}");
    assert!(read(body.clone(), Some(length - 1)).is_err());
    let (alone, _) = framed(&a(json!([2]), 8), &[]);
    assert!(read(alone, None).expect_err("no frame").message.contains("inference-header-content-length"));
    assert!(read(body, None).is_err());
}

#[test]
fn a_request_that_breaks_off_anywhere_is_an_error() {
    let head = json!({"id": "x", "inputs": [
        input("a", "FP32", json!([2, 2]), json!({"parameters": {"binary_data_size": 16}})),
        input("ids", "INT64", json!([1]), json!({"parameters": {"binary_data_size": 8}}))],
        "parameters": {"k": 3}, "outputs": [{"name": "result"}]});
    let (body, length) = framed(&head, &[1; 24]);
    assert!(read(body.clone(), Some(length)).is_ok());
    for n in 0..body.len() {
        assert!(read(body[..n].to_vec(), Some(length)).is_err(), "cut at {n}");
        assert!(read(body[..n].to_vec(), None).is_err(), "cut at {n}, no frame");
        assert!(n == length || read(body.clone(), Some(n)).is_err(), "a head of {n}");
    }
}

#[test]
fn entries_are_bounded_while_they_are_read() {
    let entry = json!({"name": "a", "parameters": {"dataset": "docs"}});
    for (list, n, pointer, part) in [
        ("inputs", 1024, "/inputs/1", "there twice"),
        ("inputs", 1025, "/inputs", "more than the limit of 1024"),
        ("outputs", 1025, "/outputs", "more than the limit of 1024"),
    ] {
        let e = json_body(&json!({list: vec![&entry; n]})).expect_err(list);
        assert_eq!((e.pointer.as_str(), e.message.contains(part)), (pointer, true), "{n} {list}: {e}");
    }
    let numbers = vec![0; 1 << 19];
    let long = json!({"inputs": [{"name": "a", "parameters": {"dataset": numbers}}]});
    let e = json_body(&long).expect_err("a list of numbers for a name");
    assert_eq!(e.message, "dataset has 1048577 bytes of json, the limit is 1048576");
}

fn answer() -> Record {
    let m = Matches::new(&[1, 2], vec![4, -1], vec![0.5f32, f32::NAN], Layout::PerQuery);
    Record::new()
        .with("result", Value::Tensor(Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]).expect("it fits")))
        .with("matches", Value::Matches(m.expect("it fits")))
        .with("count", Value::Int(-3))
        .with("name", Value::Text("ü".into()))
}

fn encoded(wanted: &Wanted) -> (Json, Vec<u8>) {
    let about = About { model: "m.o", version: 2, id: Some("\"7\"") };
    let answer =
        encode(&answer(), wanted, &about, |out| out.extend_from_slice(b"\"gpu_time_us\":0")).expect("finite");
    let head: Json = serde_json::from_slice(&answer.head).expect("json");
    assert_eq!(answer.framed, !answer.tail.is_empty());
    (head, answer.tail.iter().flat_map(|c| c.as_ref().to_vec()).collect())
}

#[test]
fn outputs_are_binary_where_that_is_asked_for() {
    let (head, tail) = encoded(&Wanted { binary: true, named: None });
    let sized = |n: usize| json!({"binary_data_size": n});
    assert_eq!(
        head,
        json!({"model_name": "m.o", "model_version": "2", "id": "\"7\"", "parameters": {"gpu_time_us": 0}, "outputs": [
            {"name": "result", "datatype": "FP32", "shape": [2, 2], "parameters": sized(16)},
            {"name": "matches.indices", "datatype": "INT64", "shape": [1, 2], "parameters": sized(16)},
            {"name": "matches.scores", "datatype": "FP32", "shape": [1, 2], "parameters": sized(8)},
            {"name": "count", "datatype": "INT64", "shape": [1], "parameters": sized(8)},
            {"name": "name", "datatype": "BYTES", "shape": [1], "parameters": sized(6)}]})
    );
    let want = [
        floats(&[1.0, 2.0, 3.0, 4.0]),
        [4i64, -1].iter().flat_map(|v| v.to_le_bytes()).collect(),
        floats(&[0.5, f32::NAN]),
        (-3i64).to_le_bytes().to_vec(),
        vec![2, 0, 0, 0, 0xc3, 0xbc],
    ];
    assert_eq!(tail, want.concat());

    let named = [("name", false), ("result", false), ("count", true)].map(|(n, b)| (n.to_string(), b));
    let (head, tail) = encoded(&Wanted { binary: true, named: Some(named.to_vec()) });
    assert_eq!(
        head["outputs"],
        json!([{"name": "result", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]},
               {"name": "count", "datatype": "INT64", "shape": [1], "parameters": sized(8)},
               {"name": "name", "datatype": "BYTES", "shape": [1], "data": ["ü"]}])
    );
    assert_eq!(tail, (-3i64).to_le_bytes());
}

#[test]
fn numbers_that_are_not_finite_need_binary_data() {
    let about = About { model: "m.o", version: 1, id: None };
    let inf = Record::new().with("result", Value::Tensor(Tensor::vector(vec![f64::INFINITY])));
    for record in [inf, Record::new().with("result", Value::Float(f64::NAN))] {
        let text = Wanted { binary: false, named: None };
        assert_eq!(encode(&record, &text, &about, |_| ()).map(drop).expect_err("infinite").output, "result");
        let binary = Wanted { binary: true, named: None };
        assert!(encode(&record, &binary, &about, |_| ()).is_ok());
    }
}

#[test]
fn memory_of_outputs_is_not_copied() {
    let record = answer();
    let Some(Value::Tensor(result)) = record.get("result") else { panic!("no result") };
    let about = About { model: "m.o", version: 1, id: None };
    let sent = encode(&record, &Wanted { binary: true, named: None }, &about, |_| ()).expect("finite");
    assert_eq!(sent.tail[0].as_ref().as_ptr(), result.data().as_bytes().as_ptr());
}

#[test]
fn metadata_names_what_is_taken_and_given() {
    let about = metadata("m.o", 2, "p", &schema(), &outputs());
    assert_eq!(about["versions"], json!(["2"]));
    assert_eq!(
        about["inputs"][0],
        json!({"name": "a", "datatype": "FP64", "shape": [-1], "parameters": {"datatypes": ["FP64", "FP32"], "max_rank": 3}})
    );
    assert_eq!(
        about["inputs"][3],
        json!({"name": "k", "datatype": "INT64", "shape": [1], "parameters": {"optional": true}})
    );
    let names: Vec<&str> =
        about["outputs"].as_array().expect("a list").iter().filter_map(|o| o["name"].as_str()).collect();
    assert_eq!(names, ["result", "matches.indices", "matches.scores", "count", "name"]);
    let config = config("m.o", 2, "p", &schema(), &outputs());
    assert_eq!(
        config["input"][6],
        json!({"name": "metric", "data_type": "TYPE_STRING", "dims": [1], "optional": true})
    );
    assert_eq!(config["max_batch_size"], 0);
}
