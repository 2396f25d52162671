//! Operations on time series.
#![forbid(unsafe_code)]

mod codec;
mod device;
mod lstm;
mod median;
mod reference;
mod series;
mod stl;
mod sums;

offload_core::operations! {
    compress::Compress,
    decompress::Decompress,
    forecast::Forecast,
    rolling::Rolling,
    downsample::Downsample,
    anomaly_detection::AnomalyDetection,
    correlate::Correlate,
    r#match::Match,
}
