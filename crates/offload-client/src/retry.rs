//! When to try again: retryable errors only, with growing pauses, and never past the deadline.

use crate::ClientError;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How retryable errors are retried.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The first pause; each further one is up to twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 4, first_pause: Duration::from_millis(50), longest_pause: Duration::from_secs(2) }
    }
}

impl Retry {
    /// The pause before the next attempt; `None` when there is to be none.
    pub(crate) fn pause(&self, error: &ClientError, attempt: u32, deadline: Instant) -> Option<Duration> {
        let (retryable, asked) = match error {
            ClientError::Service(e) => {
                // A token that has just expired is worth one more attempt.
                let expired = e.error == offload_api::ErrorCode::Unauthenticated && attempt == 1;
                (e.retryable || expired, e.retry_after_ms.map(Duration::from_millis))
            }
            ClientError::Transport(e) => (e.is_connect() || e.is_request(), None),
            ClientError::Protocol(_) | ClientError::NotFinite(_) => (false, None),
        };
        if !retryable || attempt >= self.attempts {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << (attempt - 1).min(16)).min(self.longest_pause);
        // Half of the pause is random, so that clients that failed together do not come back together.
        let random = RandomState::new().hash_one(attempt) as f64 / u64::MAX as f64;
        let pause = doubled.mul_f64(0.5 + random / 2.0).max(asked.unwrap_or_default());
        (Instant::now() + pause < deadline).then_some(pause)
    }
}
