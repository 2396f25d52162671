//! As `similarity`.

pub(super) use crate::similarity::gpu::run;
