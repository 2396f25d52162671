//! Operations on time series.
#![forbid(unsafe_code)]

mod median;
mod reference;
mod series;
mod stl;

offload_core::operations! {
    forecast::Forecast,
    rolling::Rolling,
    downsample::Downsample,
    anomaly_detection::AnomalyDetection,
    correlate::Correlate,
    r#match::Match,
}
