//! Stage 2: has this been computed before, from data that still holds?
//!
//! Knows nothing of HTTP. A result over inline inputs is a pure function of hashed bytes and can never be stale;
//! only names can, so versions are resolved at admission and enter the key, and nothing else needs checking.

mod epochs;
mod key;
mod results;

pub use epochs::{Epochs, StaleVersion};
pub use key::CacheKey;
pub use results::{CacheConfig, Cached, Lookup, Missed, Results, Stats};
