//! Operations on time series.
#![forbid(unsafe_code)]

mod reference;
mod series;

offload_core::operations! {
    rolling::Rolling,
    downsample::Downsample,
}
