//! The same examples.

pub(super) use crate::knn::cases;
