//! Scaling on the CPU: block by block, so that a cancelled job stops soon.

use super::Inputs;
use offload_api::{DType, Element, Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};

/// Elements between two looks at the cancel flag.
const BLOCK: usize = 1 << 20;

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let result = match inputs.a.dtype() {
        DType::F32 => scaled::<f32>(&inputs.a, |x| (f64::from(x) * inputs.factor) as f32, ctx),
        _ => scaled::<f64>(&inputs.a, |x| x * inputs.factor, ctx),
    }?;
    Ok(Record::new().with("result", Value::Tensor(result)))
}

fn scaled<T: Element>(a: &Tensor, scale: impl Fn(T) -> T, ctx: &Context) -> Result<Tensor, Failure> {
    let Some(elements) = a.as_slice::<T>() else {
        return Err(Rejection::new("a", format!("a is {}, it must be f32 or f64", a.dtype())).into());
    };
    let mut result = Vec::with_capacity(elements.len());
    for (done, block) in elements.chunks(BLOCK).enumerate() {
        ctx.block(done * BLOCK, elements.len())?;
        result.extend(block.iter().map(|&x| scale(x)));
    }
    Tensor::new(a.shape(), result).ok_or_else(|| Rejection::new("a", "a has too many elements").into())
}
