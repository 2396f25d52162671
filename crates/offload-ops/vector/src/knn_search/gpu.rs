//! As `knn`.

pub(super) use crate::knn::gpu::run;
