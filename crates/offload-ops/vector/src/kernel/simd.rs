//! Loops compiled for the vector instructions that the machine has.

use pulp::{Arch, NullaryFnOnce};

/// Runs `f`, compiled once for each instruction set, with the best one that is there. What `f` calls must be inlined
/// into it. It costs a few nanoseconds, so `f` should hold a loop.
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    struct Inlined<F>(F);
    impl<R, F: FnOnce() -> R> NullaryFnOnce for Inlined<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Inlined(f))
}
