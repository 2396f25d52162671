//! What several operations build on.

pub(crate) mod blocked;
pub(crate) mod device;
pub(crate) mod direct;
pub(crate) mod exact;
pub(crate) mod examples;
pub(crate) mod frame;
pub(crate) mod metric;
pub(crate) mod pair;
pub(crate) mod pairs;
pub(crate) mod random;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod shortlist;
pub(crate) mod simd;
pub(crate) mod top;
