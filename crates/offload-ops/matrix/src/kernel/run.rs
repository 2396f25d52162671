//! One matrix's computation in its surroundings: how many threads it may use, when it must stop, how far it is.

use super::real::Real;
use faer::dyn_stack::{MemBuffer, StackReq};
use faer::{Accum, MatMut, MatRef, Par};
use offload_core::{Context, Failure};
use std::cell::Cell;

/// The largest piece of work between two looks at the cancel flag, in floating-point operations: some 10 to 20 ms
/// on two cores, and large enough that packing the operands does not show.
pub(crate) const BLOCK_WORK: f64 = 5e8;

/// Below this much work, a second thread costs more than it brings.
const PARALLEL_WORK: f64 = 1e6;

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
        let par = if total < PARALLEL_WORK { Par::Seq } else { Par::rayon(0) };
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
        let par = if threads > 1 { Par::rayon(threads) } else { Par::Seq };
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
        #[cfg(test)]
        looks::look();
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

/// How much a thread computes between two looks at the cancel flag: in time of the processor, which a busy machine
/// does not stretch as it does time on the wall.
#[cfg(test)]
mod looks {
    use std::cell::Cell;

    thread_local! {
        static LAST_NS: Cell<u64> = const { Cell::new(0) };
        static LONGEST_NS: Cell<u64> = const { Cell::new(0) };
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// Of this thread, where the system tells it as Linux does; else on the wall.
    fn processor_ns() -> u64 {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let ns = told.as_deref().and_then(|t| t.split_whitespace().next()).and_then(|n| n.parse().ok());
        let wall = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos() as u64);
        ns.unwrap_or_else(wall)
    }

    pub(super) fn look() {
        let now = processor_ns();
        LONGEST_NS.set(LONGEST_NS.get().max(now.saturating_sub(LAST_NS.get())));
        LAST_NS.set(now);
        LOOKS.set(LOOKS.get() + 1);
    }

    /// Runs `f`; the looks it took, the longest time without one, the time in all.
    pub(super) fn count(f: impl FnOnce()) -> (u64, u64, u64) {
        let start = processor_ns();
        LAST_NS.set(start);
        LONGEST_NS.set(0);
        LOOKS.set(0);
        f();
        look();
        (LOOKS.get() - 1, LONGEST_NS.get(), processor_ns() - start)
    }
}

#[cfg(test)]
mod tests {
    use super::looks;
    use crate::reference::{of, uniform};
    use offload_api::{DType, Record, Tensor, Value};
    use offload_core::{AnyOperation, Context};

    type Job = (&'static str, &'static dyn AnyOperation, Record<Tensor>);

    fn jobs(n: usize) -> Vec<Job> {
        let square = uniform(1, &[n, n], DType::F64);
        let tall = uniform(2, &[2 * n + 100, n], DType::F64);
        let nearly = uniform(3, &[n + n / 2, n], DType::F64);
        let word = |s: &str| Value::Text(s.into());
        let one = |a: &Tensor| of(&[("a", a)]);
        let eigen =
            |s: &str, v: bool| one(&square).with("symmetric", word(s)).with("vectors", Value::Bool(v));
        vec![
            ("svd", &crate::Svd, one(&square)),
            ("svd, full", &crate::Svd, one(&nearly).with("full", Value::Bool(true))),
            ("svd, tall", &crate::Svd, one(&tall)),
            ("singular values", &crate::Norm, one(&square).with("kind", word("nuclear"))),
            ("symmetric, values", &crate::Eigenvalues, eigen("true", false)),
            ("symmetric", &crate::Eigenvalues, eigen("true", true)),
            ("general, values", &crate::Eigenvalues, eigen("false", false)),
            ("general", &crate::Eigenvalues, eigen("false", true)),
        ]
    }

    /// All of a job in one thread, so that every look is counted.
    fn in_one_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(f)
    }

    /// `LOOKS_EXTENT=2000` measures larger ones.
    #[test]
    fn a_spectrum_is_computed_in_many_small_pieces() {
        let extent = std::env::var("LOOKS_EXTENT").ok().and_then(|n| n.parse().ok()).unwrap_or(640);
        let mut coarse = Vec::new();
        for (name, op, inputs) in jobs(extent) {
            let (looks, longest, all) = in_one_thread(|| {
                looks::count(|| {
                    op.cpu(inputs, &Context::default()).unwrap();
                })
            });
            let share = longest as f64 / all as f64;
            let line = format!(
                "{name}: {looks} looks, longest {:.1} ms, {share:.3} of the whole",
                longest as f64 / 1e6
            );
            println!("{line}");
            // One for each column of the reduction at least, whose panels would be short enough at this extent.
            if looks < extent as u64 || share > 0.15 {
                coarse.push(line);
            }
        }
        assert!(coarse.is_empty(), "too much lies between two looks: {coarse:#?}");
    }
}
