//! From shapes to a plan.

use super::stack::{MAX_ELEMENTS, at_once};
use faer::dyn_stack::StackReq;
use offload_api::{DType, TensorSpec, Value};
use offload_api::{Element, Tensor};
use offload_core::{DeviceNeed, Plan, PlannedOutput, Rejection};

/// What a job asks of a device: these bytes, or nothing where there is nothing to compute.
pub(crate) fn on_device(work: f64, bytes: impl FnOnce() -> u64) -> DeviceNeed {
    if work == 0.0 {
        return DeviceNeed::CpuOnly("of empty inputs there is nothing to compute");
    }
    DeviceNeed::Bytes(bytes())
}

/// Small allocations of every job: shapes, names, closures, the thread pool's own. What products pack their operands
/// into is not here: the library keeps one buffer of 64 MiB of address space for each thread for the life of the
/// process, and only touches as much of it as a product's panels take.
const SMALL_BYTES: u64 = 16 * 1024;

/// What a job needs beyond its outputs.
pub(crate) struct Need {
    /// Floating-point operations of one matrix.
    pub(crate) work_each: f64,
    /// How many matrices.
    pub(crate) count: usize,
    /// Bytes of workspace of one matrix.
    pub(crate) workspace_each: u64,
    /// The device's part.
    pub(crate) device: DeviceNeed,
}

impl Need {
    /// The plan with these inputs and outputs. An output whose shape depends on data gives its upper bound.
    ///
    /// # Errors
    /// When an output is beyond the limit.
    pub(crate) fn plan(
        self,
        inputs: &[&TensorSpec],
        outputs: Vec<(&'static str, TensorSpec, bool)>,
    ) -> Result<Plan, Rejection> {
        let bytes_in = inputs.iter().fold(0u64, |sum, s| sum.saturating_add(s.bytes()));
        let mut bytes_out = 0u64;
        for (name, spec, _) in &outputs {
            if spec.elements() > MAX_ELEMENTS {
                return Err(Rejection::new(
                    "",
                    format!(
                        "the output {name} would have {} elements, the limit is {MAX_ELEMENTS}",
                        spec.elements()
                    ),
                ));
            }
            bytes_out = bytes_out.saturating_add(spec.bytes());
        }
        let slices = (self.count as u64).saturating_mul(64);
        let workspace = self.workspace_each.saturating_mul(at_once(self.count, self.work_each) as u64);
        Ok(Plan {
            work: self.work_each * self.count as f64,
            bytes_in,
            bytes_out,
            host_bytes: bytes_out
                .saturating_add(workspace)
                .saturating_add(slices)
                .saturating_add(SMALL_BYTES),
            device: self.device,
            outputs: outputs
                .into_iter()
                .map(|(name, spec, known)| PlannedOutput { name, spec: known.then_some(spec) })
                .collect(),
        })
    }
}

/// Threads that a job of this machine can have at most.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs the expression with `$T` standing for the type, to ask the library how much workspace it takes.
pub(crate) fn workspace(
    dtype: DType,
    f32_req: impl FnOnce() -> StackReq,
    f64_req: impl FnOnce() -> StackReq,
) -> u64 {
    let req = if dtype == DType::F32 { f32_req() } else { f64_req() };
    req.unaligned_bytes_required() as u64
}

/// A tensor of extents that were multiplied to get the number of elements.
///
/// # Panics
/// When they were not.
pub(crate) fn tensor<T: Element>(shape: Vec<usize>, elements: Vec<T>) -> Value<Tensor> {
    let len = elements.len();
    match Tensor::new(shape, elements) {
        Some(t) => Value::Tensor(t),
        None => panic!("{len} elements do not fill the shape they were counted for"),
    }
}
