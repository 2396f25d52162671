//! The subtle rules of dispatch.
