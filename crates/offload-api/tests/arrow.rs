//! Arrow streams as other writers make them, right and wrong, and answers as streams.

use arrow_array::builder::{Float32Builder, ListBuilder, StringDictionaryBuilder};
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Int8Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{Field as ArrowField, Schema as ArrowSchema};
use offload_api::Column;
use offload_api::arrow::{columns, decode_request, encode};
use offload_api::{
    DType, Elem, Field, Invalid, Kind, Layout, Matches, Memory, Record, Schema, Source, Tensor, Value,
};
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<ArrowField> =
        columns.iter().map(|(n, a)| ArrowField::new(*n, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).expect("a batch")
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).expect("a writer");
    batches.iter().for_each(|b| writer.write(b).expect("it is written"));
    writer.into_inner().expect("it ends")
}

fn one(name: &str, array: ArrayRef) -> Vec<u8> {
    stream(&[batch(vec![(name, array)])])
}

fn lists(rows: &[&[f32]]) -> ArrayRef {
    let size = rows[0].len() as i32;
    let rows = rows.iter().map(|r| Some(r.iter().map(|v| Some(*v)).collect::<Vec<_>>()));
    Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, size))
}

fn memory(body: Vec<u8>) -> Arc<dyn Memory> {
    Arc::new(body)
}

fn read(body: Vec<u8>) -> Result<Vec<(String, Column)>, Invalid> {
    columns(&memory(body))
}

fn tensor(body: Vec<u8>) -> Tensor {
    match read(body).expect("a good stream").pop() {
        Some((_, Column::Tensor(t))) => t,
        other => panic!("{other:?}"),
    }
}

fn f32s(values: &[f32]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

#[test]
fn columns_are_tensors_and_batches_follow_each_other() {
    let parts = [f32s(&[1.0, f32::NAN]), f32s(&[]), f32s(&[3.0])].map(|a| batch(vec![("x", a)]));
    let got = tensor(stream(&parts));
    assert_eq!(got.shape(), [3]);
    assert_eq!(got.as_slice::<f32>().expect("f32")[2], 3.0);
    let rows = lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]);
    let want = Tensor::new([3, 2], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("it fits");
    assert_eq!(tensor(one("x", Arc::clone(&rows))), want);
    let halves = [rows.slice(0, 1), rows.slice(1, 2)].map(|a| batch(vec![("x", a)]));
    assert_eq!(tensor(stream(&halves)), want);
    let item = Arc::new(ArrowField::new_list_field(rows.data_type().clone(), true));
    let deep: ArrayRef = Arc::new(FixedSizeListArray::new(item, 3, rows, None));
    assert_eq!(tensor(one("x", deep)).shape(), [1, 3, 2]);
    let ragged = |lengths: &[usize]| -> ArrayRef {
        let mut builder = ListBuilder::new(Float32Builder::new());
        for n in lengths {
            builder.append_value((0..*n).map(|i| Some(i as f32)));
        }
        Arc::new(builder.finish())
    };
    assert_eq!(tensor(one("x", ragged(&[2, 2, 2]))).shape(), [3, 2]);
    assert_eq!(tensor(one("x", ragged(&[2, 2, 2]).slice(1, 2))).shape(), [2, 2]);
    assert_eq!(tensor(one("x", ragged(&[]))).shape(), [0, 0]);
    let e = read(one("x", ragged(&[2, 2, 1]))).expect_err("ragged");
    assert_eq!((e.pointer.as_str(), e.message.contains("a list of 1")), ("/x/2", true), "{e}");
    let e = read(stream(&[ragged(&[2]), ragged(&[3])].map(|a| batch(vec![("x", a)])))).expect_err("ragged");
    assert!(e.message.contains("lists of [2] and then of [3]"), "{e}");
}

#[test]
fn one_batch_is_read_where_it_lies() {
    let body = one("x", f32s(&[1.0, 2.0, 3.0]));
    // Aligned as the service receives bodies.
    let mut memory: Vec<u8> = Vec::with_capacity(body.len() + 64);
    memory.resize((64 - memory.as_ptr().addr() % 64) % 64, 0u8);
    let start = memory.len();
    memory.extend_from_slice(&body);
    struct From(Vec<u8>, usize);
    impl AsRef<[u8]> for From {
        fn as_ref(&self) -> &[u8] {
            &self.0[self.1..]
        }
    }
    let span = memory.as_ptr_range();
    let owner: Arc<dyn Memory> = Arc::new(From(memory, start));
    let Some((_, Column::Tensor(t))) = columns(&owner).expect("good").pop() else { panic!("no tensor") };
    assert!(span.contains(&t.data().as_bytes().as_ptr()));
}

#[test]
fn integers_bits_times_and_texts_are_read() {
    let t = |array: ArrayRef| tensor(one("x", array));
    assert_eq!(t(Arc::new(Int8Array::from(vec![-1, 2]))), Tensor::vector(vec![-1i32, 2]));
    assert_eq!(t(Arc::new(UInt32Array::from(vec![u32::MAX]))), Tensor::vector(vec![4_294_967_295i64]));
    assert_eq!(t(Arc::new(TimestampMillisecondArray::from(vec![5, 6]))), Tensor::vector(vec![5i64, 6]));
    let bits: Vec<bool> = (0..19).map(|i| i % 3 == 0).collect();
    let want: Vec<u8> = bits.iter().map(|b| u8::from(*b)).collect();
    assert_eq!(t(Arc::new(BooleanArray::from(bits))), Tensor::vector(want));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "üb", "c"]));
    for body in [
        one("x", Arc::clone(&texts)),
        stream(&[texts.slice(0, 2), texts.slice(2, 2)].map(|a| batch(vec![("x", a)]))),
    ] {
        let Some((_, Column::Text(got))) = read(body).expect("good").pop() else { panic!("no texts") };
        assert_eq!(got.iter().collect::<Vec<_>>(), ["a", "", "üb", "c"]);
        assert_eq!((got.len(), got.offsets(), got.all_bytes()), (4, &[0, 1, 1, 4, 5][..], "aübc".as_bytes()));
    }
}

#[test]
fn what_cannot_be_read_names_its_column() {
    let nulls: ArrayRef = Arc::new(Float32Array::from(vec![Some(1.0), None]));
    let inner: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]));
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    words.append_value("a");
    let words: ArrayRef = Arc::new(words.finish());
    let nested: ArrayRef = {
        let item = Arc::new(ArrowField::new_list_field(arrow_schema::DataType::Utf8, true));
        Arc::new(FixedSizeListArray::new(item, 1, Arc::new(StringArray::from(vec!["a"])), None))
    };
    let nothing: ArrayRef = Arc::new(arrow_array::NullArray::new(2));
    for (array, why) in [
        (nulls, "missing values"),
        (inner, "missing values"),
        (words, "is a dictionary"),
        (nested, "has the type Utf8"),
        (nothing, "has the type Null"),
    ] {
        let e = read(one("q/r", array)).expect_err(why);
        assert!(e.message.contains("column q/r") && e.message.contains(why), "{e}");
        assert_eq!(e.pointer, "/q~1r");
    }
    let twice = stream(&[batch(vec![("x", f32s(&[1.0])), ("x", f32s(&[2.0]))])]);
    assert!(read(twice).expect_err("twice").message.contains("x is there twice"));
    let again = [one("x", f32s(&[1.0])), one("x", f32s(&[2.0]))].concat();
    assert!(read(again).expect_err("twice").message.contains("x is there twice"));
    let b = batch(vec![("x", f32s(&[1.0]))]);
    let mut file = FileWriter::try_new(Vec::new(), &b.schema()).expect("a writer");
    file.write(&b).expect("it is written");
    let e = read(file.into_inner().expect("it ends")).expect_err("a file");
    assert!(e.message.contains("send the stream format"), "{e}");
    assert!(read(Vec::new()).is_err());
    assert!(read(b"{\"a\": 1}".to_vec()).is_err());
}

fn schema() -> Schema {
    let field = |name, kind, required| Field { name, doc: "for a test", kind, required, default: None };
    Schema {
        fields: vec![
            field("a", Kind::Tensor { elem: Elem::Real, min_rank: 2, max_rank: 2 }, true),
            field("b", Kind::Tensor { elem: Elem::Fixed(DType::I64), min_rank: 1, max_rank: 1 }, true),
            field("k", Kind::Int { min: 1, max: 9 }, false),
            field("flag", Kind::Bool, false),
            field("metric", Kind::Choice(&["cosine", "l2"]), false),
        ],
        default_dtype: Some(DType::F64),
    }
}

#[test]
fn streams_behind_each_other_and_parameters_make_one_request() {
    let a = batch(vec![("a", lists(&[&[1.0, 2.0]]))]);
    let metadata = HashMap::from([("offload:flag".into(), "true".into()), ("pandas".into(), "{".into())]);
    let told = Arc::new((*a.schema()).clone().with_metadata(metadata));
    let a = RecordBatch::try_new(told, a.columns().to_vec()).expect("a batch");
    let body = [stream(&[a]), one("b", Arc::new(Int64Array::from(vec![7, 8, 9])))].concat();
    let parameters = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    };
    let ask = |pairs| decode_request(&memory(body.clone()), &parameters(pairs), &schema());
    let got = ask(&[("k", "3"), ("metric", "l2"), ("timeout_ms", "50"), ("device", "0")]).expect("good");
    assert_eq!(got.options.timeout_ms, Some(50));
    assert_eq!(got.inputs.get("k"), Some(&Value::Int(3)));
    assert_eq!(got.inputs.get("flag"), Some(&Value::Bool(true)));
    assert_eq!(got.inputs.get("metric"), Some(&Value::Text("l2".into())));
    let b = Value::Tensor(Source::Inline(Tensor::vector(vec![7i64, 8, 9])));
    assert_eq!(got.inputs.get("b"), Some(&b));
    for (pairs, pointer, why) in [
        (&[("k", "30")][..], "/k", "from 1 to 9"),
        (&[("k", "3"), ("k", "3")], "/k", "there twice"),
        (&[("flag", "true")], "/flag", "there twice"),
        (&[("kk", "3")], "/kk", "did you mean k?"),
        (&[("cache", "maybe")], "/cache", "cache"),
        (&[("cache", "true"), ("cache", "true")], "/cache", "there twice"),
    ] {
        let e = ask(pairs).expect_err(why);
        assert!(e.pointer == pointer && e.message.contains(why), "{pairs:?}: {} {e}", e.pointer);
    }
    let e = decode_request(&memory(one("a", lists(&[&[1.0]]))), &[], &schema()).expect_err("no b");
    assert!(e.message.contains("the input b is missing"), "{e}");
    let e = decode_request(&memory(one("c", f32s(&[1.0]))), &[], &schema()).expect_err("c");
    assert!(e.message.contains("unknown field c"), "{e}");
}

/// Offsets at which a message begins or the stream ends.
fn boundaries(body: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut all = vec![];
    while let Some(head) = body.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        all.push(at);
        let root = arrow_ipc::root_as_message(&body[at + 8..at + 8 + length]);
        at += 8 + length + root.map_or(0, |m| m.bodyLength() as usize);
    }
    all
}

fn sample() -> Vec<u8> {
    let part = || {
        batch(vec![
            ("a", lists(&[&[1.0, 2.0], &[3.0, 4.0]])),
            ("b", Arc::new(BooleanArray::from(vec![true, false]))),
            ("c", Arc::new(StringArray::from(vec!["x", "yz"]))),
            (
                "d",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
                    Some(vec![Some(1)]),
                    Some(vec![Some(2)]),
                ])),
            ),
        ])
    };
    stream(&[part(), part()])
}

#[test]
fn a_stream_that_breaks_off_within_a_message_is_an_error() {
    let body = sample();
    let whole = boundaries(&body);
    assert_eq!(whole.len(), 4, "a schema, two batches and the end");
    assert!(read(body.clone()).is_ok());
    for n in 0..body.len() {
        // A stream may also end where its body does, once it has said what it holds.
        let complete = n > whole[0] && whole.contains(&n);
        assert_eq!(read(body[..n].to_vec()).is_ok(), complete, "cut at {n}");
    }
}

#[test]
fn texts_that_stand_once_in_a_body_are_not_copied_again_and_again() {
    let e = read(one(&"n".repeat(1025), f32s(&[1.0]))).expect_err("a long name");
    assert!(e.message.contains("1025 bytes, the limit is 1024"), "{e}");

    // A list of pairs may hold one of them many times.
    let pairs = 100u32;
    let mut metadata: HashMap<String, String> =
        (1..pairs).map(|i| (format!("k{i}"), String::new())).collect();
    metadata.insert("big".into(), "x".repeat(10_000));
    let b = batch(vec![("x", f32s(&[1.0]))]);
    let told = Arc::new((*b.schema()).clone().with_metadata(metadata));
    let body = stream(&[RecordBatch::try_new(told, b.columns().to_vec()).expect("a batch")]);
    assert!(read(body.clone()).is_ok());
    let word = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    let places = |list: usize| (0..pairs as usize).map(move |i| list + 4 + 4 * i);
    let inside = |at: &usize| at + 4 * pairs as usize + 8 < body.len();
    let list = (0..body.len() / 4).map(|i| 4 * i).filter(inside).find(|at| {
        word(*at) == pairs && places(*at).all(|p| (4..body.len()).contains(&(p + word(p) as usize)))
    });
    let list = list.expect("the list of pairs");
    let refused = places(list).map(|p| p + word(p) as usize).filter(|target| {
        let mut all_the_same = body.clone();
        for p in places(list) {
            all_the_same[p..p + 4].copy_from_slice(&((target - p) as u32).to_le_bytes());
        }
        read(all_the_same).is_err_and(|e| e.message.contains("its metadata is more than the body"))
    });
    assert_eq!(refused.count(), 1, "the big one alone is too much a hundred times");
}

fn joined(buffers: &[arrow_buffer::Buffer]) -> Vec<u8> {
    buffers.iter().flat_map(|b| b.as_slice().to_vec()).collect()
}

fn batches(buffers: &[arrow_buffer::Buffer]) -> Vec<RecordBatch> {
    let body = joined(buffers);
    let mut cursor = Cursor::new(&body[..]);
    let mut all = Vec::new();
    while (cursor.position() as usize) < body.len() {
        let reader = StreamReader::try_new(&mut cursor, None).expect("a stream");
        all.extend(reader.map(|b| b.expect("a batch")));
    }
    all
}

#[test]
fn every_output_is_a_stream() {
    let m = Matches::new(&[2], vec![4, -1], vec![0.5f64, f64::NAN], Layout::Flat).expect("it fits");
    let big = Tensor::new([2, 1, 3], vec![1u8, 2, 3, 4, 5, 6]).expect("it fits");
    let record = Record::new()
        .with("big", Value::Tensor(big.clone()))
        .with("scalar", Value::Tensor(Tensor::scalar(1.5f64)))
        .with("none", Value::Tensor(Tensor::new([3, 0], Vec::<i32>::new()).expect("it fits")))
        .with("m", Value::Matches(m))
        .with("text", Value::Text("ü".into()))
        .with("flag", Value::Bool(true));
    let buffers = encode(&record, vec![("cache_hit".into(), "false".into())]).expect("it fits");
    let all = batches(&buffers);
    let shapes: Vec<(usize, String)> = all
        .iter()
        .map(|b| {
            (
                b.num_rows(),
                b.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(" "),
            )
        })
        .collect();
    let want = [(2, "big"), (1, "scalar"), (3, "none"), (2, "m.indices m.scores"), (1, "text"), (1, "flag")];
    assert_eq!(shapes, want.map(|(n, s)| (n, s.to_string())));
    assert_eq!(all[0].schema().metadata().get("cache_hit").map(String::as_str), Some("false"));
    assert!(all[1].schema().metadata().is_empty());
    let span = big.data().as_bytes().as_ptr();
    assert!(buffers.iter().any(|b| b.as_ptr() == span), "the memory of a tensor is sent as it is");
    // What is written can be read again, and is the same.
    let back = columns(&memory(joined(&buffers))).expect("good");
    for (name, column) in &back {
        let want = match record.get(name) {
            Some(Value::Tensor(t)) => t.clone(),
            _ => continue,
        };
        let Column::Tensor(got) = column else { panic!("{name} is text") };
        assert_eq!(got.data().as_bytes(), want.data().as_bytes());
        assert!(got.shape() == want.shape() || want.shape().is_empty());
    }
}
