//! Matches on a device: of a query all distances there, of a series with itself the profile. What is left is the CPU's: the
//! answers' distances anew from the values, and their order.

use super::profile_gpu::{self, PROFILE};
use super::search_gpu::{self, LONGEST_QUERY, OnDevice, SEARCH};
use super::windows::exact;
use super::{Asked, Inputs, LONGEST, WIDEST, cpu, pick};
use crate::device::{self, SERIES, sum, taken_bytes};
use crate::rolling::gpu::PIECES;
use crate::series::{Extents, values, values_at};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{DeviceNeed, Failure};

/// What matches start.
pub(super) static KERNELS: &[&KernelText] = &[&SERIES, &PIECES, &SEARCH, &PROFILE];

/// What it asks of a device.
pub(super) fn need(inputs: &Inputs<TensorSpec>, a: Asked) -> DeviceNeed {
    if a.itself {
        return DeviceNeed::Bytes(profile_gpu::bytes(a));
    }
    if a.m > LONGEST_QUERY {
        return DeviceNeed::CpuOnly(
            "a query of more than 8,192 values is searched by transforms, which are on the CPU",
        );
    }
    DeviceNeed::Bytes(sum(&[taken_bytes(&inputs.data), search_gpu::bytes(a)]))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    device::needs_f64(gpu)?;
    let ctx = gpu.context().clone();
    let Some(query) = &inputs.query else {
        // A series that is held against itself is short beside the work, and its windows are looked at here.
        let e = Extents::of_checked("data", &inputs.data, LONGEST, &ctx)?;
        let (a, x) = (inputs.asked(e.n, None)?, values(&inputs.data));
        let profile = profile_gpu::of(&x, a, gpu)?;
        return cpu::itself(&x, a, inputs.profile, &profile, &ctx);
    };
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    let x = device::take(gpu, "data", &inputs.data, e, false)?;
    let q = Extents::of_checked("query", query, WIDEST, &ctx)?;
    let a = inputs.asked(e.n, Some(q.n))?;
    let query = values(query);
    let distances = search_gpu::distances(gpu, &x, &query, a.windows)?;
    let profile = if inputs.profile { Some(gpu.download(&distances)?) } else { None };
    let picked = pick::least(&mut OnDevice::new(gpu, distances)?, a.k, a.exclusion, |_| None)?;
    let of = |i: usize| exact(&query, &values_at(&inputs.data, i..i + a.m));
    Ok(cpu::found(picked.into_iter().map(|i| (i, of(i))), profile))
}
