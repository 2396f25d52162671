//! How far a request is, and how long one would take: for callers that do not wait.

use super::{Pipeline, Ticket};
use crate::admit::Request;
use crate::dispatch::WaiterId;
use offload_api::{ApiError, Priority};

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It has not started; so many queued jobs are as urgent or more.
    Queued {
        /// Those jobs, itself left out.
        ahead: usize,
    },
    /// It runs; this fraction (0 to 1) of its work is done, as far as the operation tells.
    Running(f64),
    /// It is answered.
    Ended,
}

/// What a request would be, were it submitted now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// The priority it would have.
    pub priority: Priority,
    /// Microseconds its run is expected to take on the CPU.
    pub run_us: f64,
    /// Microseconds until lanes are expected to be done with what is here.
    pub wait_us: f64,
}

impl Pipeline {
    /// Validates and prices a request as [`submit`](Pipeline::submit) would, and leaves it at that.
    ///
    /// # Errors
    /// Those of admission.
    pub fn quote(&self, request: Request) -> Result<Quote, ApiError> {
        let admitted = self.gate().admit(request)?;
        Ok(Quote { priority: admitted.priority(), run_us: admitted.cpu_us(), wait_us: self.backlog_us() })
    }

    /// Microseconds until the CPU lanes are expected to be done with what is queued and running.
    fn backlog_us(&self) -> f64 {
        let state = self.lock();
        let work: f64 = state.jobs.values().map(|job| job.expected_us()).sum();
        work / self.config.run.cpu_lanes.max(1) as f64
    }

    fn standing(&self, waiter: WaiterId) -> Standing {
        let state = self.lock();
        let Some(job) = state.dispatcher.job_of(waiter) else { return Standing::Ended };
        match state.jobs.get(&job).and_then(|job| job.progress()) {
            Some(progress) => Standing::Running(progress),
            None => Standing::Queued { ahead: state.dispatcher.ahead_of(job) },
        }
    }
}

impl Ticket {
    /// How far the request is.
    pub fn standing(&self) -> Standing {
        match (self.waiter, self.pipeline.upgrade()) {
            (Some(waiter), Some(pipeline)) => pipeline.standing(waiter),
            _ => Standing::Ended,
        }
    }
}
