//! What a job will need, computed from shapes alone.

use offload_api::TensorSpec;

/// What a job asks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceNeed {
    /// It can run there within this many bytes at its peak, inputs, outputs and workspace included.
    Bytes(u64),
    /// It has no device path for these inputs, for this reason.
    CpuOnly(&'static str),
}

/// One output, as far as shapes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOutput {
    /// Its name.
    pub name: &'static str,
    /// Its type and shape; `None` when it depends on data or is no tensor.
    pub spec: Option<TensorSpec>,
}

/// What a job will need. Quotas, the cost model, estimates and documentation all read this one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Work in the operation's own unit: floating-point operations, or edges visited.
    pub work: f64,
    /// Bytes of the inputs.
    pub bytes_in: u64,
    /// Bytes of the outputs (an upper bound where they depend on data).
    pub bytes_out: u64,
    /// Peak bytes of host memory on the CPU path beyond the inputs: outputs and workspace.
    pub host_bytes: u64,
    /// What it asks of a device.
    pub device: DeviceNeed,
    /// Its outputs.
    pub outputs: Vec<PlannedOutput>,
}

impl Plan {
    /// Peak bytes of host memory on the CPU path, inputs included.
    pub fn peak_host_bytes(&self) -> u64 {
        self.bytes_in.saturating_add(self.host_bytes)
    }
}
