//! The six stages a job passes: admit, cache, dispatch, place, run, settle.
#![forbid(unsafe_code)]
