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
    /// The call never returns.
    Hang,
    /// The process aborts.
    Abort,
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

    /// The plan that a text says: parts such as `lost@97` or `call/upload@10`, separated by commas. Each is a kind
    /// (`oom`, `call`, `lost`, `panic`, `hang`, `abort`, `slow`, which takes 10 ms) that every so-many-th call fails
    /// with, counted from 1 among all calls or those of one name.
    ///
    /// # Errors
    /// When the text says something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let wrong = || format!("a fault is kind@every or kind/call@every, not {part}");
            let (what, every) = part.split_once('@').ok_or_else(wrong)?;
            let every: u64 = every.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
            let (kind, call) = what.split_once('/').map_or((what, None), |(k, c)| (k, Some(c.to_owned())));
            let fault = match kind {
                "oom" => Fault::OutOfMemory,
                "call" => Fault::Call,
                "lost" => Fault::Lost,
                "panic" => Fault::Panic,
                "hang" => Fault::Hang,
                "abort" => Fault::Abort,
                "slow" => Fault::Slow(Duration::from_millis(10)),
                _ => return Err(wrong()),
            };
            parts.push((fault, call, every, 0u64));
        }
        Ok(Faults::plan(move |_, name| {
            let mut due = None;
            for (fault, call, every, seen) in &mut parts {
                if call.as_deref().is_none_or(|c| c == name) {
                    *seen += 1;
                    if seen.is_multiple_of(*every) {
                        due = due.or(Some(*fault));
                    }
                }
            }
            due
        }))
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
