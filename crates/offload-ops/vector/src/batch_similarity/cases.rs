//! The same examples.

pub(super) use crate::similarity::cases;
