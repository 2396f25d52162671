//! Loops compiled for the vector and bit instructions that the machine has.

pub(super) use pulp::NullaryFnOnce as Loop;
use pulp::{Arch, WithSimd};

/// Runs a loop, compiled once for each instruction set, with the best one that is there. Its `call` and all that this
/// calls must be `#[inline(always)]`: what is not inlined is compiled for the oldest machine.
#[inline]
pub(super) fn vectorised<L: WithSimd>(this: L) -> L::Output {
    Arch::new().dispatch(this)
}
