//! Which inputs a worker most probably keeps: those its jobs had.

use offload_api::ResidentKey;
use offload_core::TenantId;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Inputs that are remembered at most; then all are forgotten, as a hint may be.
const MAX_SEEN: usize = 4096;

/// The inputs with an identity that jobs of one worker ended well with. What the worker gave up since is not known
/// here.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashSet<(TenantId, ResidentKey)>>);

impl Seen {
    /// A job of that tenant ended with these.
    pub(super) fn add(&self, tenant: &TenantId, keys: impl Iterator<Item = ResidentKey>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if seen.len() >= MAX_SEEN {
                seen.clear();
            }
            seen.insert((tenant.clone(), key));
        }
    }

    /// Whether there was such a job.
    pub(super) fn has(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(tenant.clone(), key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_a_tenants_and_their_number_is_bounded() {
        let (seen, a, b) = (Seen::default(), TenantId::new("a"), TenantId::new("b"));
        seen.add(&a, [ResidentKey(1)].into_iter());
        assert!(
            seen.has(&a, ResidentKey(1)) && !seen.has(&b, ResidentKey(1)) && !seen.has(&a, ResidentKey(2))
        );
        seen.add(&b, (0..MAX_SEEN as u128).map(ResidentKey));
        assert!(!seen.has(&a, ResidentKey(1)));
        assert!(seen.has(&b, ResidentKey(MAX_SEEN as u128 - 1)));
        assert!(seen.0.lock().unwrap().len() <= MAX_SEEN);
    }
}
