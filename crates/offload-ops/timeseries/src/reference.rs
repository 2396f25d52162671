//! Worked examples from figures of other libraries, which `scripts/timeseries_reference.py` writes to `data/`.

use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};
use serde_json::Value as Json;

/// Where expectations of a few values come from.
pub(crate) const BY_HAND: &str = "by hand";

/// The rows of a file of figures.
///
/// # Panics
/// When the file is not what the script writes.
pub(crate) fn rows(file: &'static str) -> Vec<Json> {
    match serde_json::from_str::<Json>(file) {
        Ok(mut json) => match json["rows"].take() {
            Json::Array(rows) => rows,
            other => panic!("the figures hold no rows: {other}"),
        },
        Err(e) => panic!("the figures are no json: {e}"),
    }
}

/// A worked example whose expectation is the row's; the text of its source lives as long as the process.
pub(crate) fn case(row: &Json, inputs: Record, outputs: Record, tolerance: Tolerance) -> Case {
    let of = |name| row[name].as_str().unwrap_or_default();
    Case {
        name: of("name").into(),
        source: source(of("source")),
        inputs,
        expect: Expect::Outputs(outputs, tolerance),
    }
}

/// One of the sources that the script writes.
fn source(text: &str) -> &'static str {
    match text {
        "pandas 3.1.1" => "pandas 3.1.1, by scripts/timeseries_reference.py",
        "tsdownsample 0.1.5.1" => "tsdownsample 0.1.5.1, by scripts/timeseries_reference.py",
        "numpy 2.4.6" => "NumPy 2.4.6, by scripts/timeseries_reference.py",
        "scipy 1.17.1" => "SciPy 1.17.1, by scripts/timeseries_reference.py",
        "statsmodels 0.15.0, scipy 1.17.1" => {
            "statsmodels 0.15.0 and SciPy 1.17.1, by scripts/timeseries_reference.py"
        }
        "statsmodels 0.15.0" => "statsmodels 0.15.0, by scripts/timeseries_reference.py",
        "stumpy 1.14.1" => "STUMPY 1.14.1, by scripts/timeseries_reference.py",
        "scikit-learn 1.9.1" => "scikit-learn 1.9.1, by scripts/timeseries_reference.py",
        "torch 2.15.0" => "PyTorch 2.15.0, by scripts/timeseries_reference.py",
        text if text.starts_with("exact") => {
            "exact, by rational arithmetic in scripts/timeseries_reference.py"
        }
        other => panic!("the source {other:?} is not known"),
    }
}

/// An expectation by hand.
pub(crate) fn by_hand(name: &str, inputs: Record, expect: Expect) -> Case {
    Case { name: name.into(), source: BY_HAND, inputs, expect }
}

/// Outputs to the bit.
pub(crate) fn exactly(outputs: Record) -> Expect {
    Expect::Outputs(outputs, Tolerance::EXACT)
}

/// Numbers of one row; what is null is not a number.
pub(crate) fn list(json: &Json) -> Vec<f64> {
    json.as_array().map(|a| a.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()).unwrap_or_default()
}

/// One series or many, as they are nested.
pub(crate) fn tensor(json: &Json) -> Tensor {
    match json.as_array() {
        Some(rows) if rows.first().is_some_and(Json::is_array) => {
            let all: Vec<f64> = rows.iter().flat_map(list).collect();
            let shape = vec![rows.len(), all.len() / rows.len()];
            crate::series::filled(shape, all)
        }
        _ => Tensor::vector(list(json)),
    }
}

/// One series as an input.
pub(crate) fn series(values: &[f64]) -> Value {
    Value::Tensor(Tensor::vector(values.to_vec()))
}

/// Many series of `n` values as an input.
pub(crate) fn many(values: &[f64], n: usize) -> Value {
    Value::Tensor(crate::series::filled(vec![values.len() / n, n], values.to_vec()))
}
