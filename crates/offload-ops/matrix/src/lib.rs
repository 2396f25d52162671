//! Operations on dense matrices.
