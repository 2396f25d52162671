//! One matrix's computation in its surroundings: how many threads it may use, when it must stop, how far it is.

use super::real::Real;
use faer::dyn_stack::{MemBuffer, StackReq};
use faer::{Accum, MatMut, MatRef, Par};
use offload_core::{Context, Failure};
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// The largest piece of work between two looks at the cancel flag, in floating-point operations: some 10 to 20 ms
/// on two cores, and large enough that packing the operands does not show.
pub(crate) const BLOCK_WORK: f64 = 5e8;

/// Below this much work, in floating-point operations, a second thread costs more than it brings: waking it takes 40 to 80 µs, and
/// where other lanes have the cores, both wait for each other. A product of 200 × 200 is where two idle cores begin to pay.
const PARALLEL_WORK: f64 = 1.6e7;

/// How many times a thread of faer's asks, at a barrier, whether the others are there, before it sleeps: some 50 µs. Its own limit of
/// 65,536, milliseconds, is for threads with a core each; here the lanes' threads are more than the cores, and the one that is
/// waited for would stand behind the one that asks until the scheduler's next turn.
const SPINS: u32 = 2048;

/// So many threads, or all of the lane's for 0.
fn threads(count: usize) -> Par {
    spindle::SPIN_LIMIT.store(SPINS, Ordering::Relaxed);
    Par::rayon(count)
}

/// The surroundings of one matrix's computation.
pub(crate) struct Run<'a> {
    ctx: &'a Context,
    par: Par,
    /// Of all the job's work, the part before this matrix, and this matrix's part. `None` where several matrices
    /// run at once and progress is counted by matrix.
    share: Option<(f64, f64)>,
    total: f64,
    done: Cell<f64>,
}

impl<'a> Run<'a> {
    /// A computation of `total` operations that may use all threads.
    pub(crate) fn alone(ctx: &'a Context, index: usize, count: usize, total: f64) -> Run<'a> {
        let par = if total < PARALLEL_WORK { Par::Seq } else { self::threads(0) };
        let count = count.max(1) as f64;
        Run { ctx, par, share: Some((index as f64 / count, 1.0 / count)), total, done: Cell::new(0.0) }
    }

    /// A computation beside others, on one thread.
    pub(crate) fn beside_others(ctx: &'a Context) -> Run<'a> {
        Run { ctx, par: Par::Seq, share: None, total: 1.0, done: Cell::new(0.0) }
    }

    /// A part of a computation, beside other parts, on that many threads. It looks at the cancel flag, and its
    /// progress is counted by whoever waits for it.
    pub(crate) fn part(ctx: &'a Context, threads: usize) -> Run<'a> {
        let par = if threads > 1 { self::threads(threads) } else { Par::Seq };
        Run { ctx, par, share: None, total: 1.0, done: Cell::new(0.0) }
    }

    /// What parts are made from.
    pub(crate) fn context(&self) -> &'a Context {
        self.ctx
    }

    /// How many threads it may use.
    pub(crate) fn threads(&self) -> usize {
        self.par.degree()
    }

    /// The threads it may use.
    pub(crate) fn par(&self) -> Par {
        self.par
    }

    /// To be called after every block of `work` operations.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(crate) fn did(&self, work: f64) -> Result<(), Failure> {
        #[cfg(debug_assertions)]
        super::looks::look();
        let Some((before, part)) = self.share else { return self.ctx.check() };
        self.done.set(self.done.get() + work);
        let fraction = before + part * (self.done.get() / self.total.max(1.0)).min(1.0);
        self.ctx.block((fraction * 1e6) as usize, 1_000_000)
    }

    /// `to = a · b · factor`, or that added to `to`, in blocks between which the job can stop.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(crate) fn product<T: Real>(
        &self,
        to: MatMut<'_, T>,
        accum: Accum,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
        factor: T,
    ) -> Result<(), Failure> {
        let (m, n, k) = (to.nrows(), to.ncols(), a.ncols());
        let work = 2.0 * m as f64 * n as f64 * k as f64;
        if work <= BLOCK_WORK {
            faer::linalg::matmul::matmul(to, accum, a, b, factor, self.par);
            return self.did(work);
        }
        // The longest side is halved, so blocks stay near cubes, where a product is fastest.
        if m >= n && m >= k {
            let half = m / 2;
            let (upper, lower) = to.split_at_row_mut(half);
            let (a_upper, a_lower) = a.split_at_row(half);
            self.product(upper, accum, a_upper, b, factor)?;
            self.product(lower, accum, a_lower, b, factor)
        } else if n >= k {
            let half = n / 2;
            let (left, right) = to.split_at_col_mut(half);
            let (b_left, b_right) = b.split_at_col(half);
            self.product(left, accum, a, b_left, factor)?;
            self.product(right, accum, a, b_right, factor)
        } else {
            let half = k / 2;
            let mut to = to;
            let (a_left, a_right) = a.split_at_col(half);
            let (b_upper, b_lower) = b.split_at_row(half);
            self.product(to.as_mut(), accum, a_left, b_upper, factor)?;
            self.product(to, Accum::Add, a_right, b_lower, factor)
        }
    }
}

/// Workspace of a library routine.
pub(crate) fn scratch(req: StackReq) -> MemBuffer {
    MemBuffer::new(req)
}
