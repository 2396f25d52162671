//! What a running job may ask of its surroundings: whether to stop, and to say how far it is.

use crate::derived::{Derived, Origin};
use crate::{Failure, TenantId};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A cell of this job's own, or one in memory that another process sees too.
#[derive(Debug)]
enum Cell<T: 'static> {
    Own(Arc<T>),
    Shared(&'static T),
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        match self {
            Cell::Own(cell) => Cell::Own(Arc::clone(cell)),
            Cell::Shared(cell) => Cell::Shared(cell),
        }
    }
}

impl<T: Default> Default for Cell<T> {
    fn default() -> Self {
        Cell::Own(Arc::default())
    }
}

impl<T> std::ops::Deref for Cell<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        match self {
            Cell::Own(cell) => cell,
            Cell::Shared(cell) => cell,
        }
    }
}

/// A flag that asks a job to stop. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Cell<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// A flag that lies elsewhere, in memory that the other side of a process boundary sees.
    pub fn shared(flag: &'static AtomicBool) -> Self {
        Cancel(Cell::Shared(flag))
    }

    /// Asks the job to stop at its next block boundary.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to stop.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a job is. Clones share the figure.
#[derive(Clone, Debug, Default)]
pub struct Progress(Cell<AtomicU32>);

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Self {
        Progress::default()
    }

    /// A figure that lies elsewhere, in millionths; see [`Cancel::shared`].
    pub fn shared(millionths: &'static AtomicU32) -> Self {
        Progress(Cell::Shared(millionths))
    }

    /// Says that `fraction` (0 to 1) is done; it never goes back.
    pub fn set(&self, fraction: f64) {
        self.0.fetch_max((fraction.clamp(0.0, 1.0) * 1e6) as u32, Ordering::Relaxed);
    }

    /// The fraction done, 0 to 1.
    pub fn get(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed)) / 1e6
    }
}

/// The surroundings of a running job. CPU code runs inside the rayon pool of its lane, so plain rayon calls stay
/// within the threads the job was given.
#[derive(Clone, Debug, Default)]
pub struct Context {
    cancel: Cancel,
    progress: Progress,
    derived: Option<(Arc<Derived>, TenantId)>,
}

impl Context {
    /// Surroundings with these two ends.
    pub fn new(cancel: Cancel, progress: Progress) -> Self {
        Context { cancel, progress, derived: None }
    }

    /// The same, where structures of this tenant are kept between jobs.
    #[must_use]
    pub fn with_derived(mut self, derived: Arc<Derived>, tenant: TenantId) -> Self {
        self.derived = Some((derived, tenant));
        self
    }

    /// A structure made of inputs: kept from an earlier job where they have an identity, or made now. `make` says its
    /// bytes too.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn derived<T: Any + Send + Sync>(
        &self,
        origin: Option<&Origin>,
        make: impl FnOnce() -> Result<(T, u64), Failure>,
    ) -> Result<Arc<T>, Failure> {
        match (&self.derived, origin) {
            (Some((derived, tenant)), Some(origin)) => derived.get(tenant, origin, make),
            _ => make().map(|(made, _)| Arc::new(made)),
        }
    }

    /// To be called between blocks of work of at most a few milliseconds.
    ///
    /// # Errors
    /// [`Failure::Cancelled`] when the job is to stop.
    #[inline]
    pub fn check(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// [`check`](Self::check), and says that `done` of `total` blocks are done.
    ///
    /// # Errors
    /// [`Failure::Cancelled`] when the job is to stop.
    pub fn block(&self, done: usize, total: usize) -> Result<(), Failure> {
        self.progress.set(done as f64 / total.max(1) as f64);
        self.check()
    }

    /// The flag, for code that hands it on.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The figure, for code that hands it on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}
