//! Loops compiled for the vector instructions that the machine has.

pub(crate) use pulp::NullaryFnOnce as Loop;
use pulp::{Arch, WithSimd};

/// Runs a loop, compiled once for each instruction set, with the best one that is there. Its `call` and all that this
/// calls must be `#[inline(always)]`: what is not inlined is compiled for the oldest machine. A closure may not be
/// inlined, so a loop that matters is a struct of what it captures.
#[inline]
pub(crate) fn vectorised<L: WithSimd>(this: L) -> L::Output {
    Arch::new().dispatch(this)
}
