//! The six stages a job passes: admit, cache, dispatch, place, run, settle; and the engine that puts them over
//! threads and clocks.
#![forbid(unsafe_code)]

pub mod admit;
pub mod cache;
pub mod data;
pub mod dispatch;
pub mod engine;
pub mod place;
pub mod records;
pub mod run;
pub mod settle;
