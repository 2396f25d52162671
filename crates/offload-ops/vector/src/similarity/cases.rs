//! Worked examples of the search.

use crate::kernel::examples::{Names, examples};
use offload_api::Layout;
use offload_core::Case;

pub(crate) fn cases() -> Vec<Case> {
    examples(Names { queries: "queries", k: "top_k", output: "results", layout: Layout::PerQuery })
}
