//! How long an operation is expected to take on the CPU, learned from what it took.
//!
//! One figure per operation: nanoseconds per unit of work, moved towards each observation by a bounded step in
//! the logarithm, so that one outlier cannot throw it. The full cost model (transfer terms, devices, crossover)
//! replaces this figure, not its callers.

use offload_core::{Plan, Registered, Registry};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds per unit of work before anything was seen: a core at 1 GFLOP/s.
const PRIOR_NS_PER_WORK: f64 = 1.0;
/// Fixed cost of a run in nanoseconds.
const FIXED_NS: f64 = 2_000.0;
/// Share of the distance an observation moves the estimate.
const STEP: f64 = 0.2;
/// Work below this says more about the fixed cost than about the rate.
const MIN_WORK: f64 = 2_000.0;

/// The learned figures of all operations.
pub struct Prices {
    ns_per_work: HashMap<&'static str, AtomicU64>,
}

impl Prices {
    /// Priors for every operation.
    pub fn new(registry: &Registry) -> Self {
        Prices {
            ns_per_work: registry
                .iter()
                .map(|r| (r.workload_type.as_str(), AtomicU64::new(PRIOR_NS_PER_WORK.to_bits())))
                .collect(),
        }
    }

    /// Expected microseconds of CPU time for a job of this plan.
    pub fn cpu_us(&self, operation: &'static Registered, plan: &Plan) -> f64 {
        (FIXED_NS + plan.work * self.ns_per_work(operation)) / 1000.0
    }

    /// Learned nanoseconds per unit of work.
    pub fn ns_per_work(&self, operation: &'static Registered) -> f64 {
        self.ns_per_work
            .get(operation.workload_type.as_str())
            .map_or(PRIOR_NS_PER_WORK, |v| f64::from_bits(v.load(Ordering::Relaxed)))
    }

    /// A job of this plan took `us` microseconds on the CPU.
    pub fn teach(&self, operation: &'static Registered, plan: &Plan, us: f64) {
        if plan.work < MIN_WORK || us <= 0.0 {
            return;
        }
        if let Some(figure) = self.ns_per_work.get(operation.workload_type.as_str()) {
            let old = f64::from_bits(figure.load(Ordering::Relaxed));
            let seen = ((us * 1000.0 - FIXED_NS).max(1.0) / plan.work).clamp(old / 8.0, old * 8.0);
            let new = (old.ln() * (1.0 - STEP) + seen.ln() * STEP).exp().clamp(1e-4, 1e6);
            // Two lanes that teach at once may lose one observation, which is of no account.
            figure.store(new.to_bits(), Ordering::Relaxed);
        }
    }
}
