//! Operations on time series.
#![forbid(unsafe_code)]

mod codec;

offload_core::operations! {
    compress::Compress,
    decompress::Decompress,
}
