//! The HTTP edge, and the one place where the parts of the service are put together.
#![forbid(unsafe_code)]

pub mod auth;
pub mod callbacks;
pub mod config;
pub mod devices;
pub mod echo;
pub mod embedded;
pub mod http;
mod metrics;
pub mod serve;
pub mod service;
pub mod tasks;
