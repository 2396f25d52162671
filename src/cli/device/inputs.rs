//! Inputs described in a few words and made quickly: each number is a function of its seed and place alone, so that
//! cores share the work and another language makes the same ones.

use offload_api::{DType, Element, Record, ResidentKey, Tensor, TensorSpec, Value};
use rayon::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What a tensor holds. `u(p)` is the number at place `p`: a multiple of 2⁻²³ in [-1, 1).
///
/// The two ends of the edges of a grid are those of each row's neighbours first, then those of rows beneath each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `u` of each place.
    Uniform,
    /// The same, plus the number of rows on the diagonal: well conditioned.
    Dominant,
    /// The lower triangle of `u`, mirrored.
    Symmetric,
    /// Symmetric, plus the number of rows on the diagonal: positive definite.
    Definite,
    /// `u`, moved into (0, 1].
    Positive,
    /// What an instrument says: a triangle of 2,880 values and noise, in hundredths.
    Reading,
    /// The place itself.
    Place,
    /// A whole number from 0 to below this one, at most 2²⁴.
    Below(u32),
    /// Where the edges of a square grid of so many rows begin.
    GridFrom(u32),
    /// Where they end.
    GridTo(u32),
}

impl Kind {
    /// The word in documents, and the number that goes with it.
    fn named(self) -> (&'static str, Option<u32>) {
        match self {
            Kind::Uniform => ("uniform", None),
            Kind::Dominant => ("dominant", None),
            Kind::Symmetric => ("symmetric", None),
            Kind::Definite => ("definite", None),
            Kind::Positive => ("positive", None),
            Kind::Reading => ("reading", None),
            Kind::Place => ("place", None),
            Kind::Below(n) => ("below", Some(n)),
            Kind::GridFrom(side) => ("grid_from", Some(side)),
            Kind::GridTo(side) => ("grid_to", Some(side)),
        }
    }
}

/// An input of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A tensor.
    Tensor(Kind, TensorSpec, u64),
    /// A tensor that was made otherwise.
    Ready(Tensor),
    /// A word.
    Word(&'static str),
    /// Several words.
    Words(&'static [&'static str]),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Flag(bool),
}

impl Input {
    /// What is no tensor, as a value of either kind of record; of a tensor, nothing.
    fn plain<T>(&self) -> Value<T> {
        match self {
            Input::Tensor(..) | Input::Ready(_) => Value::nothing(),
            Input::Word(w) => Value::Text((*w).into()),
            Input::Words(words) => Value::Json(Arc::new(json!(words))),
            Input::Int(i) => Value::Int(*i),
            Input::Float(x) => Value::Float(*x),
            Input::Flag(b) => Value::Bool(*b),
        }
    }
}

/// Named inputs, not made yet.
pub type Inputs = Vec<(&'static str, Input)>;

/// A tensor of this type, shape and seed.
pub fn of(kind: Kind, dtype: DType, shape: &[usize], seed: u64) -> Input {
    Input::Tensor(kind, TensorSpec::new(dtype, shape), seed)
}

/// Uniform numbers.
pub fn uniform(dtype: DType, shape: &[usize], seed: u64) -> Input {
    of(Kind::Uniform, dtype, shape, seed)
}

/// The number at a place: Steele, Lea and Flood's SplitMix64, its 24 highest bits.
fn number(seed: u64, place: usize) -> f64 {
    let z = seed.wrapping_add((place as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / 8_388_608.0 - 1.0
}

/// An end of an edge of a grid.
fn grid(side: u32, place: usize, end: bool) -> f64 {
    let (side, end) = (side as usize, usize::from(end));
    let across = side * (side - 1);
    let node = match place.checked_sub(across) {
        None => place / (side - 1) * side + place % (side - 1) + end,
        Some(from) => from + end * side,
    };
    node as f64
}

fn element(kind: Kind, seed: u64, columns: usize, rows: usize, place: usize) -> f64 {
    match kind {
        Kind::Uniform => return number(seed, place),
        Kind::Positive => return 0.5 - number(seed, place) / 2.0,
        Kind::Reading => {
            let triangle = ((place % 2880) as f64 / 1440.0 - 1.0).abs();
            return (2000.0 + 500.0 * triangle + 25.0 * number(seed, place)).floor() / 100.0;
        }
        Kind::Place => return place as f64,
        Kind::Below(n) => return ((number(seed, place) + 1.0) / 2.0 * f64::from(n)).floor(),
        Kind::GridFrom(side) => return grid(side, place, false),
        Kind::GridTo(side) => return grid(side, place, true),
        Kind::Dominant | Kind::Symmetric | Kind::Definite => {}
    }
    let (i, j) = (place / columns % rows, place % columns);
    let mirrored = kind != Kind::Dominant && i < j;
    let from = if mirrored { place - (i * columns + j) + j * columns + i } else { place };
    let added = if i == j && kind != Kind::Symmetric { rows as f64 } else { 0.0 };
    number(seed, from) + added
}

fn filled<T: Element>(
    kind: Kind,
    shape: &[usize],
    seed: u64,
    to: impl Fn(f64) -> T + Sync,
) -> Option<Tensor> {
    let len = shape.iter().product();
    let columns = shape.last().copied().unwrap_or(1).max(1);
    let rows = shape.len().checked_sub(2).map_or(1, |i| shape[i]).max(1);
    let mut all = vec![T::zeroed(); len];
    all.par_chunks_mut(1 << 16).enumerate().for_each(|(chunk, part)| {
        for (i, x) in part.iter_mut().enumerate() {
            *x = to(element(kind, seed, columns, rows, (chunk << 16) + i));
        }
    });
    Tensor::new(shape, all)
}

/// The tensor of that description; of bytes, the sign of each number decides between 0 and 1.
pub fn tensor(kind: Kind, spec: &TensorSpec, seed: u64) -> Result<Tensor, String> {
    let shape = &spec.shape;
    let made = match spec.dtype {
        DType::F32 => filled(kind, shape, seed, |x| x as f32),
        DType::F64 => filled(kind, shape, seed, |x| x),
        DType::U8 => filled(kind, shape, seed, |x| u8::from(x > 0.0)),
        DType::U64 => filled(kind, shape, seed, |x| x as u64),
        DType::I64 => filled(kind, shape, seed, |x| x as i64),
        other => return Err(format!("no inputs of {other} are made here")),
    };
    made.ok_or_else(|| format!("{shape:?} is no shape"))
}

/// What a plan sees of the inputs.
pub fn specs(inputs: &Inputs) -> Record<TensorSpec> {
    inputs.iter().fold(Record::new(), |r, (name, input)| {
        r.with(
            name,
            match input {
                Input::Tensor(_, spec, _) => Value::Tensor(spec.clone()),
                Input::Ready(tensor) => Value::Tensor(tensor.spec()),
                other => other.plain(),
            },
        )
    })
}

/// The inputs themselves; `made` gives a tensor that exists already, or makes it.
///
/// # Errors
/// When one of them cannot be made.
pub fn record(
    inputs: &Inputs,
    mut made: impl FnMut(Kind, &TensorSpec, u64) -> Result<Tensor, String>,
) -> Result<Record, String> {
    let mut record = Record::new();
    for (name, input) in inputs {
        let value = match input {
            Input::Tensor(kind, spec, seed) => Value::Tensor(made(*kind, spec, *seed)?),
            Input::Ready(tensor) => Value::Tensor(tensor.clone()),
            other => other.plain(),
        };
        record.set(name, value);
    }
    Ok(record)
}

/// The identity of a tensor that is made here.
pub fn key(kind: Kind, spec: &TensorSpec, seed: u64) -> ResidentKey {
    let text = format!("{kind:?} {spec:?} {seed}");
    // FNV-1a, 128 bits.
    ResidentKey(text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |h, b| {
        (h ^ u128::from(b)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    }))
}

/// The description as JSON, from which `scripts/gpu_peers.py` makes the same inputs.
pub fn json(inputs: &Inputs) -> Json {
    let one = |(name, input): &(&str, Input)| match input {
        Input::Tensor(kind, spec, seed) => {
            let (kind, of) = kind.named();
            json!({
                "name": name, "kind": kind, "of": of, "dtype": spec.dtype.name(), "shape": spec.shape, "seed": seed,
            })
        }
        Input::Ready(tensor) => {
            json!({"name": name, "kind": "ready", "dtype": tensor.dtype().name(), "shape": tensor.shape()})
        }
        Input::Word(w) => json!({"name": name, "value": w}),
        Input::Words(words) => json!({"name": name, "value": words}),
        Input::Int(i) => json!({"name": name, "value": i}),
        Input::Float(x) => json!({"name": name, "value": x}),
        Input::Flag(b) => json!({"name": name, "value": b}),
    };
    inputs.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_paper() {
        // The first outputs of SplitMix64 from the seed 1234567 (Rosetta Code, and java.util.SplittableRandom).
        let first = [6_457_827_717_110_365_317u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for (place, want) in first.into_iter().enumerate() {
            assert_eq!(number(1_234_567, place), (want >> 40) as f64 / 8_388_608.0 - 1.0);
        }
    }

    #[test]
    fn kinds_are_what_they_say_in_every_matrix_of_a_stack() {
        let spec = TensorSpec::new(DType::F64, [2, 3, 3]);
        let of = |kind| tensor(kind, &spec, 5).unwrap().into_vec::<f64>().unwrap();
        let (plain, mirrored, definite) = (of(Kind::Uniform), of(Kind::Symmetric), of(Kind::Definite));
        for (k, place) in (0..18).enumerate() {
            let (m, i, j) = (k / 9, k / 3 % 3, k % 3);
            assert_eq!(mirrored[place], plain[9 * m + 3 * i.max(j) + i.min(j)]);
            assert_eq!(definite[place] - mirrored[place], if i == j { 3.0 } else { 0.0 });
        }
        assert_ne!(plain[..9], plain[9..]);
    }

    #[test]
    fn a_grid_joins_each_node_to_the_next_in_its_row_and_column() {
        let ends =
            |kind| tensor(kind, &TensorSpec::new(DType::U64, [12]), 0).unwrap().into_vec::<u64>().unwrap();
        let edges: Vec<(u64, u64)> = ends(Kind::GridFrom(3)).into_iter().zip(ends(Kind::GridTo(3))).collect();
        assert_eq!(edges[..6], [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8)]);
        assert_eq!(edges[6..], [(0, 3), (1, 4), (2, 5), (3, 6), (4, 7), (5, 8)]);
    }

    #[test]
    fn numbers_stay_where_their_kind_says() {
        let many = |kind| {
            let spec = TensorSpec::new(DType::F64, [100_000]);
            tensor(kind, &spec, 3).unwrap().into_vec::<f64>().unwrap()
        };
        let all = |kind, holds: fn(f64) -> bool| assert!(many(kind).into_iter().all(holds), "{kind:?}");
        all(Kind::Positive, |x| x > 0.0 && x <= 1.0);
        all(Kind::Below(1), |x| x == 0.0);
        all(Kind::Below(7), |x| (0.0..7.0).contains(&x) && x.fract() == 0.0);
        all(Kind::Reading, |x| (19.0..26.0).contains(&x) && (x * 100.0).round() / 100.0 == x);
        for node in 0..7 {
            assert!(many(Kind::Below(7)).contains(&f64::from(node)));
        }
    }

    #[test]
    fn what_differs_has_another_identity() {
        let spec = |n: usize| TensorSpec::new(DType::F32, [n, 2]);
        let keys = [
            key(Kind::Uniform, &spec(3), 1),
            key(Kind::Uniform, &spec(3), 2),
            key(Kind::Uniform, &spec(4), 1),
            key(Kind::Dominant, &spec(3), 1),
        ];
        assert!((0..4).all(|i| (0..i).all(|j| keys[i] != keys[j])));
    }
}
