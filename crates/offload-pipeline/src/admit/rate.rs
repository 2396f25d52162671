//! Token buckets: how many requests a tenant, and each of its keys, may make in a minute.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const SHARDS: usize = 16;
/// Beyond this many buckets in a shard, full ones are forgotten: they would start full again anyway.
const SWEEP_AT: usize = 4096;

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateDecision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Requests per minute.
    pub limit: u32,
    /// Requests left at once.
    pub remaining: u32,
    /// Milliseconds until the next token, 0 when there is one.
    pub retry_after_ms: u64,
    /// Seconds until the bucket is full again.
    pub reset_s: u64,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Buckets of one kind, of this process: of tenants, or of keys.
pub struct RateLimiter {
    shards: [Mutex<HashMap<Box<str>, Bucket>>; SHARDS],
    hasher: RandomState,
}

impl Default for RateLimiter {
    fn default() -> Self {
        RateLimiter { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl RateLimiter {
    /// Takes a token from the bucket `name`, which holds a minute's worth of `per_minute`.
    pub fn take(&self, name: &str, per_minute: u32, now: Instant) -> RateDecision {
        let shard = self.hasher.hash_one(name) as usize % SHARDS;
        let mut buckets = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = f64::from(per_minute);
        let per_second = capacity / 60.0;
        if buckets.len() > SWEEP_AT {
            buckets.retain(|_, b| b.tokens + now.duration_since(b.at).as_secs_f64() * per_second < capacity);
        }
        if !buckets.contains_key(name) {
            buckets.insert(name.into(), Bucket { tokens: capacity, at: now });
        }
        let Some(bucket) = buckets.get_mut(name) else {
            unreachable!("the bucket was just made");
        };
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * per_second).min(capacity);
        bucket.at = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        let wait_s = |tokens: f64| if per_second > 0.0 { tokens / per_second } else { 60.0 };
        RateDecision {
            allowed,
            limit: per_minute,
            remaining: bucket.tokens as u32,
            retry_after_ms: if bucket.tokens >= 1.0 {
                0
            } else {
                (wait_s(1.0 - bucket.tokens) * 1000.0).ceil() as u64
            },
            reset_s: wait_s(capacity - bucket.tokens).ceil() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_minute_holds_its_requests_and_refills_evenly() {
        let (limiter, start) = (RateLimiter::default(), Instant::now());
        let allowed = (0..100).filter(|_| limiter.take("t", 60, start).allowed).count();
        assert_eq!(allowed, 60);
        let refused = limiter.take("t", 60, start);
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after_ms), (false, 0, 1000));
        let later = start + Duration::from_secs(10);
        assert_eq!((0..100).filter(|_| limiter.take("t", 60, later).allowed).count(), 10);
        assert!(limiter.take("other", 60, later).allowed, "one bucket does not drain another");
        assert!(!limiter.take("none", 0, later).allowed);
    }
}
