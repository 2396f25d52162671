//! The published shapes of requests, from the body of a request to the body of its answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::json::{decode_request, write_record};
use offload_api::{Record, Source, Tensor};
use offload_core::{AnyOperation, Context, Failure};
use offload_ops_timeseries::{AnomalyDetection, Forecast, Rolling};

fn answered(op: &dyn AnyOperation, body: &str) -> Result<String, Failure> {
    let decoded = decode_request(body.as_bytes(), &op.schema()).unwrap();
    let inputs: Record<Tensor> = decoded
        .inputs
        .try_map(|_, source| match source {
            Source::Inline(t) => Ok(t),
            other => Err(other),
        })
        .unwrap();
    op.plan(inputs.specs())?;
    let outputs = op.cpu(inputs, &Context::default())?;
    let mut out = Vec::new();
    write_record(&outputs, &mut out).unwrap();
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn an_anomaly_by_data_and_threshold() {
    let out = answered(&AnomalyDetection, r#"{"data": [1, 2, 1, 0, 9, 1, 2], "threshold": 3}"#).unwrap();
    assert!(out.starts_with(r#""series":[0],"indices":[4],"scores":[5.39"#), "{out}");
}

#[test]
fn a_forecast_by_history_horizon_and_method() {
    let out = answered(&Forecast, r#"{"history": [1, 3, 2], "horizon": 2, "method": "naive"}"#).unwrap();
    assert!(out.starts_with(r#""values":[2,2],"lower":[-1.09"#), "{out}");
    assert!(
        out.ends_with(r#""method":"naive","model":"the last value","mae":null,"rmse":null,"mase":null"#),
        "{out}"
    );
    let many = r#"{"history": [[1, 3, 2], [5, 5, 5]], "horizon": 1, "method": "naive"}"#;
    assert!(answered(&Forecast, many).unwrap().contains(r#""method":["naive","naive"]"#));
    let learned = |method: &str| {
        let ramp: Vec<String> = (0..40).map(|i| (i * i % 7).to_string()).collect();
        let body =
            format!(r#"{{"history": [{}], "horizon": 2, "method": "{method}", "steps": 5}}"#, ramp.join(","));
        answered(&Forecast, &body).unwrap()
    };
    assert!(learned("LSTM").contains(r#""method":"lstm","model":"lstm(32)"#), "{}", learned("LSTM"));
    assert_eq!(learned("lstm"), learned("LSTM"));
}

#[test]
fn what_a_window_does_not_have_is_null() {
    let out =
        answered(&Rolling, r#"{"data": [1, 2, 4], "window": 2, "statistics": ["mean", "max"]}"#).unwrap();
    assert_eq!(out, r#""mean":[null,1.5,3],"max":[null,2,4]"#);
}

#[test]
fn a_value_that_is_no_number_is_named() {
    let inputs = Record::new()
        .with("data", offload_api::Value::Tensor(Tensor::new([2, 2], vec![1.0, 2.0, f64::NAN, 4.0]).unwrap()))
        .with("window", offload_api::Value::Int(2));
    let Err(Failure::Unprocessable { reason, message, details }) = Rolling.cpu(inputs, &Context::default())
    else {
        panic!("it was taken")
    };
    assert_eq!((reason, message.as_str()), ("not_finite", "data[1, 0] is NaN, it must be a finite number"));
    assert_eq!(details, serde_json::json!({"series": 1, "index": 0}));
}
