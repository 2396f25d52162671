//! Columns of a dataset in JSON, straight into their buffers.
//!
//! A column whose type nobody says is what its values are: texts, truth values (`u8`), whole numbers (`i64`), rows of
//! numbers (`f32`), and numbers otherwise (`f64`).

use super::decode::{object, unknown};
use super::reader::{Reader, step};
use super::tensor;
use crate::{Column, ColumnKind, DType, Invalid, Tensor, TextsBuilder};

/// A body with columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnsBody {
    /// The columns in their order.
    pub columns: Vec<(String, Column)>,
    /// `key`: the column whose values name the rows.
    pub key: Option<String>,
    /// `mode`: what is to be done with the rows.
    pub mode: Option<String>,
    /// `version`: the version that the body was made for.
    pub version: Option<u64>,
}

/// Columns that a body may have: each is compared with those before it.
const MAX_COLUMNS: usize = 4096;

/// The error for one more, at `pointer`.
fn too_many(pointer: &str) -> Invalid {
    Invalid::new(pointer, format!("there are more columns than the limit of {MAX_COLUMNS}"))
}

/// The type of a column as `dtypes` names it; a row's extents are the values' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Tensor(DType),
    Text,
}

impl Type {
    fn named(name: &str) -> Option<Type> {
        if name == "text" { Some(Type::Text) } else { DType::from_name(name).map(Type::Tensor) }
    }
}

/// Decodes `{"columns": {…}, "dtypes": {…}, …}`. `words` are the fields beside `columns` that the body may have, and
/// `known` the columns whose types are settled already.
///
/// # Errors
/// Malformed JSON, unknown fields, ragged rows, mixed types, and numbers that do not fit, each with its pointer.
pub fn decode_columns(
    body: &[u8],
    words: &[&str],
    known: &[(String, ColumnKind)],
) -> Result<ColumnsBody, Invalid> {
    let mut r = Reader::new(body);
    let mut out = ColumnsBody::default();
    let mut columns: Option<Vec<(String, Column)>> = None;
    let mut later: Option<Reader<'_>> = None;
    let mut types: Option<Vec<(String, Type)>> = None;
    let mut seen: Vec<String> = Vec::new();
    object(&mut r, "", |r, key| {
        let pointer = step(&key);
        if seen.contains(&key) {
            return Err(Invalid::new(pointer, format!("the field {key} is there twice")));
        }
        match key.as_str() {
            // Types that stand behind the columns are found first, at the price of stepping over the columns.
            "columns" if types.is_none() && words.contains(&"dtypes") && speaks_of_types(r.rest()) => {
                later = Some(r.clone());
                r.skip(&pointer)?;
            }
            "columns" => columns = Some(all(r, known, types.as_deref().unwrap_or_default())?),
            "dtypes" if words.contains(&"dtypes") => types = Some(dtypes(r)?),
            "key" | "mode" if words.contains(&key.as_str()) => {
                let text = Some(r.string(&pointer)?.into_owned());
                if key == "key" { out.key = text } else { out.mode = text }
            }
            "version" if words.contains(&"version") => {
                let version = serde_json::from_slice(r.skip(&pointer)?)
                    .map_err(|_| Invalid::new(pointer.as_str(), "version must be an integer from 0"))?;
                out.version = Some(version);
            }
            _ => return Err(unknown(&key, &pointer, words.iter().copied().chain(["columns"]))),
        }
        seen.push(key);
        Ok(())
    })?;
    r.end()?;
    let types = types.unwrap_or_default();
    if let Some(mut r) = later {
        columns = Some(all(&mut r, known, &types)?);
    }
    out.columns = columns.ok_or_else(|| Invalid::new("", "the field columns is missing"))?;
    if let Some((name, _)) = types.iter().find(|(n, _)| !out.columns.iter().any(|(c, _)| c == n)) {
        return Err(unknown(
            name,
            &format!("/dtypes{}", step(name)),
            out.columns.iter().map(|(n, _)| n.as_str()),
        ));
    }
    Ok(out)
}

fn speaks_of_types(text: &[u8]) -> bool {
    text.windows(8).any(|w| w == b"\"dtypes\"")
}

fn dtypes(r: &mut Reader<'_>) -> Result<Vec<(String, Type)>, Invalid> {
    let mut types: Vec<(String, Type)> = Vec::new();
    object(r, "/dtypes", |r, name| {
        let at = format!("/dtypes{}", step(&name));
        if types.iter().any(|(n, _)| *n == name) {
            return Err(Invalid::new(at, format!("the type of {name} is there twice")));
        }
        if types.len() == MAX_COLUMNS {
            return Err(too_many("/dtypes"));
        }
        let word = r.string(&at)?;
        let named = Type::named(&word)
            .ok_or_else(|| Invalid::new(at, "a type is one of f32, f64, i32, i64, u8, u64, text"))?;
        types.push((name, named));
        Ok(())
    })?;
    Ok(types)
}

fn all(
    r: &mut Reader<'_>,
    known: &[(String, ColumnKind)],
    types: &[(String, Type)],
) -> Result<Vec<(String, Column)>, Invalid> {
    let mut columns: Vec<(String, Column)> = Vec::new();
    object(r, "/columns", |r, name| {
        let at = format!("/columns{}", step(&name));
        if columns.iter().any(|(n, _)| *n == name) {
            return Err(Invalid::new(at, format!("the column {name} is there twice")));
        }
        if columns.len() == MAX_COLUMNS {
            return Err(too_many("/columns"));
        }
        let settled = known.iter().find(|(n, _)| *n == name).map(|(_, kind)| match kind {
            ColumnKind::Tensor { dtype, .. } => Type::Tensor(*dtype),
            ColumnKind::Text => Type::Text,
        });
        let asked = types.iter().find(|(n, _)| *n == name).map(|(_, t)| *t);
        let column = match asked.or(settled) {
            Some(Type::Text) => texts(r, &at)?,
            Some(Type::Tensor(dtype)) => typed(r, dtype, &at)?,
            None => untyped(r, &at)?,
        };
        columns.push((name, column));
        Ok(())
    })?;
    Ok(columns)
}

/// What the first value of a column begins with; the reader stays before the column.
fn first(r: &Reader<'_>, pointer: &str) -> Result<Option<u8>, Invalid> {
    let mut ahead = r.clone();
    if !ahead.eat(b'[') {
        return Err(ahead.unexpected("an array with a value per row", pointer));
    }
    Ok(ahead.peek())
}

fn untyped(r: &mut Reader<'_>, pointer: &str) -> Result<Column, Invalid> {
    match first(r, pointer)? {
        Some(b'"') => texts(r, pointer),
        Some(b't' | b'f') => typed(r, DType::U8, pointer),
        Some(b'[') => typed(r, DType::F32, pointer),
        Some(b']') => typed(r, DType::F64, pointer),
        _ => {
            let start = r.clone();
            let whole = typed(r, DType::I64, pointer);
            let text = &start.rest()[..r.pos() - start.pos()];
            // `1.0` is a whole number and was still meant as a real one.
            let spelled_whole = !text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
            if whole.is_ok() && spelled_whole {
                return whole;
            }
            *r = start.clone();
            let real = typed(r, DType::F64, pointer)?;
            let text = &start.rest()[..r.pos() - start.pos()];
            if text.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) { Ok(real) } else { whole }
        }
    }
}

fn typed(r: &mut Reader<'_>, dtype: DType, pointer: &str) -> Result<Column, Invalid> {
    if dtype == DType::U8 && matches!(first(r, pointer)?, Some(b't' | b'f')) {
        return truths(r, pointer);
    }
    first(r, pointer)?;
    let raw = tensor::read(r, dtype, pointer)?;
    tensor::finish(raw, dtype, pointer).map(Column::Tensor)
}

/// Reads an array of `value`s.
fn array(
    r: &mut Reader<'_>,
    pointer: &str,
    mut value: impl FnMut(&mut Reader<'_>, usize) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if !r.eat(b'[') {
        return Err(r.unexpected("an array with a value per row", pointer));
    }
    if r.eat(b']') {
        return Ok(());
    }
    let mut row = 0;
    loop {
        value(r, row)?;
        row += 1;
        if !r.eat(b',') {
            break;
        }
    }
    r.expect(b']', pointer)
}

fn texts(r: &mut Reader<'_>, pointer: &str) -> Result<Column, Invalid> {
    let mut texts = TextsBuilder::default();
    array(r, pointer, |r, row| {
        // A pointer is only made for an error: there may be millions of rows.
        if r.peek() != Some(b'"') {
            return Err(Invalid::new(format!("{pointer}/{row}"), "the column has texts; this value is none"));
        }
        texts.push(&r.string(pointer)?);
        Ok(())
    })?;
    Ok(Column::Text(texts.finish()))
}

fn truths(r: &mut Reader<'_>, pointer: &str) -> Result<Column, Invalid> {
    let mut values: Vec<u8> = Vec::new();
    array(r, pointer, |r, row| {
        r.peek();
        for (word, value) in [(&b"true"[..], 1), (b"false", 0)] {
            if r.rest().starts_with(word) {
                r.advance(word.len());
                values.push(value);
                return Ok(());
            }
        }
        Err(Invalid::new(format!("{pointer}/{row}"), "the column has truth values; this value is none"))
    })?;
    Ok(Column::Tensor(Tensor::vector(values)))
}
