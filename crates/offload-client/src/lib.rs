//! Calls the service.
