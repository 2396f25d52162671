//! What a request says where a column of a resident dataset is meant.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A column of a resident dataset, or the rows of it that pass a test.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct DatasetRef {
    /// The dataset's name, within the tenant.
    pub dataset: String,
    /// The column; the only one that fits when absent.
    pub column: Option<String>,
    /// The version; the newest when absent.
    pub version: Option<u64>,
    /// Instead of the column's values: for each row 1 where its value passes, else 0.
    pub test: Option<Test>,
}

/// A test on the value of a row: all comparisons hold, and the value is among the listed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Test {
    /// The comparisons, each with a number or a text.
    pub comparisons: Vec<(Comparison, Json)>,
    /// `in`: the values of which it must be one.
    pub one_of: Option<Vec<Json>>,
}

/// How a row's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Comparison::Eq => "eq",
            Comparison::Ne => "ne",
            Comparison::Lt => "lt",
            Comparison::Le => "le",
            Comparison::Gt => "gt",
            Comparison::Ge => "ge",
        }
    }
}

/// The most values that `in` may list.
const LISTED_MAX: usize = 10_000;

/// A reference as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    dataset: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eq: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ne: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lt: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    le: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gt: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ge: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#in: Option<Vec<Json>>,
}

impl TryFrom<Fields> for DatasetRef {
    type Error = String;

    fn try_from(f: Fields) -> Result<DatasetRef, String> {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        let comparisons: Vec<(Comparison, Json)> =
            [(Eq, f.eq), (Ne, f.ne), (Lt, f.lt), (Le, f.le), (Gt, f.gt), (Ge, f.ge)]
                .into_iter()
                .filter_map(|(c, v)| Some((c, v?)))
                .collect();
        let plain = |v: &Json| v.is_number() || v.is_string() || v.is_boolean();
        if let Some((c, _)) = comparisons.iter().find(|(_, v)| !plain(v)) {
            return Err(format!("{} takes a number, a text or a truth value", c.name()));
        }
        if f.r#in.iter().flatten().any(|v| !plain(v)) {
            return Err("in takes a list of numbers, texts or truth values".to_owned());
        }
        if let Some(n) = f.r#in.as_ref().map(Vec::len).filter(|n| *n > LISTED_MAX) {
            return Err(format!("in has {n} values, the limit is {LISTED_MAX}"));
        }
        let test =
            (!comparisons.is_empty() || f.r#in.is_some()).then_some(Test { comparisons, one_of: f.r#in });
        Ok(DatasetRef { dataset: f.dataset, column: f.column, version: f.version, test })
    }
}

impl From<DatasetRef> for Fields {
    fn from(r: DatasetRef) -> Fields {
        let test = r.test.unwrap_or_default();
        let of = |wanted| test.comparisons.iter().find(|(c, _)| *c == wanted).map(|(_, v)| v.clone());
        Fields {
            eq: of(Comparison::Eq),
            ne: of(Comparison::Ne),
            lt: of(Comparison::Lt),
            le: of(Comparison::Le),
            gt: of(Comparison::Gt),
            ge: of(Comparison::Ge),
            r#in: test.one_of,
            dataset: r.dataset,
            column: r.column,
            version: r.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_alike_and_strictly() {
        for text in [
            r#"{"dataset":"docs"}"#,
            r#"{"dataset":"docs","column":"year","version":7,"lt":2010,"ge":2000}"#,
            r#"{"dataset":"docs","column":"lang","in":["de","fr"]}"#,
        ] {
            let read: DatasetRef = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for (text, part) in [
            (r#"{"dataset":"docs","gte":1}"#, "unknown field `gte`"),
            (r#"{"dataset":"docs","eq":[1]}"#, "eq takes a number"),
            (r#"{"dataset":"docs","in":[null]}"#, "in takes a list"),
            (r#"{"column":"year"}"#, "missing field `dataset`"),
        ] {
            let e = serde_json::from_str::<DatasetRef>(text).unwrap_err().to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }
}
