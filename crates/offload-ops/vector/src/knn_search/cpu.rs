//! The same search.

pub(super) use crate::knn::cpu::run;
