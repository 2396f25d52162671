//! Distances of all windows from a query on a device, product by product, and the nearest of them.

use super::windows::standard;
use super::{Asked, pick};
use crate::device::{ITEMS, covering, sum};
use crate::rolling::gpu::{Joined, Pieces, moments_bytes};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};
use std::ops::Range;

/// Windows of an item: `SIDE` in the text.
const SIDE: usize = 7;

/// The longest query that is multiplied out; beyond, transforms on the CPU have so much less to do that a device gains
/// little.
pub(super) const LONGEST_QUERY: usize = 1 << 13;

offload_core::kernels! {
    /// Distances from a query, and the least of them.
    pub(super) static SEARCH = "series_match" {
        text: include_str!("search.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// The distance of each window from `query`.
    fn match_distances(
        windows: u32, m: u32, is_constant: u32, query: [f64], x: [f64], squares: [f64], out: [f64],
    );
    /// The least of each run.
    fn match_least(first: u32, run: u32, count: u32, left: [f64], least: [f64], at: [u32]);
    /// Leaves places out.
    fn match_leave(from: u32, to: u32, left: [f64]);
}

/// Bytes of device memory beside the series.
pub(super) fn bytes(a: Asked) -> u64 {
    let (n, windows) = ((a.windows + a.m - 1) as u64, a.windows as u64);
    sum(&[moments_bytes(n), 8 * a.m as u64, 8 * windows, 12 * windows.div_ceil(pick::BLOCK as u64)])
}

/// The distance of each window of `x` from the query.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn distances(
    gpu: &mut Gpu<'_>,
    x: &Buffer<f64>,
    query: &[f64],
    windows: usize,
) -> Result<Buffer<f64>, Failure> {
    let m = query.len();
    let joined = Joined::new(gpu, x.len(), 2)?;
    joined.join(gpu, Pieces::Moments { mark: true }, x, x.len(), m)?;
    let standard = standard(query);
    let query = gpu.upload(standard.as_deref().unwrap_or(query))?;
    let out = gpu.zeros::<f64>(windows)?;
    let groups = Groups([windows.div_ceil(ITEMS as usize * SIDE) as u32, 1, 1]);
    let (constant, squares) = (u32::from(standard.is_none()), &joined.whole[1]);
    match_distances(gpu, groups, windows as u32, m as u32, constant, &query, x, squares, &out)?;
    Ok(out)
}

/// Distances in device memory, of which places are left out.
pub(super) struct OnDevice<'a, 'g> {
    gpu: &'a mut Gpu<'g>,
    left: Buffer<f64>,
    least: Buffer<f64>,
    at: Buffer<u32>,
}

impl<'a, 'g> OnDevice<'a, 'g> {
    /// All of them.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn new(gpu: &'a mut Gpu<'g>, left: Buffer<f64>) -> Result<Self, Failure> {
        let blocks = left.len().div_ceil(pick::BLOCK);
        let (least, at) = (gpu.zeros(blocks)?, gpu.zeros(blocks)?);
        Ok(OnDevice { gpu, left, least, at })
    }
}

impl pick::Left for OnDevice<'_, '_> {
    fn len(&self) -> usize {
        self.left.len()
    }

    fn least(&mut self, blocks: Range<usize>) -> Result<Vec<Option<(f64, usize)>>, Failure> {
        let (first, count) = (blocks.start, blocks.len());
        let (groups, len) = (Groups([count as u32, 1, 1]), self.left.len() as u32);
        match_least(
            self.gpu,
            groups,
            first as u32,
            pick::BLOCK as u32,
            len,
            &self.left,
            &self.least,
            &self.at,
        )?;
        let least = self.gpu.download_range(&self.least, first, count)?;
        let at = self.gpu.download_range(&self.at, first, count)?;
        let found = |(least, at): (f64, u32)| (at != u32::MAX).then_some((least, at as usize));
        Ok(least.into_iter().zip(at).map(found).collect())
    }

    fn leave_out(&mut self, places: Range<usize>) -> Result<(), Failure> {
        match_leave(self.gpu, covering(places.len()), places.start as u32, places.end as u32, &self.left)
    }
}
