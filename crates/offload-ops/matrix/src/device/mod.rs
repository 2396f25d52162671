//! What the device paths build on: inputs looked over on the host, and factorisations.
//!
//! Matrices arrive row-major, and a vendor's library wants them column-major; which of the two a buffer holds is said at
//! each step. Figures of a few numbers per matrix (norms, signs, the exponent of a scale) are the host's part.

pub(crate) mod estimate;
pub(crate) mod factor;
pub(crate) mod inputs;
pub(crate) mod kernels;
mod own;
mod rotations;
pub(crate) mod small;

pub(crate) use own::groups;
