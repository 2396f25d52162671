//! Inputs of formats that send tensors by name: each is held against its schema, and scalars may come as parameters
//! or as tensors of one element. Whatever the format, what comes out is what JSON would have given.

use crate::graph;
#[cfg(feature = "arrow")]
use crate::json::step;
use crate::json::{scalar, unknown};
use crate::{
    DType, Data, DatasetRef, Elem, Field, Invalid, Kind, MAX_RANK, Options, Record, Schema, Source, Tensor,
    Value,
};

/// What the extents of an empty tensor may multiply to, the zeros left out: loops over rows of nothing end.
const MAX_EMPTY: usize = 1 << 24;

/// What stands under a name.
pub(crate) enum Sent {
    Tensor(Tensor),
    Text(String),
    Dataset(DatasetRef),
}

/// The entries of a record that a field becomes, each as a field of its own.
pub(crate) fn entries(field: &Field) -> Vec<Field> {
    if !matches!(field.kind, Kind::Graph) {
        return vec![field.clone()];
    }
    let column = |name, doc, dtype, required| Field {
        name,
        doc,
        kind: Kind::Tensor { elem: Elem::Fixed(dtype), min_rank: 1, max_rank: 1 },
        required,
        default: None,
    };
    vec![
        column(graph::SRC, "Where each edge starts, `[edges]`.", DType::U64, field.required),
        column(graph::DST, "Where each edge ends, `[edges]`.", DType::U64, field.required),
        column(graph::WEIGHT, "The weight of each edge, `[edges]`; 1 when left out.", DType::F64, false),
        column(graph::NODES, "Nodes that exist whether or not an edge names them.", DType::U64, false),
        Field {
            name: graph::DIRECTED,
            doc: "Whether an edge leads only from its start to its end.",
            kind: Kind::Bool,
            required: false,
            default: Some("true"),
        },
    ]
}

/// Inputs and options while they are collected.
pub(crate) struct Inputs {
    fields: Vec<Field>,
    found: Vec<(&'static str, Value<Source>)>,
    /// What the request asks beside its inputs.
    pub options: Options,
    asked: Vec<String>,
}

impl Inputs {
    /// None yet.
    pub fn new(schema: &Schema) -> Inputs {
        let fields = schema.fields.iter().flat_map(entries).collect();
        Inputs { fields, found: Vec::new(), options: Options::default(), asked: Vec::new() }
    }

    /// The names that tensors can have.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|f| f.name)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    fn keep(&mut self, name: &'static str, value: Value<Source>, pointer: &str) -> Result<(), Invalid> {
        if self.found.iter().any(|(n, _)| *n == name) {
            return Err(Invalid::new(pointer, format!("the input {name} is there twice")));
        }
        self.found.push((name, value));
        Ok(())
    }

    /// Takes what was sent under a name.
    pub fn tensor(&mut self, name: &str, sent: Sent, pointer: &str) -> Result<(), Invalid> {
        let Some(field) = self.field(name) else {
            return Err(unknown(name, pointer, self.names()));
        };
        let value = match (&field.kind, sent) {
            (Kind::Tensor { elem, min_rank, max_rank }, Sent::Tensor(t)) => {
                let rank = t.shape().len();
                if rank < *min_rank || rank > *max_rank {
                    let wanted = if min_rank == max_rank {
                        min_rank.to_string()
                    } else {
                        format!("{min_rank} to {max_rank}")
                    };
                    return Err(Invalid::new(
                        pointer,
                        format!("{name} has {rank} dimensions, it takes {wanted}"),
                    ));
                }
                Value::Tensor(Source::Inline(of_type(t, *elem, name, pointer)?))
            }
            (Kind::Bytes { max_bytes }, Sent::Tensor(t)) => {
                if t.dtype() != DType::U8 || t.shape().len() != 1 {
                    return Err(Invalid::new(pointer, format!("{name} is bytes: u8 of one dimension")));
                }
                if t.bytes() > *max_bytes as u64 {
                    let message = format!("{name} has {} bytes, the limit is {max_bytes}", t.bytes());
                    return Err(Invalid::new(pointer, message));
                }
                Value::Tensor(Source::Inline(t))
            }
            (Kind::Tensor { .. } | Kind::Bytes { .. }, Sent::Dataset(d)) => Value::Tensor(Source::Dataset(d)),
            (Kind::Tensor { .. } | Kind::Bytes { .. }, Sent::Text(_)) => {
                return Err(Invalid::new(pointer, format!("{name} takes numbers, it is text")));
            }
            (_, Sent::Dataset(_)) => {
                return Err(Invalid::new(
                    pointer,
                    format!("{name} is no tensor, a dataset cannot stand for it"),
                ));
            }
            (Kind::Json { .. }, Sent::Text(text)) => scalar(text.as_bytes(), field, pointer)?,
            (_, Sent::Text(text)) => scalar(quoted(&text).as_bytes(), field, pointer)?,
            (kind, Sent::Tensor(t)) => {
                let text = one_element(&t, matches!(kind, Kind::Bool)).ok_or_else(|| {
                    Invalid::new(pointer, format!("{name} is one value: a tensor of one finite element"))
                })?;
                scalar(text.as_bytes(), field, pointer)?
            }
        };
        let name = field.name;
        self.keep(name, value, pointer)
    }

    /// Takes a parameter from its JSON text: a scalar input, or an option.
    pub fn parameter(&mut self, name: &str, text: &[u8], pointer: &str) -> Result<(), Invalid> {
        if let Some(field) = self.field(name) {
            if is_tensor(field) {
                return Err(Invalid::new(pointer, format!("{name} is a tensor, it cannot be a parameter")));
            }
            // A parameter of the protocol is a text, a number or a truth value: structures come as their text.
            let inner = match field.kind {
                Kind::Json { .. } => structure_in(text),
                _ => None,
            };
            let value = scalar(inner.as_deref().map_or(text, str::as_bytes), field, pointer)?;
            let name = field.name;
            return self.keep(name, value, pointer);
        }
        let inner = if name == "depends_on" { structure_in(text) } else { None };
        let set = self.options.set(name, inner.as_deref().map_or(text, str::as_bytes));
        if !set.map_err(|e| Invalid::new(pointer, e.message))? {
            let scalars = self.fields.iter().filter(|f| !is_tensor(f));
            let words = crate::envelope::OPTION_WORDS.iter().copied().filter(|w| *w != "inputs");
            return Err(unknown(name, pointer, scalars.map(|f| f.name).chain(words)));
        }
        if self.asked.iter().any(|n| n == name) {
            return Err(Invalid::new(pointer, format!("the parameter {name} is there twice")));
        }
        self.asked.push(name.to_string());
        Ok(())
    }

    /// Takes a parameter from a text that is no JSON, as a query string has it.
    #[cfg(feature = "arrow")]
    pub fn text_parameter(&mut self, name: &str, text: &str) -> Result<(), Invalid> {
        let is_text = match self.field(name).map(|f| &f.kind) {
            Some(kind) => matches!(kind, Kind::Choice(_) | Kind::Text { .. }),
            None => matches!(name, "priority" | "device" | "workload_type"),
        };
        let pointer = step(name);
        if is_text {
            self.parameter(name, quoted(text).as_bytes(), &pointer)
        } else {
            self.parameter(name, text.as_bytes(), &pointer)
        }
    }

    /// The inputs in the order of their schema.
    pub fn finish(mut self, pointer: &str) -> Result<(Options, Record<Source>), Invalid> {
        let mut record = Record::new();
        for field in &self.fields {
            match self.found.iter().position(|(n, _)| *n == field.name) {
                Some(i) => record.set(field.name, self.found.swap_remove(i).1),
                None if field.required => {
                    return Err(Invalid::new(pointer, format!("the input {} is missing", field.name)));
                }
                None => {}
            }
        }
        Ok((self.options, record))
    }
}

/// Whether a field cannot be a parameter.
fn is_tensor(field: &Field) -> bool {
    matches!(field.kind, Kind::Tensor { .. } | Kind::Bytes { .. } | Kind::Matches(_))
}

/// The elements that a shape holds.
///
/// # Errors
/// When it has too many dimensions, or overflows.
pub(crate) fn elements(shape: &[usize], name: &str, pointer: &str) -> Result<usize, Invalid> {
    if shape.len() > MAX_RANK {
        let message = format!("{name} has {} dimensions, the limit is {MAX_RANK}", shape.len());
        return Err(Invalid::new(pointer, message));
    }
    let full = shape.iter().copied().filter(|&d| d > 0).try_fold(1usize, usize::checked_mul);
    let full = full.ok_or_else(|| Invalid::new(pointer, format!("the shape of {name} overflows")))?;
    if !shape.contains(&0) {
        return Ok(full);
    }
    if full > MAX_EMPTY {
        let message =
            format!("{name} is empty, and its other extents multiply to {full}; the limit is {MAX_EMPTY}");
        return Err(Invalid::new(pointer, message));
    }
    Ok(0)
}

/// The types that a tensor field takes.
pub(crate) fn types(elem: Elem) -> &'static [DType] {
    match elem {
        Elem::Real => &[DType::F32, DType::F64],
        Elem::OneOf(types) => types,
        Elem::Fixed(DType::F32) => &[DType::F32],
        Elem::Fixed(DType::F64) => &[DType::F64],
        Elem::Fixed(DType::I32) => &[DType::I32],
        Elem::Fixed(DType::I64) => &[DType::I64],
        Elem::Fixed(DType::U8) => &[DType::U8],
        Elem::Fixed(DType::U64) => &[DType::U64],
    }
}

/// The tensor in a type that the field takes: as it is, or widened where every value stays what it is.
fn of_type(t: Tensor, elem: Elem, name: &str, pointer: &str) -> Result<Tensor, Invalid> {
    let takes = types(elem);
    if takes.contains(&t.dtype()) {
        return Ok(t);
    }
    let wide = match t.data() {
        Data::F32(v) if takes.contains(&DType::F64) => widened::<_, f64>(&t, v),
        Data::I32(v) if takes.contains(&DType::I64) => widened::<_, i64>(&t, v),
        Data::U8(v) if takes.contains(&DType::I32) => widened::<_, i32>(&t, v),
        Data::U8(v) if takes.contains(&DType::I64) => widened::<_, i64>(&t, v),
        _ => None,
    };
    wide.ok_or_else(|| {
        let names: Vec<&str> = takes.iter().map(|d| d.name()).collect();
        Invalid::new(pointer, format!("{name} is {}, it takes {}", t.dtype(), names.join(" or ")))
    })
}

fn widened<S: Copy, W: crate::Element + From<S>>(t: &Tensor, v: &[S]) -> Option<Tensor> {
    Tensor::new(t.shape(), v.iter().map(|&x| W::from(x)).collect())
}

/// The only element as JSON text.
fn one_element(t: &Tensor, truth: bool) -> Option<String> {
    let finite = |v: f64| v.is_finite().then(|| v.to_string());
    match t.data() {
        Data::F32(v) => one(v).and_then(|v| finite(v.into())),
        Data::F64(v) => one(v).and_then(finite),
        Data::I32(v) => one(v).map(|v| v.to_string()),
        Data::I64(v) => one(v).map(|v| v.to_string()),
        Data::U8(v) if truth => one(v).map(|v| (v != 0).to_string()),
        Data::U8(v) => one(v).map(|v| v.to_string()),
        Data::U64(v) => one(v).map(|v| v.to_string()),
    }
}

fn one<T: Copy>(values: &[T]) -> Option<T> {
    match values {
        [v] => Some(*v),
        _ => None,
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    crate::json::write_string(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The text of a JSON object or array that is sent as a JSON string.
fn structure_in(text: &[u8]) -> Option<String> {
    let inner: String = serde_json::from_slice(text).ok()?;
    inner.trim_start().starts_with(['{', '[']).then_some(inner)
}
