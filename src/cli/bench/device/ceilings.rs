//! What the card itself can do, measured on it: how fast it copies, and how fast its library multiplies. Shares of
//! these are what a figure of an operation is read by.

use super::works::{Arithmetic, Scale};
use crate::cli::device::{Session, Watch};
use offload_core::TenantId;
use offload_core::device::{At, DeviceError, DeviceLane, Gemm, Handle};
use serde_json::{Value as Json, json};

/// Runs of each, after one that is not counted.
const RUNS: usize = 7;

/// The card's limits; what could not be measured is 0.
#[derive(Clone, Debug, Default)]
pub struct Ceilings {
    /// Bytes read and written per second by a copy within the device.
    pub copy: f64,
    upload: f64,
    download: f64,
    /// Floating-point operations per second of a large product.
    gemm: [f64; 3],
    notes: Vec<String>,
}

impl Ceilings {
    /// The limit of products in this arithmetic.
    pub fn flops(&self, arithmetic: Arithmetic) -> f64 {
        self.gemm[arithmetic as usize]
    }

    /// As JSON, in GB/s and TFLOP/s.
    pub fn json(&self) -> Json {
        let [f32, tf32, f64] = self.gemm.map(|x| x / 1e12);
        json!({
            "copy_gb_s": self.copy / 1e9, "upload_pageable_gb_s": self.upload / 1e9,
            "download_pageable_gb_s": self.download / 1e9,
            "gemm_tflop_s": {"f32": f32, "tf32": tf32, "f64": f64}, "notes": self.notes,
        })
    }

    /// As text.
    pub fn print(&self) {
        let [f32, tf32, f64] = self.gemm.map(|x| x / 1e12);
        println!(
            "limits: copy {:.0} GB/s, upload {:.1}, download {:.1} (pageable); products {f32:.1} TFLOP/s f32, {tf32:.1} tf32, {f64:.1} f64",
            self.copy / 1e9,
            self.upload / 1e9,
            self.download / 1e9
        );
        self.notes.iter().for_each(|n| println!("  {n}"));
    }
}

/// Measures them.
///
/// # Errors
/// When the device refuses a lane.
pub fn measure(session: &Session, scale: Scale, watch: &Watch) -> Result<Ceilings, DeviceError> {
    let mut lane = session.raw_lane()?;
    let lane = lane.as_mut();
    let mut got = Ceilings::default();
    let full = scale == Scale::Full;
    let free = session.descriptor().memory_bytes;
    let bytes = if full { (1usize << 30).min((free / 4) as usize) } else { 4 << 20 };
    let _ = watch.begin("copies");
    let result = with_memory(lane, &[bytes, bytes], |lane, memory| {
        let (from, to) = (memory[0], memory[1]);
        let rate = |seconds: f64| bytes as f64 / seconds;
        got.copy = 2.0 * rate(timed(lane, 1, |lane| lane.copy(from.into(), to.into(), bytes))?);
        let mut host = vec![1u8; bytes / 4];
        let part = |seconds: f64| (bytes / 4) as f64 / seconds;
        got.upload = part(timed(lane, 1, |lane| lane.upload(from, 0, &host))?);
        got.download = part(timed(lane, 1, |lane| lane.download(from, 0, &mut host))?);
        Ok(())
    });
    note(&mut got, "copies", result);
    for arithmetic in [Arithmetic::F32, Arithmetic::Tf32, Arithmetic::F64] {
        let double = arithmetic == Arithmetic::F64;
        if double && !session.descriptor().f64 {
            continue;
        }
        let n: usize = match (full, double) {
            (true, false) => 8192,
            (true, true) => 4096,
            (false, _) => 128,
        };
        let _ = watch.begin(format!("product of {n} in {}", arithmetic.name()));
        let size = n * n * if double { 8 } else { 4 };
        let result = with_memory(lane, &[size; 3], |lane, memory| {
            fill(lane, &memory[..2], size, double)?;
            let gemm = Gemm { tf32: arithmetic == Arithmetic::Tf32, ..Gemm::new(n, n, n) };
            let [a, b, c] = [0, 1, 2].map(|i| At::from(memory[i]));
            let seconds = timed(lane, 3, |lane| match lane.blas() {
                Some(blas) => blas.gemm(&gemm, double, a, b, c),
                None => Err(DeviceError::Unsupported("it has no matrix products".into())),
            })?;
            got.gemm[arithmetic as usize] = 2.0 * (n as f64).powi(3) / seconds;
            Ok(())
        });
        note(&mut got, arithmetic.name(), result);
    }
    Ok(got)
}

fn note(got: &mut Ceilings, what: &str, result: Result<(), DeviceError>) {
    if let Err(e) = result {
        got.notes.push(format!("{what}: {e}"));
    }
}

/// Numbers that are not all alike: a card that multiplies zeros draws less power and runs faster than it can.
fn fill(lane: &mut dyn DeviceLane, to: &[Handle], bytes: usize, double: bool) -> Result<(), DeviceError> {
    use crate::cli::device::inputs::{Kind, tensor};
    use offload_api::{DType, TensorSpec};
    let dtype = if double { DType::F64 } else { DType::F32 };
    for (seed, handle) in (1..).zip(to) {
        let spec = TensorSpec::new(dtype, [bytes / dtype.size_bytes()]);
        let numbers = tensor(Kind::Uniform, &spec, seed).map_err(DeviceError::Call)?;
        lane.upload(*handle, 0, numbers.data().as_bytes())?;
    }
    Ok(())
}

/// Takes memory, does something with it, and gives it back.
fn with_memory(
    lane: &mut dyn DeviceLane,
    sizes: &[usize],
    work: impl FnOnce(&mut dyn DeviceLane, &[Handle]) -> Result<(), DeviceError>,
) -> Result<(), DeviceError> {
    let mut memory = Vec::new();
    let mut result = Ok(());
    for size in sizes {
        match lane.alloc(&TenantId::new("bench"), *size) {
            Ok(handle) => memory.push(handle),
            Err(e) => result = Err(e),
        }
    }
    let result = result.and_then(|()| work(lane, &memory));
    // Memory is given back as it came: it reads zero.
    let zeroed = memory.iter().try_for_each(|handle| lane.set(*handle, 0)).and_then(|()| lane.synchronize());
    memory
        .into_iter()
        .for_each(|handle| if zeroed.is_ok() { lane.free(handle) } else { lane.retire(handle) });
    result.and(zeroed)
}

/// Seconds of one call, by the device's clock: the median of the runs, each of `calls` calls.
fn timed(
    lane: &mut dyn DeviceLane,
    calls: usize,
    mut call: impl FnMut(&mut dyn DeviceLane) -> Result<(), DeviceError>,
) -> Result<f64, DeviceError> {
    let mut seconds = Vec::with_capacity(RUNS);
    for run in 0..=RUNS {
        let from = lane.mark()?;
        for _ in 0..calls {
            call(lane)?;
        }
        let to = lane.mark()?;
        lane.synchronize()?;
        if run > 0 {
            seconds.push(lane.between(from, to)?.as_secs_f64() / calls as f64);
        }
    }
    seconds.sort_by(f64::total_cmp);
    // A clock that did not move says nothing.
    Ok(seconds[RUNS / 2].max(1e-9))
}
