//! Graphs: edges in JSON straight into the columns they are, and columns back into edges.

use super::decode::{object, unknown};
use super::encode::{WriteNumber, write_elements};
use super::number::{BadNumber, parse_f64, parse_i128};
use super::reader::{Reader, step};
use super::tensor::{self, Numbers};
use crate::graph::{DIRECTED, DST, NODES, SRC, WEIGHT, columns};
use crate::{DType, DatasetRef, Invalid, Record, Source, Tensor, Value};

/// The parts of a graph as entries of a record.
pub(super) type Parts = Vec<(&'static str, Value<Source>)>;

/// The words of a graph's object.
const WORDS: [&str; 5] = ["nodes", "edges", "directed", "dataset", "version"];

/// Reads a graph's object.
pub(super) fn read(r: &mut Reader<'_>, pointer: &str) -> Result<Parts, Invalid> {
    let mut edges: Option<Edges> = None;
    let mut nodes: Option<Tensor> = None;
    let mut directed: Option<bool> = None;
    let mut dataset: Option<String> = None;
    let mut version: Option<u64> = None;
    object(r, pointer, |r, key| {
        let at = format!("{pointer}{}", step(&key));
        let twice = match key.as_str() {
            "nodes" => nodes.replace(ids(r, &at)?).is_some(),
            "edges" => edges.replace(Edges::read(r, &at)?).is_some(),
            "directed" => directed
                .replace(match r.skip(&at)? {
                    b"true" => true,
                    b"false" => false,
                    _ => return Err(Invalid::new(at, "directed must be true or false")),
                })
                .is_some(),
            "dataset" => dataset.replace(r.string(&at)?.into_owned()).is_some(),
            "version" => {
                let value = serde_json::from_slice(r.skip(&at)?)
                    .map_err(|_| Invalid::new(at.as_str(), "version must be an integer from 0"))?;
                version.replace(value).is_some()
            }
            _ => return Err(unknown(&key, &at, WORDS)),
        };
        if twice { Err(Invalid::new(at, format!("the field {key} is there twice"))) } else { Ok(()) }
    })?;
    let mut parts = match (edges, dataset) {
        (Some(_), Some(_)) => {
            return Err(Invalid::new(
                format!("{pointer}/dataset"),
                "a graph has edges or a dataset, not both",
            ));
        }
        (edges, None) => {
            if version.is_some() {
                return Err(Invalid::new(format!("{pointer}/version"), "a version belongs to a dataset"));
            }
            if edges.is_none() && nodes.is_none() {
                return Err(Invalid::new(pointer, "the graph has neither edges nor nodes nor a dataset"));
            }
            edges.unwrap_or_default().parts()
        }
        (None, Some(dataset)) => [SRC, DST, WEIGHT]
            .into_iter()
            .filter_map(|entry| {
                let column = columns(entry)?.names.first().map(ToString::to_string);
                let of = DatasetRef { dataset: dataset.clone(), column, version, test: None };
                Some((entry, Value::Tensor(Source::Dataset(of))))
            })
            .collect(),
    };
    if let Some(nodes) = nodes {
        parts.push((NODES, Value::Tensor(Source::Inline(nodes))));
    }
    parts.push((DIRECTED, Value::Bool(directed.unwrap_or(true))));
    Ok(parts)
}

/// A list of ids.
fn ids(r: &mut Reader<'_>, pointer: &str) -> Result<Tensor, Invalid> {
    let raw = tensor::read(r, DType::U64, pointer)?;
    match raw.numbers {
        Numbers::Integer(t) if t.shape().len() == 1 => Ok(t),
        _ => Err(Invalid::new(pointer, "nodes must be a list of ids")),
    }
}

/// Edges as columns.
#[derive(Default)]
struct Edges {
    src: Vec<u64>,
    dst: Vec<u64>,
    /// Empty until an edge has a weight.
    weight: Vec<f64>,
}

impl Edges {
    fn parts(self) -> Parts {
        let mut parts = vec![
            (SRC, Value::Tensor(Source::Inline(Tensor::vector(self.src)))),
            (DST, Value::Tensor(Source::Inline(Tensor::vector(self.dst)))),
        ];
        if !self.weight.is_empty() {
            parts.push((WEIGHT, Value::Tensor(Source::Inline(Tensor::vector(self.weight)))));
        }
        parts
    }

    fn read(r: &mut Reader<'_>, pointer: &str) -> Result<Edges, Invalid> {
        let mut edges = Edges::default();
        r.expect(b'[', pointer)?;
        if r.eat(b']') {
            return Ok(edges);
        }
        loop {
            edges.edge(r, pointer)?;
            if !r.eat(b',') {
                break;
            }
        }
        r.expect(b']', pointer)?;
        Ok(edges)
    }

    /// Reads one edge. Pointers are only made for errors: there may be tens of millions of edges.
    fn edge(&mut self, r: &mut Reader<'_>, pointer: &str) -> Result<(), Invalid> {
        let index = self.src.len();
        let here = || format!("{pointer}/{index}");
        if !r.eat(b'[') {
            return Err(r.unexpected("an edge: [u, v] or [u, v, weight]", &here()));
        }
        let short = |r: &mut Reader<'_>, has: usize| {
            if r.peek() == Some(b']') {
                return Invalid::new(
                    here(),
                    format!("the edge has {has} numbers, it takes 2 or 3: [u, v] or [u, v, weight]"),
                );
            }
            r.unexpected("','", &here())
        };
        if r.peek() == Some(b']') {
            return Err(short(r, 0));
        }
        let u = id(r).map_err(|e| refuse(r, e, format!("{}/0", here())))?;
        if !r.eat(b',') {
            return Err(short(r, 1));
        }
        let v = id(r).map_err(|e| refuse(r, e, format!("{}/1", here())))?;
        self.src.push(u);
        self.dst.push(v);
        if r.eat(b',') {
            r.peek();
            let (w, n) = parse_f64(r.rest()).map_err(|e| refuse(r, e, format!("{}/2", here())))?;
            r.advance(n);
            if self.weight.is_empty() {
                // The edges before this one had none.
                self.weight.resize(index, 1.0);
            }
            self.weight.push(w);
        } else if !self.weight.is_empty() {
            self.weight.push(1.0);
        }
        if r.eat(b']') {
            return Ok(());
        }
        if r.peek() == Some(b',') {
            return Err(Invalid::new(
                here(),
                "the edge has more than 3 numbers, it takes 2 or 3: [u, v] or [u, v, weight]",
            ));
        }
        Err(r.unexpected("',' or ']'", &here()))
    }
}

/// Reads an id: any integer of 64 bits without a sign.
#[inline]
fn id(r: &mut Reader<'_>) -> Result<u64, BadNumber> {
    r.peek();
    let b = r.rest();
    let mut value = 0u64;
    let mut n = 0;
    while let Some(d) = b.get(n).map(|c| c.wrapping_sub(b'0'))
        && d < 10
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(d));
        n += 1;
    }
    // Nineteen digits cannot overflow; leading zeros, signs, fractions and the largest ids take the long way.
    let plain = (1..=19).contains(&n) && (b[0] != b'0' || n == 1);
    if !plain || matches!(b.get(n), Some(b'.' | b'e' | b'E')) {
        let (wide, len) = parse_i128(b)?;
        value = u64::try_from(wide).map_err(|_| BadNumber::Range)?;
        n = len;
    }
    r.advance(n);
    Ok(value)
}

fn refuse(r: &mut Reader<'_>, e: BadNumber, pointer: String) -> Invalid {
    let is_id = !pointer.ends_with("/2");
    match (e, r.peek()) {
        (BadNumber::Malformed, Some(b'-' | b'0'..=b'9')) => Invalid::new(pointer, "not a json number"),
        (BadNumber::Malformed, Some(b'n' | b'N' | b'I' | b'i')) => {
            Invalid::new(pointer, "expected a number; null, NaN and infinity are not numbers in json")
        }
        (BadNumber::Malformed, _) => {
            r.unexpected(if is_id { "the id of a node" } else { "a weight" }, &pointer)
        }
        (BadNumber::Range, _) if is_id => {
            Invalid::new(pointer, format!("the id of a node must be an integer from 0 to {}", u64::MAX))
        }
        (BadNumber::Range, _) => Invalid::new(pointer, "the number is out of range"),
        (BadNumber::NotInteger, _) => Invalid::new(pointer, "the id of a node must be an integer"),
    }
}

/// Whether an entry is a part of a graph.
pub(super) fn is_part(name: &str) -> bool {
    [SRC, DST, WEIGHT, NODES, DIRECTED].contains(&name)
}

/// Writes the graph whose parts the record holds, as an object; `false` when a weight is not finite.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) -> bool {
    let tensor = |name| match record.get(name) {
        Some(Value::Tensor(t)) => Some(t),
        _ => None,
    };
    let column = |name| tensor(name).and_then(Tensor::as_slice::<u64>).unwrap_or_default();
    let (src, dst) = (column(SRC), column(DST));
    let weight = tensor(WEIGHT).and_then(Tensor::as_slice::<f64>);
    out.push(b'{');
    if let Some(nodes) = tensor(NODES).and_then(Tensor::as_slice::<u64>) {
        out.extend_from_slice(b"\"nodes\":");
        write_elements(&[nodes.len()], nodes, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"edges\":[");
    for (i, (u, v)) in src.iter().zip(dst).enumerate() {
        out.extend_from_slice(if i == 0 { b"[" } else { b",[" });
        u.write(out);
        out.push(b',');
        v.write(out);
        if let Some(w) = weight.and_then(|w| w.get(i)) {
            out.push(b',');
            if !w.write(out) {
                return false;
            }
        }
        out.push(b']');
    }
    let directed = record.get(DIRECTED) != Some(&Value::Bool(false));
    out.extend_from_slice(if directed { b"],\"directed\":true}" } else { b"],\"directed\":false}" });
    true
}
