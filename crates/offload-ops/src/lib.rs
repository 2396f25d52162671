//! The registry: every operation the service offers, listed by family.
#![forbid(unsafe_code)]

use offload_core::{AnyOperation, Registry};

/// The operations of each family, in their documented order.
const FAMILIES: &[fn() -> &'static [&'static dyn AnyOperation]] = &[
    offload_ops_matrix::operations,
    offload_ops_vector::operations,
    offload_ops_graph::operations,
    offload_ops_timeseries::operations,
];

/// Every operation.
pub fn registry() -> Registry {
    Registry::new(FAMILIES.iter().flat_map(|family| family().iter().copied()))
}
