//! Worked examples of the search, and of a query that stands alone.

use crate::kernel::examples::{Names, examples};
use crate::reference::{exact, known, of};
use offload_api::{DType, Layout, Matches, Record, Value};
use offload_core::{Case, Tolerance};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = examples(Names { queries: "query", k: "k", output: "matches", layout: Layout::Flat });
    let x = exact(&[3, 1], &[1.0, 5.0, 3.0], DType::F32);
    let one = of(&[("query", &exact(&[1], &[2.5], DType::F32)), ("corpus", &x)]).with("k", Value::Int(2));
    let want = Matches::new::<f64>(&[2], vec![2, 0], vec![0.5, 1.5], Layout::Flat).map(Value::Matches);
    let want = want.map(|m| Record::new().with("matches", m)).unwrap_or_default();
    cases.insert(0, known("a query that stands alone", one, want, Tolerance::EXACT));
    cases
}
