//! The scopes there are.

/// Administration: tenants, keys, audit, devices.
pub const ADMIN: &str = "gpu:admin";
/// Reading and writing datasets.
pub const DATASETS: &str = "gpu:datasets";
/// Reading metrics from elsewhere than loopback.
pub const METRICS: &str = "gpu:metrics";

/// Every scope: one per family of the design, and the ones that are not about operations.
pub fn known_scopes() -> &'static [&'static str] {
    &[
        "gpu:matrix",
        "gpu:graph",
        "gpu:ml",
        "gpu:vector",
        "gpu:timeseries",
        "gpu:quantum",
        "gpu:snn",
        "gpu:storage",
        "gpu:optimizer",
        "gpu:transaction",
        "gpu:replication",
        "gpu:custom",
        DATASETS,
        METRICS,
        ADMIN,
    ]
}
