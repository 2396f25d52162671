//! Worked examples from the figures of another library: inputs that both sides compute alike, figures read from
//! `data/`, and the checks that hold a result against them.

mod check;
mod generate;

pub(crate) use check::{Dense, near, stack_of};
pub(crate) use generate::{normal, uniform};

use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Property, Tolerance};
use serde_json::Value as Json;
use std::sync::Arc;

/// What wrote the figures; `scripts/matrix_reference.py` repeats them.
pub(crate) const SOURCE: &str = "NumPy 2.4.6, SciPy 1.17.1";

/// One example: how its inputs are made and what came out.
#[derive(Clone)]
pub(crate) struct Row {
    json: Arc<Json>,
}

/// The examples of a data file.
///
/// # Panics
/// When the file, which is part of the program, is not what the script writes.
pub(crate) fn rows(text: &'static str) -> Vec<Row> {
    let Ok(Json::Object(mut file)) = serde_json::from_str(text) else { panic!("a data file is not JSON") };
    assert_eq!(file["source"], SOURCE, "the figures are of other versions than the cases say");
    let Some(Json::Array(cases)) = file.remove("cases") else { panic!("a data file has no cases") };
    cases.into_iter().map(|json| Row { json: Arc::new(json) }).collect()
}

impl Row {
    /// The word under that key.
    pub(crate) fn word(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or("")
    }

    /// The number under that key.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.json[key].as_f64()
    }

    /// What stands under that key.
    pub(crate) fn json(&self, key: &str) -> &Json {
        &self.json[key]
    }

    fn extents(&self, key: &str) -> Vec<usize> {
        let numbers = self.json[key].as_array().map_or(&[][..], |a| a);
        numbers.iter().filter_map(Json::as_u64).map(|x| x as usize).collect()
    }

    /// The element type.
    pub(crate) fn dtype(&self) -> DType {
        if self.word("dtype") == "f32" { DType::F32 } else { DType::F64 }
    }

    /// The rounding unit of the element type.
    pub(crate) fn eps(&self) -> f64 {
        if self.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON }
    }

    fn seed(&self) -> u64 {
        self.json["seed"].as_u64().unwrap_or(0)
    }

    /// The first matrix.
    pub(crate) fn first(&self) -> Tensor {
        generate::matrix(self.word("kind"), &self.extents("shape"), self.seed(), self.dtype())
    }

    /// The second operand.
    pub(crate) fn second(&self) -> Tensor {
        uniform(self.seed() + 5, &self.extents("second"), self.dtype())
    }

    /// The figures under that key.
    pub(crate) fn figure(&self, key: &str) -> Option<Figure> {
        let json = self.json.get(key)?;
        let numbers = json["values"].as_array()?;
        Some(Figure {
            shape: json["shape"].as_array()?.iter().filter_map(Json::as_u64).map(|x| x as usize).collect(),
            norm: json["norm"].as_f64()?,
            largest: json["largest"].as_f64()?,
            values: numbers.iter().filter_map(Json::as_f64).collect(),
        })
    }

    /// An example's name.
    pub(crate) fn name(&self) -> String {
        let second = self.extents("second");
        let second = if second.is_empty() { String::new() } else { format!(" and {second:?}") };
        let norm = self.word("norm");
        let (kind, shape, dtype) = (self.word("kind"), self.extents("shape"), self.dtype());
        format!("{kind} {shape:?}{second} {dtype} {norm}").trim_end().to_string()
    }

    /// A case with these inputs that a property holds for.
    pub(crate) fn case(
        &self,
        inputs: Record<Tensor>,
        property: impl Fn(&Row, &Record<Tensor>, &Record<Tensor>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Case {
        let row = self.clone();
        let property: Property = Arc::new(move |inputs, outputs| property(&row, inputs, outputs));
        Case { name: self.name(), source: SOURCE, inputs, expect: Expect::Property(property) }
    }
}

/// Figures of one output: all of its values where they are few, else a sample and the root of the sum of squares.
pub(crate) struct Figure {
    shape: Vec<usize>,
    norm: f64,
    pub(crate) largest: f64,
    values: Vec<f64>,
}

impl Figure {
    /// Holds an output against the figures; `tolerance` is a fraction of the largest value.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn check(&self, name: &str, got: &Tensor, tolerance: f64) -> Result<(), String> {
        if got.shape() != self.shape {
            return Err(format!("{name} has shape {:?}, expected {:?}", got.shape(), self.shape));
        }
        let got = check::wide(got);
        let at = generate::sample(got.len(), self.values.len());
        for (i, want) in at.zip(&self.values) {
            near(&format!("{name}[{i}]"), got[i], *want, tolerance * self.largest)?;
        }
        // Sums of sums, as one long sum of like numbers drifts.
        let squares = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let norm = got.chunks(128).map(squares).sum::<f64>().sqrt();
        near(&format!("the norm of {name}"), norm, self.norm, tolerance * self.norm.max(self.largest) * 4.0)
    }
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

/// Inputs of these tensors.
pub(crate) fn of(fields: &[(&'static str, &Tensor)]) -> Record<Tensor> {
    fields.iter().fold(Record::new(), |r, (name, t)| r.with(name, Value::Tensor((*t).clone())))
}

/// A tensor of these values, which fit its shape.
///
/// # Panics
/// When they do not.
pub(crate) fn exact(shape: &[usize], values: &[f64], dtype: DType) -> Tensor {
    let t = match dtype {
        DType::F32 => Tensor::new(shape, values.iter().map(|&x| x as f32).collect()),
        _ => Tensor::new(shape, values.to_vec()),
    };
    t.unwrap_or_else(|| panic!("{} values do not fit {shape:?}", values.len()))
}

/// An example whose outputs are known in closed form.
pub(crate) fn known(
    name: &str,
    inputs: Record<Tensor>,
    outputs: &[(&'static str, &Tensor)],
    tolerance: Tolerance,
) -> Case {
    Case { name: name.into(), source: "closed form", inputs, expect: Expect::Outputs(of(outputs), tolerance) }
}

/// An example without an answer.
pub(crate) fn refused(name: &str, inputs: Record<Tensor>, expect: Expect) -> Case {
    Case { name: name.into(), source: "the operation's documentation", inputs, expect }
}
