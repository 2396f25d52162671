//! The facade: what a database embeds to call the service.
#![forbid(unsafe_code)]

pub use offload_client as client;
