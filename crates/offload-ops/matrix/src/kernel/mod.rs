//! What several operations build on.

pub(crate) mod cholesky;
pub(crate) mod copy;
pub(crate) mod lu;
pub(crate) mod need;
pub(crate) mod qr;
pub(crate) mod real;
pub(crate) mod run;
pub(crate) mod stack;
pub(crate) mod triangular;
