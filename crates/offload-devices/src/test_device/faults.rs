//! Where the test device fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The allocation does not fit; the device is fine.
    OutOfMemory,
    /// The call fails; the device is fine.
    Call,
    /// The context is poisoned from here on.
    Lost,
    /// The driver's code panics.
    Panic,
    /// The call does nothing and says that it went well, as a driver with a bug does: of `set`, `upload` and `copy`, and
    /// of the zeroing of a new `chunk`. Others go well.
    Ignored,
    /// The call takes this much longer.
    Slow(Duration),
}

type Plan = dyn FnMut(u64, &'static str) -> Option<Fault> + Send;

/// A plan of faults: asked at every driver call, with the call's number (from 0) and name. Clones share it.
/// The names are those of [`DeviceLane`](offload_core::device::DeviceLane)'s methods; a `chunk` that an `alloc` needs may
/// be ignored or run out of memory.
#[derive(Clone)]
pub struct Faults {
    calls: Arc<AtomicU64>,
    plan: Arc<Mutex<Box<Plan>>>,
}

impl Faults {
    /// No call fails.
    pub fn none() -> Self {
        Faults::plan(|_, _| None)
    }

    /// Calls fail as `plan` says.
    pub fn plan(plan: impl FnMut(u64, &'static str) -> Option<Fault> + Send + 'static) -> Self {
        Faults { calls: Arc::default(), plan: Arc::new(Mutex::new(Box::new(plan))) }
    }

    /// Every call of this name fails so.
    pub fn on(name: &'static str, fault: Fault) -> Self {
        Faults::plan(move |_, call| (call == name).then_some(fault))
    }

    /// Replaces the plan while the device runs.
    pub fn replace(&self, plan: impl FnMut(u64, &'static str) -> Option<Fault> + Send + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(plan);
    }

    /// How many driver calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn next(&self, name: &'static str) -> Option<Fault> {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        (self.plan.lock().unwrap_or_else(PoisonError::into_inner))(n, name)
    }
}
