//! An operation owns everything about itself: its inputs, its plan, its implementations, its worked examples.

use crate::device::{Gpu, KernelText};
use crate::{Case, Context, Failure, FromRecord, Plan, Rejection, Slot};
use offload_api::{Field, Priority, Record, Schema, Tensor, TensorSpec};

/// What an operation says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Its family, which is its scope as well (`matrix`).
    pub family: &'static str,
    /// Its name within the family (`multiply`).
    pub name: &'static str,
    /// Part of every cache key: raise it when numbers may change.
    pub version: u32,
    /// One line.
    pub summary: &'static str,
    /// The page (Markdown).
    pub doc: &'static str,
    /// The priority of a request that names none.
    pub default_priority: Priority,
    /// What `work` of its plans counts.
    pub work_unit: &'static str,
    /// Its outputs.
    pub outputs: Vec<Field>,
}

/// An operation as its author writes it.
pub trait Operation: Send + Sync + 'static {
    /// Its inputs, declared by [`inputs!`](crate::inputs).
    type Inputs<T: Slot>: FromRecord<T>;
    /// Its outputs.
    type Output: IntoRecord;

    /// What it says about itself.
    fn about() -> About;

    /// What a job of these shapes will need. Pure, and quick: it runs before a job is admitted.
    ///
    /// # Errors
    /// When the operation does not take these shapes or parameters.
    fn plan(inputs: &Self::Inputs<TensorSpec>) -> Result<Plan, Rejection>;

    /// The CPU path, which is the reference as well. It calls `ctx.check()` between blocks.
    ///
    /// # Errors
    /// When the inputs have no answer, or the job was cancelled.
    fn cpu(inputs: Self::Inputs<Tensor>, ctx: &Context) -> Result<Self::Output, Failure>;

    /// The device path, for the inputs whose plan says there is one.
    ///
    /// # Errors
    /// As [`cpu`](Self::cpu), and when the device fails.
    fn gpu(_inputs: Self::Inputs<Tensor>, _gpu: &mut Gpu<'_>) -> Result<Self::Output, Failure> {
        Err(crate::device::DeviceError::Unsupported("the operation has no device path".into()).into())
    }

    /// The kernel texts that the device path starts; each is compiled, run and checked by the proofs.
    fn kernels() -> &'static [&'static KernelText] {
        &[]
    }

    /// Whether every tensor of the inputs may have one more leading dimension, over which the jobs are independent, and
    /// every output then has it too: so equal small jobs can be one ([`stack`](crate::stack)).
    fn stacks() -> bool {
        false
    }

    /// Worked examples with expectations from an independent source. The first is the documentation's example.
    fn cases() -> Vec<Case>;
}

/// Typed outputs as named values.
pub trait IntoRecord {
    /// The named values in their documented order.
    fn into_record(self) -> Record<Tensor>;
}

impl IntoRecord for Record<Tensor> {
    fn into_record(self) -> Record<Tensor> {
        self
    }
}

/// An operation as the rest of the service sees it.
pub trait AnyOperation: Send + Sync + 'static {
    /// What it says about itself.
    fn about(&self) -> About;
    /// What it takes.
    fn schema(&self) -> Schema;
    /// What a job of these shapes will need.
    ///
    /// # Errors
    /// When the operation does not take these shapes or parameters.
    fn plan(&self, inputs: Record<TensorSpec>) -> Result<Plan, Rejection>;
    /// Runs on the calling thread and its rayon pool.
    ///
    /// # Errors
    /// When the inputs have no answer, or the job was cancelled.
    fn cpu(&self, inputs: Record<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure>;
    /// Runs on a device.
    ///
    /// # Errors
    /// As [`cpu`](Self::cpu), and when the device fails.
    fn gpu(&self, inputs: Record<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure>;
    /// The kernel texts of its device path.
    fn kernels(&self) -> &'static [&'static KernelText];
    /// Whether jobs can be stacked.
    fn stacks(&self) -> bool;
    /// Worked examples.
    fn cases(&self) -> Vec<Case>;
}

impl<O: Operation> AnyOperation for O {
    fn about(&self) -> About {
        O::about()
    }
    fn schema(&self) -> Schema {
        <O::Inputs<TensorSpec> as FromRecord<TensorSpec>>::schema()
    }
    fn plan(&self, inputs: Record<TensorSpec>) -> Result<Plan, Rejection> {
        O::plan(&FromRecord::from_record(inputs)?)
    }
    fn cpu(&self, inputs: Record<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        Ok(O::cpu(FromRecord::from_record(inputs)?, ctx)?.into_record())
    }
    fn gpu(&self, inputs: Record<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        Ok(O::gpu(FromRecord::from_record(inputs)?, gpu)?.into_record())
    }
    fn kernels(&self) -> &'static [&'static KernelText] {
        O::kernels()
    }
    fn stacks(&self) -> bool {
        O::stacks()
    }
    fn cases(&self) -> Vec<Case> {
        O::cases()
    }
}
