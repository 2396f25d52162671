//! Worked examples from the figures of other libraries: inputs that both sides compute alike
//! (`scripts/vector_reference.py` holds the same rules), figures read from `data/`, and what holds a result against them.

use crate::kernel::random::number;
use offload_api::{DType, Matches, Record, Tensor, Value};
use offload_core::{Case, Expect, Property, Tolerance};
use serde_json::Value as Json;
use std::sync::Arc;

/// One example: how its inputs are made and what came out.
pub(crate) type Row = Arc<Json>;

/// The examples of a data file.
///
/// # Panics
/// When the file, which is part of the program, is not what the script writes.
pub(crate) fn rows(text: &'static str, source: &str) -> Vec<Row> {
    let Ok(Json::Object(mut file)) = serde_json::from_str(text) else { panic!("a data file is not JSON") };
    assert_eq!(file["source"], source, "the figures are of other versions than the cases say");
    let Some(Json::Array(cases)) = file.remove("cases") else { panic!("a data file has no cases") };
    cases.into_iter().map(Arc::new).collect()
}

/// The number under that key.
pub(crate) fn size(row: &Json, key: &str) -> usize {
    row[key].as_u64().unwrap_or(0) as usize
}

/// The word under that key.
pub(crate) fn word<'a>(row: &'a Json, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

/// The numbers under that key.
pub(crate) fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().map_or(&[][..], |a| a).iter().filter_map(Json::as_f64).collect()
}

/// The vectors of an example: its kind and type, with the seed `beyond` its own.
///
/// # Panics
/// When there is no such kind.
pub(crate) fn vectors(row: &Json, shape: &[usize], beyond: u64) -> Tensor {
    let seed = row["seed"].as_u64().unwrap_or(0) + beyond;
    let len: usize = shape.iter().product();
    let random = (0..len as u64).map(|i| number(seed, i));
    if word(row, "dtype") == "u8" {
        return filled(shape, random.map(|u| (u >> 56) as u8).collect());
    }
    let width = shape.last().copied().unwrap_or(1).max(1);
    let uniform = random.map(|u| (u >> 40) as f64 / 8_388_608.0 - 1.0);
    let values: Vec<f64> = match word(row, "kind") {
        "uniform" => uniform.collect(),
        "whole" => uniform.map(|u| (u * 4.0).floor()).collect(),
        "offset" => uniform.map(|u| 10_000.0 + u / 128.0).collect(),
        "graded" => {
            let power = |i: usize| 2f64.powi(100 - ((i / width * 7) % 200) as i32);
            uniform.enumerate().map(|(i, u)| u * power(i)).collect()
        }
        other => panic!("there is no kind of vectors {other}"),
    };
    exact(shape, &values, if word(row, "dtype") == "f32" { DType::F32 } else { DType::F64 })
}

/// A mask of an example's rows, about half of them.
pub(crate) fn mask(row: &Json, n: usize) -> Tensor {
    let seed = row["seed"].as_u64().unwrap_or(0) + 2;
    Tensor::vector((0..n as u64).map(|i| (number(seed, i) >> 63) as u8).collect())
}

fn filled<T: offload_api::Element>(shape: &[usize], values: Vec<T>) -> Tensor {
    Tensor::new(shape, values).unwrap_or_else(|| panic!("the values do not fill {shape:?}"))
}

/// A tensor of these values, which fill its shape.
///
/// # Panics
/// When they do not.
pub(crate) fn exact(shape: &[usize], values: &[f64], dtype: DType) -> Tensor {
    match dtype {
        DType::F32 => filled(shape, values.iter().map(|&x| x as f32).collect()),
        DType::U8 => filled(shape, values.iter().map(|&x| x as u8).collect()),
        _ => filled(shape, values.to_vec()),
    }
}

/// Inputs of these tensors.
pub(crate) fn of(fields: &[(&'static str, &Tensor)]) -> Record<Tensor> {
    fields.iter().fold(Record::new(), |r, (name, t)| r.with(name, Value::Tensor((*t).clone())))
}

/// An example whose outputs are known in closed form.
pub(crate) fn known(
    name: &str,
    inputs: Record<Tensor>,
    outputs: Record<Tensor>,
    tolerance: Tolerance,
) -> Case {
    Case { name: name.into(), source: "closed form", inputs, expect: Expect::Outputs(outputs, tolerance) }
}

/// An example without an answer.
pub(crate) fn refused(name: &str, inputs: Record<Tensor>, expect: Expect) -> Case {
    Case { name: name.into(), source: "the operation's documentation", inputs, expect }
}

/// An example that a property holds for.
pub(crate) fn holds(
    name: String,
    source: &'static str,
    inputs: Record<Tensor>,
    property: impl Fn(&Record<Tensor>, &Record<Tensor>) -> Result<(), String> + Send + Sync + 'static,
) -> Case {
    let property: Property = Arc::new(property);
    Case { name, source, inputs, expect: Expect::Property(property) }
}

/// A tensor among the outputs.
///
/// # Errors
/// When there is none of that name.
pub(crate) fn output<'a>(outputs: &'a Record<Tensor>, name: &str) -> Result<&'a Tensor, String> {
    match outputs.get(name) {
        Some(Value::Tensor(t)) => Ok(t),
        _ => Err(format!("the output {name} is missing")),
    }
}

/// Ranked answers among the outputs.
///
/// # Errors
/// When there are none of that name.
pub(crate) fn matches<'a>(outputs: &'a Record<Tensor>, name: &str) -> Result<&'a Matches, String> {
    match outputs.get(name) {
        Some(Value::Matches(m)) => Ok(m),
        _ => Err(format!("the output {name} is missing")),
    }
}
