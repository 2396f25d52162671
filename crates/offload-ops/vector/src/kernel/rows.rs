//! Corpora that an index or a code is made of: their extents and their numbers.

use super::pair::Real;
use super::search::MAX_DIMENSIONS;
use offload_api::TensorSpec;
use offload_core::{Failure, Rejection};
use serde_json::json;

/// Rows and components of a corpus.
///
/// # Errors
/// When it has more of either than the limit.
pub(crate) fn extents(spec: &TensorSpec, most_rows: usize) -> Result<(usize, usize), Rejection> {
    let [n, d] = spec.shape[..] else {
        return Err(Rejection::new("corpus", "corpus must have 2 dimensions"));
    };
    if n > most_rows {
        return Err(Rejection::new("corpus", format!("corpus has {n} rows, the limit is {most_rows}")));
    }
    if d > MAX_DIMENSIONS {
        return Err(Rejection::new(
            "corpus",
            format!("corpus has {d} components, the limit is {MAX_DIMENSIONS}"),
        ));
    }
    Ok((n, d))
}

/// Checks that every component is finite.
///
/// # Errors
/// `not_finite` with the first that is not.
pub(crate) fn finite<T: Real>(values: &[T], d: usize) -> Result<(), Failure> {
    for (row, x) in values.chunks(d.max(1)).enumerate() {
        // The sum of zeros is zero exactly when every component is finite.
        if x.iter().map(|x| x.wide() * 0.0).sum::<f64>() != 0.0 {
            let column = x.iter().position(|x| !x.wide().is_finite()).unwrap_or(0);
            return Err(Failure::unprocessable(
                "not_finite",
                format!("the component at row {row}, column {column} of corpus is not a finite number"),
                json!({"row": row, "column": column}),
            ));
        }
    }
    Ok(())
}
