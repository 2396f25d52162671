//! The registry of operations.
