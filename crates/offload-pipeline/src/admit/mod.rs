//! Stage 1: may this caller run this, is it well formed, what will it need, and can that ever fit?
//!
//! Nothing is reserved here and no device is touched.

mod price;
mod rate;
mod request;
mod resolve;

pub use price::Prices;
pub use rate::{RateDecision, RateLimiter};
pub use request::{AdmitConfig, Admitted, Caller, Gate, Request};
