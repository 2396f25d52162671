//! `template_family.template_op`: a tensor scaled by a number.

mod cases;
mod cpu;

use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Rejection, Slot, float, real,
};

offload_core::inputs! {
    /// Inputs of `template_family.template_op`.
    pub struct Inputs<T> (dtype: F64) {
        /// The tensor, of rank 1 to 3.
        a: T = real(1, 3),
        /// The number that every element is multiplied by.
        factor: f64 = float(-1e300, 1e300),
    }
}

/// A tensor scaled by a number.
pub struct TemplateOp;

impl Operation for TemplateOp {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "template_family",
            name: "template_op",
            version: 1,
            summary: "A tensor scaled by a number",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The scaled tensor, of the shape of `a`.",
                kind: real(1, 3),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let bytes = inputs.a.bytes();
        Ok(Plan {
            work: inputs.a.shape.iter().map(|&n| n as f64).product(),
            bytes_in: bytes,
            bytes_out: bytes,
            host_bytes: bytes,
            device: DeviceNeed::CpuOnly("moving the tensor costs more than scaling it"),
            outputs: vec![PlannedOutput { name: "result", spec: Some(inputs.a.clone()) }],
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
