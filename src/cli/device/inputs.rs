//! Inputs described in a few words and made quickly: each number is a function of its seed and place alone, so that
//! cores share the work and another language makes the same ones.

use offload_api::{DType, Element, Record, ResidentKey, Tensor, TensorSpec, Value};
use rayon::prelude::*;
use serde_json::{Value as Json, json};

/// What a tensor holds. `u(p)` is the number at place `p`: a multiple of 2⁻²³ in [-1, 1).
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
}

/// An input of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A tensor.
    Tensor(Kind, TensorSpec, u64),
    /// A word.
    Word(&'static str),
    /// A number.
    Int(i64),
    /// A truth value.
    Flag(bool),
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

fn element(kind: Kind, seed: u64, columns: usize, rows: usize, place: usize) -> f64 {
    if kind == Kind::Uniform {
        return number(seed, place);
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

/// The tensor of that description; of integers, the sign of each number's place decides between 0 and 1.
pub fn tensor(kind: Kind, spec: &TensorSpec, seed: u64) -> Result<Tensor, String> {
    let shape = &spec.shape;
    let made = match spec.dtype {
        DType::F32 => filled(kind, shape, seed, |x| x as f32),
        DType::F64 => filled(kind, shape, seed, |x| x),
        DType::U8 => filled(kind, shape, seed, |x| u8::from(x > 0.0)),
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
                Input::Word(w) => Value::Text((*w).into()),
                Input::Int(i) => Value::Int(*i),
                Input::Flag(b) => Value::Bool(*b),
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
            Input::Word(w) => Value::Text((*w).into()),
            Input::Int(i) => Value::Int(*i),
            Input::Flag(b) => Value::Bool(*b),
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
        Input::Tensor(kind, spec, seed) => json!({
            "name": name, "kind": format!("{kind:?}").to_lowercase(), "dtype": spec.dtype.name(),
            "shape": spec.shape, "seed": seed,
        }),
        Input::Word(w) => json!({"name": name, "value": w}),
        Input::Int(i) => json!({"name": name, "value": i}),
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
