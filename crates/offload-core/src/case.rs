//! Worked examples: inputs, what must come out, and how near is near enough.

use crate::Failure;
use offload_api::{Data, Record, Tensor, Value};
use std::sync::Arc;

/// How near is near enough: `|got − want| ≤ absolute + relative · |want|`, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In the unit of the output.
    pub absolute: f64,
    /// As a fraction of the expected value.
    pub relative: f64,
}

impl Tolerance {
    /// To the bit.
    pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

    /// A tolerance of these two parts.
    pub const fn new(absolute: f64, relative: f64) -> Self {
        Tolerance { absolute, relative }
    }
}

/// A property that the outputs must have, given the inputs; `Err` says what does not hold.
pub type Property = Arc<dyn Fn(&Record<Tensor>, &Record<Tensor>) -> Result<(), String> + Send + Sync>;

/// What must come out.
#[derive(Clone)]
pub enum Expect {
    /// These outputs, within the tolerance; outputs that are not named are free.
    Outputs(Record<Tensor>, Tolerance),
    /// Outputs with this property, where a result is not unique (the sign of an eigenvector).
    Property(Property),
    /// 422 with this reason.
    Unprocessable(&'static str),
    /// 400 at this field.
    Rejected(&'static str),
}

/// A worked example.
#[derive(Clone)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where the expectation comes from: a paper, a closed form, a peer library and its version.
    pub source: &'static str,
    /// The inputs.
    pub inputs: Record<Tensor>,
    /// What must come out.
    pub expect: Expect,
}

impl Case {
    /// Holds what a run gave against the expectation.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, got: &Result<Record<Tensor>, Failure>) -> Result<(), String> {
        match (&self.expect, got) {
            (Expect::Outputs(want, tolerance), Ok(got)) => {
                for (name, want) in want.iter() {
                    let got = got.get(name).ok_or_else(|| format!("the output {name} is missing"))?;
                    close(name, got, want, *tolerance)?;
                }
                Ok(())
            }
            (Expect::Property(property), Ok(got)) => property(&self.inputs, got),
            (Expect::Unprocessable(want), Err(Failure::Unprocessable { reason, .. })) if want == reason => {
                Ok(())
            }
            (Expect::Rejected(want), Err(Failure::Rejected(r))) if *want == r.field => Ok(()),
            (Expect::Outputs(..) | Expect::Property(_), Err(e)) => Err(format!("failed: {e:?}")),
            (Expect::Unprocessable(want), got) => Err(format!("expected unprocessable {want}, got {got:?}")),
            (Expect::Rejected(want), got) => Err(format!("expected a rejection of {want}, got {got:?}")),
        }
    }
}

/// Whether two values are equal within a tolerance, tensors element by element.
///
/// # Errors
/// The first difference.
pub fn close(name: &str, got: &Value, want: &Value, tolerance: Tolerance) -> Result<(), String> {
    match (got, want) {
        (Value::Tensor(g), Value::Tensor(w)) | (Value::Gapped(g), Value::Gapped(w)) => {
            if g.shape() != w.shape() {
                return Err(format!("{name} has shape {:?}, expected {:?}", g.shape(), w.shape()));
            }
            if g.dtype() != w.dtype() {
                return Err(format!("{name} is {}, expected {}", g.dtype(), w.dtype()));
            }
            for (i, (g, w)) in elements(g).zip(elements(w)).enumerate() {
                near(g, w, tolerance).map_err(|e| format!("{name}[{i}] {e}"))?;
            }
            Ok(())
        }
        (Value::Float(g), Value::Float(w)) => near(*g, *w, tolerance).map_err(|e| format!("{name} {e}")),
        (g, w) if g == w => Ok(()),
        (g, w) => Err(format!("{name} is {g:?}, expected {w:?}")),
    }
}

fn near(got: f64, want: f64, t: Tolerance) -> Result<(), String> {
    // Equality first, so that infinities of one sign agree; NaN agrees with NaN alone.
    if got == want
        || (got.is_nan() && want.is_nan())
        || (got - want).abs() <= t.absolute + t.relative * want.abs()
    {
        return Ok(());
    }
    Err(format!("is {got:e}, expected {want:e} (off by {:e})", (got - want).abs()))
}

fn elements(t: &Tensor) -> Box<dyn Iterator<Item = f64> + '_> {
    match t.data() {
        Data::F32(b) => Box::new(b.iter().map(|&x| f64::from(x))),
        Data::F64(b) => Box::new(b.iter().copied()),
        Data::I32(b) => Box::new(b.iter().map(|&x| f64::from(x))),
        Data::I64(b) => Box::new(b.iter().map(|&x| x as f64)),
        Data::U8(b) => Box::new(b.iter().map(|&x| f64::from(x))),
        Data::U64(b) => Box::new(b.iter().map(|&x| x as f64)),
    }
}
