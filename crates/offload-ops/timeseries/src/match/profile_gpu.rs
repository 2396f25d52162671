//! The matrix profile on a device: the CPU's figures of each window, and its arithmetic along the diagonals, so that both
//! find the same neighbours to the bit.

use super::Asked;
use super::profile::{ANEW, Known, NOBODY, Profile};
use crate::device::sum;
use offload_core::Failure;
use offload_core::device::{Gpu, Groups};

/// Items of a group, and diagonals of an item: `SIDE` in the text.
const ITEMS: u32 = 64;
const DIAGONALS: usize = 4 * ITEMS as usize;
/// Bytes of what groups find, before it is joined.
const FOUND_BYTES: usize = 128 << 20;

const _: () = assert!(ANEW == 4096, "as the text has it");

offload_core::kernels! {
    /// Blocks of diagonals.
    pub(super) static PROFILE = "series_profile" {
        text: include_str!("profile.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [("ANEW", "4096u")],
    }
    /// The best of each row and column among the pairs of some diagonals.
    fn profile_diagonals(
        windows: u32, m: u32, first: u32, x: [f64], mean: [f64], scale: [f64], half_step: [f64], both: [f64],
        row_best: [f64], row_at: [u32], column_best: [f64], column_at: [u32],
    );
    /// The best of these for each window.
    fn profile_join(
        windows: u32, first: u32, blocks: u32, row_best: [f64], row_at: [u32], column_best: [f64], column_at: [u32],
        known: u32, best: [f64], at: [u32],
    );
}

/// How the diagonals are cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    first: usize,
    segments: usize,
    blocks: usize,
    /// Blocks of diagonals at a time.
    together: usize,
}

impl Cut {
    fn of(a: Asked) -> Cut {
        let first = a.exclusion.saturating_add(1);
        let segments = a.windows.div_ceil(ANEW);
        let blocks = a.windows.saturating_sub(first).div_ceil(DIAGONALS);
        let each = 12 * (a.windows + segments * (ANEW + DIAGONALS));
        Cut { first, segments, blocks, together: (FOUND_BYTES / each).clamp(1, blocks.max(1)) }
    }

    fn columns(&self) -> usize {
        self.together * self.segments * (ANEW + DIAGONALS)
    }
}

/// Bytes of device memory.
pub(super) fn bytes(a: Asked) -> u64 {
    let cut = Cut::of(a);
    let (n, windows) = ((a.windows + a.m - 1) as u64, a.windows as u64);
    let found = 12 * (cut.together * a.windows + cut.columns()) as u64;
    sum(&[8 * n, 4 * 8 * windows, found, 12 * windows])
}

/// Finds the profile of a series.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn of(x: &[f64], a: Asked, gpu: &mut Gpu<'_>) -> Result<Profile, Failure> {
    let (cut, windows) = (Cut::of(a), a.windows);
    if cut.blocks == 0 {
        return Ok(Profile {
            correlation: vec![f64::NEG_INFINITY; windows],
            neighbour: vec![NOBODY; windows],
        });
    }
    let ctx = gpu.context().clone();
    let known = Known::of(x, a, &ctx)?;
    let x = gpu.upload(&known.x)?;
    let (mean, scale) = (gpu.upload(&known.mean)?, gpu.upload(&known.scale)?);
    let (half, both) = (gpu.upload(&known.half)?, gpu.upload(&known.both)?);
    let (row_best, row_at) = (gpu.zeros(cut.together * windows)?, gpu.zeros(cut.together * windows)?);
    let (column_best, column_at) = (gpu.zeros(cut.columns())?, gpu.zeros(cut.columns())?);
    let (best, at) = (gpu.zeros(windows)?, gpu.zeros(windows)?);
    for done in (0..cut.blocks).step_by(cut.together) {
        ctx.block(done, cut.blocks)?;
        let blocks = cut.together.min(cut.blocks - done);
        let first = (cut.first + done * DIAGONALS) as u32;
        let groups = Groups([cut.segments as u32, blocks as u32, 1]);
        profile_diagonals(
            gpu,
            groups,
            windows as u32,
            a.m as u32,
            first,
            &x,
            &mean,
            &scale,
            &half,
            &both,
            &row_best,
            &row_at,
            &column_best,
            &column_at,
        )?;
        let (groups, known) = (Groups::covering(windows, ITEMS), u32::from(done > 0));
        profile_join(
            gpu,
            groups,
            windows as u32,
            first,
            blocks as u32,
            &row_best,
            &row_at,
            &column_best,
            &column_at,
            known,
            &best,
            &at,
        )?;
    }
    Ok(Profile { correlation: gpu.download(&best)?, neighbour: gpu.download(&at)? })
}
