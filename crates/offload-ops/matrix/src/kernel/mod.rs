//! What several operations build on.

pub(crate) mod bidiagonal;
pub(crate) mod cholesky;
pub(crate) mod copy;
pub(crate) mod hessenberg;
#[cfg(debug_assertions)]
pub mod looks;
pub(crate) mod lu;
pub(crate) mod merge;
pub(crate) mod need;
pub(crate) mod qr;
pub(crate) mod real;
pub(crate) mod run;
pub(crate) mod secular;
pub(crate) mod stack;
pub(crate) mod triangular;
pub(crate) mod tridiagonal;
pub(crate) mod vector;
