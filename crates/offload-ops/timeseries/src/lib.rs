//! Operations on time series.
#![forbid(unsafe_code)]
