//! Worked examples.

use crate::kernel::pairs::examples;
use offload_core::Case;

pub(super) fn cases() -> Vec<Case> {
    examples(
        "dot_product",
        &[
            ("eleven", &[1.0, 2.0], &[3.0, 4.0], 11.0),
            ("beyond single precision", &[1e30, 1.0], &[1e30, 1.0], 1e60),
            ("below single precision", &[1e-30, 0.0], &[2e-30, 1.0], 2e-60),
            ("nothing", &[], &[], 0.0),
            ("nan goes through", &[f64::NAN, 1.0], &[0.0, 0.0], f64::NAN),
        ],
    )
}
