//! Equal small jobs as one: their inputs under a new leading dimension, and its outputs taken apart again.
//!
//! A device spends more on starting a small job than on computing it, so jobs that wait for the same lane and differ in
//! their numbers alone are started together. An operation that takes stacks says so
//! ([`Operation::stacks`](crate::Operation::stacks)); whether these jobs make one, its plan says.

use crate::{DeviceNeed, Registered};
use offload_api::{Record, Tensor, TensorSpec, Value};
use std::sync::Arc;

/// Bytes of a job that is worth stacking: of a larger one the copies cost more than the start.
const MOST_BYTES: u64 = 256 << 10;

/// Jobs as one.
#[derive(Debug)]
pub struct Stacked {
    /// Their inputs.
    pub inputs: Record<Tensor>,
    /// Device bytes of all of it.
    pub device_bytes: u64,
    /// The outputs of each.
    outputs: Vec<(&'static str, TensorSpec)>,
    count: usize,
}

/// Whether a job may be stacked with others at all.
pub fn stacks(operation: &Registered, inputs: &Record<Tensor>) -> bool {
    operation.stacks
        && inputs.bytes() <= MOST_BYTES
        && inputs.iter().all(|(_, value)| match value {
            // What is on the device already is not to be sent again.
            Value::Tensor(t) => t.resident().is_none(),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) => true,
            _ => false,
        })
}

/// Whether two jobs of one operation that both [`stacks`] differ in the numbers of their tensors alone.
pub fn alike(a: &Record<Tensor>, b: &Record<Tensor>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b.iter()).all(|((name, a), (other, b))| {
            name == other
                && match (a, b) {
                    (Value::Tensor(a), Value::Tensor(b)) => a.dtype() == b.dtype() && a.shape() == b.shape(),
                    (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
                    (a, b) => a == b,
                }
        })
}

impl Stacked {
    /// Jobs that are [`alike`] as one; `None` where the operation has no device path for that, or would answer in
    /// another form.
    pub fn of(operation: &Registered, jobs: &[&Record<Tensor>]) -> Option<Stacked> {
        let (first, count) = (jobs.first()?, jobs.len());
        let mut inputs = Record::new();
        for (name, value) in first.iter() {
            let value = match value {
                Value::Tensor(_) => Value::Tensor(joined(jobs, name)?),
                other => other.clone(),
            };
            inputs.set(name, value);
        }
        let alone = operation.operation.plan(first.specs()).ok()?;
        let plan = operation.operation.plan(inputs.specs()).ok()?;
        let DeviceNeed::Bytes(device_bytes) = plan.device else { return None };
        let mut outputs = Vec::with_capacity(alone.outputs.len());
        for (each, all) in alone.outputs.iter().zip(&plan.outputs) {
            let (spec, stack) = (each.spec.clone()?, all.spec.as_ref()?);
            if each.name != all.name || *stack != under(&spec, count) {
                return None;
            }
            outputs.push((each.name, spec));
        }
        (alone.outputs.len() == plan.outputs.len()).then_some(Stacked {
            inputs,
            device_bytes,
            outputs,
            count,
        })
    }

    /// The outputs of each job; `None` where they are not what was planned.
    pub fn apart(&self, outputs: &Record<Tensor>) -> Option<Vec<Record<Tensor>>> {
        let mut records = vec![Record::new(); self.count];
        for (name, spec) in &self.outputs {
            let Some(Value::Tensor(all)) = outputs.get(name) else { return None };
            if all.spec() != under(spec, self.count) {
                return None;
            }
            let bytes = all.data().as_bytes();
            let each = usize::try_from(spec.bytes()).ok()?;
            for (n, record) in records.iter_mut().enumerate() {
                // Copies: a job's output must not hold the others' memory.
                record.set(
                    name,
                    Value::Tensor(tensor(spec.clone(), bytes[n * each..(n + 1) * each].to_vec())?),
                );
            }
        }
        (outputs.len() == self.outputs.len()).then_some(records)
    }
}

/// The tensors of that name, one after the other.
fn joined(jobs: &[&Record<Tensor>], name: &str) -> Option<Tensor> {
    let mut bytes = Vec::new();
    let mut spec: Option<TensorSpec> = None;
    for job in jobs {
        let Some(Value::Tensor(t)) = job.get(name) else { return None };
        if *spec.get_or_insert_with(|| t.spec()) != t.spec() {
            return None;
        }
        bytes.extend_from_slice(t.data().as_bytes());
    }
    tensor(under(&spec?, jobs.len()), bytes)
}

fn tensor(spec: TensorSpec, bytes: Vec<u8>) -> Option<Tensor> {
    let len = bytes.len();
    Tensor::over(spec, Arc::new(bytes), 0..len)
}

/// The spec of so many of these.
fn under(spec: &TensorSpec, count: usize) -> TensorSpec {
    let mut shape = vec![count];
    shape.extend_from_slice(&spec.shape);
    TensorSpec::new(spec.dtype, shape)
}
