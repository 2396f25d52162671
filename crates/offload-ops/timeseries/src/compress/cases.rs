//! Worked examples.

use offload_core::Case;

pub(super) fn cases() -> Vec<Case> {
    Vec::new()
}
