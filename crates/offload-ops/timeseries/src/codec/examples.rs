//! Files by a second encoder, `scripts/timeseries_vectors.py`, and real tables, for worked examples.

use offload_api::{Record, Tensor, Value};
use serde_json::Value as Json;

/// Where the files come from.
pub(crate) const SOURCE: &str =
    "a second encoder, written from docs/timeseries-format.md alone: scripts/timeseries_vectors.py";

/// A file, and what is in it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    pub(crate) data: Tensor,
    pub(crate) timestamps: Option<Tensor>,
}

impl Row {
    /// What comes out of the file.
    pub(crate) fn outputs(&self) -> Record<Tensor> {
        let stamps = self.timestamps.clone().map_or_else(Value::nothing, Value::Tensor);
        Record::new().with("data", Value::Tensor(self.data.clone())).with("timestamps", stamps)
    }
}

/// All files.
///
/// # Panics
/// When the data, which is part of the program, is not what the script writes.
pub(crate) fn rows() -> Vec<Row> {
    let Ok(all) = serde_json::from_str::<Json>(include_str!("../../data/format.json")) else {
        panic!("the files are no json")
    };
    let rows = all["rows"].as_array().map(|rows| rows.iter().map(row).collect::<Option<Vec<_>>>());
    let Some(Some(rows)) = rows else { panic!("the files are not what the script writes") };
    rows
}

fn row(row: &Json) -> Option<Row> {
    let text = row["file"].as_str()?;
    let file = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok());
    let shape: Vec<usize> = list(&row["shape"], |n| n.as_u64().map(|n| n as usize))?;
    let words = list(&row["words"], |w| u64::from_str_radix(w.as_str()?, 16).ok())?;
    // A series of one word says it once.
    let count = shape.iter().product();
    let words = if words.len() == 1 { vec![words[0]; count] } else { words };
    let data = if row["type"] == "f64" {
        Tensor::new(shape, words.into_iter().map(f64::from_bits).collect())
    } else {
        Tensor::new(shape, words.into_iter().map(u64::cast_signed).collect())
    };
    Some(Row {
        name: row["name"].as_str()?.into(),
        file: file.collect::<Option<_>>()?,
        data: data?,
        timestamps: list(&row["timestamps"], Json::as_i64).map(Tensor::vector),
    })
}

fn list<T>(json: &Json, of: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    json.as_array()?.iter().map(of).collect()
}

/// The values of a real table; what is missing is NaN.
///
/// # Panics
/// When the table, which is part of the program, is none.
pub(crate) fn table(text: &str) -> Vec<f64> {
    let json = serde_json::from_str::<Json>(text).ok();
    let values = json.and_then(|json| list(&json["values"], |v| Some(v.as_f64().unwrap_or(f64::NAN))));
    let Some(values) = values else { panic!("a table has no values") };
    values
}
