//! The subtle rules of placement.
