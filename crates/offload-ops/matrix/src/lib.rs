//! Operations on dense matrices.
//!
//! Matrices are row-major. Where an operation takes a stack of matrices, the leading dimension counts them, and the
//! results carry the same leading dimension. `kernel` holds what several operations build on: numbers, stacks and
//! the blocked factorisations that can be stopped between blocks.
#![forbid(unsafe_code)]

mod device;
mod kernel;
mod reference;

#[cfg(debug_assertions)]
#[doc(hidden)]
pub use kernel::looks;

offload_core::operations! {
    multiply::Multiply,
    matvec::Matvec,
    inverse::Inverse,
    solve::Solve,
    transpose::Transpose,
    eigenvalues::Eigenvalues,
    svd::Svd,
    qr::Qr,
    cholesky::Cholesky,
    determinant::Determinant,
    norm::Norm,
}
