//! Worked examples.

use crate::kernel::pairs::examples;
use offload_core::Case;

pub(super) fn cases() -> Vec<Case> {
    examples(
        "cosine_similarity",
        &[
            ("three to five", &[1.0, 0.0], &[3.0, 4.0], 0.6),
            ("the same direction", &[1e30, 1e30], &[1e-30, 1e-30], 1.0),
            ("opposite", &[2.0], &[-7.0], -1.0),
            ("a zero vector has cosine 0 with everything", &[0.0, 0.0], &[3.0, 4.0], 0.0),
            ("nothing", &[], &[], 0.0),
            ("nan goes through", &[f64::NAN, 1.0], &[0.0, 0.0], f64::NAN),
            ("infinity has no direction", &[f64::INFINITY, 1.0], &[1.0, 0.0], f64::NAN),
        ],
    )
}
