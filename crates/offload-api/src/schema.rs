//! Schemas: what an operation takes and gives, as data, so that decoding, documentation and the API
//! description all read the same thing.

use crate::DType;
use serde_json::{Value as Json, json};

/// The element type a tensor field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `f32` or `f64`; JSON numbers are read as the request's `dtype`.
    Real,
    /// Always this type.
    Fixed(DType),
}

/// What a field holds.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants and their bounds say it")]
pub enum Kind {
    /// A tensor of a rank within these bounds, both included.
    Tensor {
        elem: Elem,
        min_rank: usize,
        max_rank: usize,
    },
    /// An integer within these bounds, both included.
    Int {
        min: i64,
        max: i64,
    },
    /// A finite number within these bounds, both included.
    Float {
        min: f64,
        max: f64,
    },
    Bool,
    /// One of these words. `true` and `false` may also be sent as JSON booleans.
    Choice(&'static [&'static str]),
    Text {
        max_bytes: usize,
    },
    /// A structured value; the schema is JSON Schema.
    Json {
        schema: fn() -> Json,
    },
    /// A [graph](crate::graph), which is several entries of a record. The field is named `graph`.
    Graph,
    /// As an output: what is within, or nothing.
    Nullable(Box<Kind>),
    /// As an output: numbers of a rank within these bounds, some of which may be missing.
    Gapped {
        min_rank: usize,
        max_rank: usize,
    },
}

/// One named input or output.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name: JSON key and tensor name alike.
    pub name: &'static str,
    /// What it is, with shape and unit.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What stands in for it when it is absent, for documentation.
    pub default: Option<&'static str>,
}

/// What an operation takes or gives.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The fields in their documented order.
    pub fields: Vec<Field>,
    /// How JSON numbers of [`Elem::Real`] tensors are read without a `dtype`; `None` when there are no such
    /// tensors, and then `dtype` is an unknown field.
    pub default_dtype: Option<DType>,
}

impl Schema {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// JSON Schema (the OpenAPI 3.0 dialect) of an object of these fields.
    pub fn to_json_schema(&self) -> Json {
        let mut properties = serde_json::Map::new();
        for f in &self.fields {
            properties.insert(f.name.into(), f.to_json_schema());
        }
        if let Some(default) = self.default_dtype {
            properties.insert(
                "dtype".into(),
                json!({"type": "string", "enum": ["f32", "f64"], "default": default.name(),
                       "description": "element type of the real tensors; JSON numbers are read as f64 and then rounded to it"}),
            );
        }
        let required: Vec<&str> = self.fields.iter().filter(|f| f.required).map(|f| f.name).collect();
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }
}

impl Field {
    /// JSON Schema (the OpenAPI 3.0 dialect) of this field's values.
    pub fn to_json_schema(&self) -> Json {
        let mut schema = self.kind.to_json_schema();
        let mut doc = self.doc.trim().to_string();
        if let Some(default) = self.default {
            doc.push_str(&format!(" Default: {default}."));
        }
        schema["description"] = Json::String(doc);
        schema
    }
}

impl Kind {
    fn to_json_schema(&self) -> Json {
        match self {
            Kind::Tensor { elem, min_rank, max_rank } => {
                let number = match elem {
                    Elem::Fixed(d) if !d.is_real() => json!({"type": "integer"}),
                    _ => json!({"type": "number"}),
                };
                of_ranks(&number, *min_rank, *max_rank)
            }
            Kind::Gapped { min_rank, max_rank } => {
                of_ranks(&json!({"type": "number", "nullable": true}), *min_rank, *max_rank)
            }
            Kind::Graph => crate::graph::json_schema(),
            Kind::Nullable(inner) => {
                let mut schema = inner.to_json_schema();
                schema["nullable"] = Json::Bool(true);
                schema
            }
            Kind::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Float { min, max } => {
                let mut s = json!({"type": "number"});
                if min.is_finite() {
                    s["minimum"] = json!(min);
                }
                if max.is_finite() {
                    s["maximum"] = json!(max);
                }
                s
            }
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Choice(words) if words.contains(&"true") => {
                json!({"anyOf": [{"type": "string", "enum": words}, {"type": "boolean"}]})
            }
            Kind::Choice(words) => json!({"type": "string", "enum": words}),
            Kind::Text { max_bytes } => json!({"type": "string", "maxLength": max_bytes}),
            Kind::Json { schema } => schema(),
        }
    }
}

/// Nested arrays of numbers of a rank within these bounds.
fn of_ranks(number: &Json, min_rank: usize, max_rank: usize) -> Json {
    let of_rank =
        |rank: usize| (0..rank).fold(number.clone(), |inner, _| json!({"type": "array", "items": inner}));
    if min_rank == max_rank {
        of_rank(min_rank)
    } else {
        json!({"anyOf": (min_rank..=max_rank).map(of_rank).collect::<Vec<_>>()})
    }
}

/// The candidate nearest to `word` by edit distance, when it is near enough to be a slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).collect();
    let (distance, best) =
        candidates.into_iter().map(|c| (edit_distance(&word, c), c)).min_by_key(|(d, _)| *d)?;
    (distance <= (word.len() / 3).max(2)).then_some(best)
}

/// Levenshtein distance, one row at a time.
fn edit_distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (j, cb) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = j + 1;
        for (i, ca) in a.iter().enumerate() {
            let substituted = diagonal + usize::from(*ca != cb);
            diagonal = row[i + 1];
            row[i + 1] = substituted.min(row[i] + 1).min(row[i + 1] + 1);
        }
    }
    row[a.len()]
}
