//! Worked examples.

use crate::kernel::pairs::examples;
use offload_core::Case;

pub(super) fn cases() -> Vec<Case> {
    examples(
        "euclidean_distance",
        &[
            ("three, four, five", &[1.0, 1.0], &[4.0, 5.0], 5.0),
            ("squares beyond the range", &[3e30, 0.0], &[0.0, -4e30], 5e30),
            ("squares below the range", &[3e-30, 0.0], &[0.0, -4e-30], 5e-30),
            ("nothing", &[], &[], 0.0),
            ("nan goes through", &[f64::NAN, 1.0], &[0.0, 0.0], f64::NAN),
            ("infinitely far", &[f64::INFINITY, 1.0], &[1.0, 0.0], f64::INFINITY),
        ],
    )
}
