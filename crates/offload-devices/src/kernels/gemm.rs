//! Matrix products for lanes without a vendor's library: tiles in shared memory, written in the dialect.

use offload_core::api::DType;
use offload_core::device::{Argument, At, DeviceError, DeviceLane, Gemm, KernelSource, Launch};

offload_core::kernels! {
    /// Tiles of 64 × 64, 16 deep.
    pub(super) static GEMM = "gemm_tiled" {
        text: include_str!("gemm.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [("TILE", "64u"), ("DEPTH", "16u")],
    }
    /// The tiles of `c` from number `first` on, one a group. Offsets and steps are in elements; a step of 0 is an
    /// operand that all products share.
    fn gemm_tiled<T>(
        first: u64, m: u32, n: u32, k: u32, flip_a: u32, flip_b: u32,
        step_a: u64, step_b: u64, at_a: u64, at_b: u64, at_c: u64,
        a: [T], b: [T], c: [T],
    );
}

/// Rows and columns of a tile, as the text has it.
const TILE: u64 = 64;

/// Groups of one launch: some drivers count items in 32 bits.
const MOST_GROUPS: u64 = 1 << 22;

/// `c = op(a) · op(b)` on any lane that compiles kernels. Sums are formed in the order of `k` by fused multiply-add, so
/// a result repeats to the bit.
///
/// # Errors
/// When the lane refuses; [`DeviceError::Unsupported`] for an extent beyond 2³² − 1.
pub fn gemm(
    lane: &mut dyn DeviceLane,
    gemm: &Gemm,
    double: bool,
    a: At,
    b: At,
    c: At,
) -> Result<(), DeviceError> {
    if gemm.m == 0 || gemm.n == 0 || gemm.batch == 0 {
        return Ok(());
    }
    let extent = |n: usize| {
        u32::try_from(n)
            .map_err(|_| DeviceError::Unsupported(format!("a matrix product with an extent of {n}")))
    };
    let (m, n, k) = (extent(gemm.m)?, extent(gemm.n)?, extent(gemm.k)?);
    let size = if double { 8 } else { 4 };
    let elements = |at: At| {
        let bytes = at.offset_bytes;
        let aligned = bytes.is_multiple_of(size).then_some(bytes / size);
        aligned.ok_or_else(|| DeviceError::Call(format!("gemm: {bytes} bytes are not whole elements")))
    };
    let (at_a, at_b, at_c) = (elements(a)?, elements(b)?, elements(c)?);
    let step =
        |own: bool, rows: u32, columns: u32| if own { u64::from(rows) * u64::from(columns) } else { 0 };

    let element = Some(if double { DType::F64 } else { DType::F32 });
    let module = lane.compile(&KernelSource { text: &GEMM, element })?;
    let tiles = u64::from(m).div_ceil(TILE) * u64::from(n).div_ceil(TILE);
    let tiles = tiles
        .checked_mul(gemm.batch as u64)
        .ok_or_else(|| DeviceError::Unsupported(format!("{} matrix products at once", gemm.batch)))?;
    let mut first = 0;
    while first < tiles {
        let groups = (tiles - first).min(MOST_GROUPS);
        let arguments = [
            Argument::U64(first),
            Argument::U32(m),
            Argument::U32(n),
            Argument::U32(k),
            Argument::U32(u32::from(gemm.transpose_a)),
            Argument::U32(u32::from(gemm.transpose_b)),
            Argument::U64(step(gemm.batched.0, m, k)),
            Argument::U64(step(gemm.batched.1, k, n)),
            Argument::U64(at_a),
            Argument::U64(at_b),
            Argument::U64(at_c),
            Argument::Buffer(a.handle),
            Argument::Buffer(b.handle),
            Argument::Buffer(c.handle),
        ];
        lane.launch(&Launch {
            module,
            entry: "gemm_tiled",
            groups: [groups as u32, 1, 1],
            block: GEMM.block,
            arguments: &arguments,
        })?;
        first += groups;
    }
    Ok(())
}
