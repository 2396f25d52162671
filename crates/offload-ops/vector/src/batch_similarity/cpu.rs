//! The same search.

pub(super) use crate::similarity::cpu::run;
