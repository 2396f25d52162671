//! Operations on dense matrices.
//!
//! Matrices are row-major. Where an operation takes a stack of matrices, the leading dimension counts them, and the
//! results carry the same leading dimension. `kernel` holds what several operations build on: numbers, stacks and
//! the blocked factorisations that can be stopped between blocks.
#![forbid(unsafe_code)]

use offload_core::AnyOperation;

mod cholesky;
mod determinant;
mod eigenvalues;
mod inverse;
mod kernel;
mod matvec;
mod multiply;
mod norm;
mod qr;
mod reference;
mod solve;
mod svd;
mod transpose;

pub use cholesky::Cholesky;
pub use determinant::Determinant;
pub use eigenvalues::Eigenvalues;
pub use inverse::Inverse;
pub use matvec::Matvec;
pub use multiply::Multiply;
pub use norm::Norm;
pub use qr::Qr;
pub use solve::Solve;
pub use svd::Svd;
pub use transpose::Transpose;

/// The operations of this family.
pub fn operations() -> &'static [&'static dyn AnyOperation] {
    &[
        &Multiply,
        &Matvec,
        &Inverse,
        &Solve,
        &Transpose,
        &Eigenvalues,
        &Svd,
        &Qr,
        &Cholesky,
        &Determinant,
        &Norm,
    ]
}
