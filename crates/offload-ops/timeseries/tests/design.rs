//! The published example, from the body of a request to the body of its answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::json::{decode_request, write_record};
use offload_api::{DType, Record, Source, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::{Compress, Decompress};

fn inputs(op: &dyn AnyOperation, body: &str) -> Record {
    let decoded = decode_request(body.as_bytes(), &op.schema()).unwrap();
    decoded
        .inputs
        .try_map(|_, source| match source {
            Source::Inline(t) => Ok(t),
            other => Err(other),
        })
        .unwrap()
}

fn answered(op: &dyn AnyOperation, body: &str) -> serde_json::Value {
    let inputs = inputs(op, body);
    op.plan(inputs.specs()).unwrap();
    let outputs = op.cpu(inputs, &Context::default()).unwrap();
    let mut out = b"{".to_vec();
    write_record(&outputs, &mut out).unwrap();
    out.push(b'}');
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_compression_of_the_design_and_back() {
    let answer =
        answered(&Compress, r#"{"data": [1.0, 1.1, 1.05], "method": "gorilla", "compression_level": 9}"#);
    let compressed = answer["compressed"].as_str().unwrap();
    let ratio = answer["compression_ratio"].as_f64().unwrap();
    // Four letters of base64 are three bytes.
    let bytes = compressed.len() / 4 * 3 - compressed.matches('=').count();
    assert_eq!(ratio, 24.0 / bytes as f64);
    assert_eq!((&answer["method"], &answer["values"]), (&"gorilla".into(), &3.into()));
    let back = answered(&Decompress, &format!(r#"{{"compressed": "{compressed}"}}"#));
    assert_eq!(back, serde_json::json!({"data": [1, 1.1, 1.05], "timestamps": null}));
}

#[test]
fn integers_keep_all_their_bits_through_json() {
    let body = r#"{"data": [[9223372036854775807, -9223372036854775808]], "timestamps": [-1, 9007199254740993],
                   "method": "delta_encoding", "dtype": "i64"}"#;
    let record = inputs(&Compress, body);
    assert!(
        matches!(record.get("data"), Some(Value::Tensor(t)) if t.dtype() == DType::I64 && t.shape() == [1, 2])
    );
    let answer = answered(&Compress, body);
    assert_eq!(answer["method"], "delta");
    let compressed = answer["compressed"].as_str().unwrap();
    let back = answered(&Decompress, &format!(r#"{{"compressed": "{compressed}"}}"#));
    assert_eq!(back["data"], serde_json::json!([[i64::MAX, i64::MIN]]));
    assert_eq!(back["timestamps"], serde_json::json!([-1, 9_007_199_254_740_993i64]));
}

#[test]
fn methods_have_the_names_of_the_design() {
    for (word, told) in
        [("Gorilla", "gorilla"), ("DeltaEncoding", "delta"), ("delta_encoding", "delta"), ("ALP", "alp")]
    {
        let answer = answered(&Compress, &format!(r#"{{"data": [0.5, 0.25, 3], "method": "{word}"}}"#));
        assert_eq!(answer["method"], told, "{word}");
    }
    for word in ["LSTM", "lstm"] {
        let record = inputs(&Compress, &format!(r#"{{"data": [0.5], "method": "{word}"}}"#));
        let refused = Compress.plan(record.specs()).unwrap_err();
        assert!(refused.field == "method" && refused.message.contains("not built"), "{refused:?}");
    }
    let bad = decode_request(br#"{"data": [1], "method": "gorila"}"#, &Compress.schema()).unwrap_err();
    assert!(format!("{bad:?}").contains("did you mean gorilla"), "{bad:?}");
}
