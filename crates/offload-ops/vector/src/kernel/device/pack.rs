//! Rows as products take them: packed where they must be moved or scaled, and the weight of each.

use super::bounds::Bounds;
use super::exact::Vectors;
use super::number;
use super::size::{APART, Size};
use super::texts::{BLOCK, LANES, pack};
use offload_core::Failure;
use offload_core::device::{At, Buffer, Gpu, Groups, KernelElement};

/// Groups at most.
const MOST_GROUPS: usize = 8192;

/// Packed rows of a tile, weights of all rows, and those that have no place.
pub(super) struct Packed {
    centre: Buffer<f64>,
    rows: Buffer<f32>,
    pub(super) weights: Buffer<f32>,
    /// How many, then the rows.
    pub(super) apart: Buffer<u32>,
}

impl Packed {
    /// Room for them; rows that are taken as they are get their weights at once.
    pub(super) fn new<T: KernelElement>(
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &Vectors<T>,
        bounds: &Bounds,
    ) -> Result<Packed, Failure> {
        let centre = if bounds.frame.centre.is_empty() {
            gpu.zeros(size.d)?
        } else {
            gpu.upload(&bounds.frame.centre)?
        };
        let packed = Packed {
            centre,
            rows: gpu.zeros(if bounds.packed { size.tile * size.width } else { 1 })?,
            weights: gpu.zeros(size.rows)?,
            apart: gpu.zeros(1 + APART)?,
        };
        if !bounds.packed {
            packed.start(gpu, size, of, bounds, (0, size.rows))?;
        }
        Ok(packed)
    }

    /// Begins a pass over the corpus.
    pub(super) fn begin(&self, gpu: &mut Gpu<'_>, bounds: &Bounds) -> Result<(), Failure> {
        // They are named anew by each pass that packs.
        if bounds.packed { gpu.clear(&self.apart) } else { Ok(()) }
    }

    /// These rows, in memory in a form that a product takes.
    pub(super) fn tile<T: KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &Vectors<T>,
        bounds: &Bounds,
        (first, count): (usize, usize),
    ) -> Result<At, Failure> {
        if !bounds.packed {
            return Ok(of.corpus.at(first * size.d));
        }
        self.start(gpu, size, of, bounds, (first, count))?;
        Ok(self.rows.at(0))
    }

    fn start<T: KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &Vectors<T>,
        bounds: &Bounds,
        (first, count): (usize, usize),
    ) -> Result<(), Failure> {
        let groups = count.div_ceil((BLOCK / LANES) as usize).min(MOST_GROUPS) as u32;
        pack::vector_pack::<T>(
            gpu,
            Groups([groups, 1, 1]),
            first as u32,
            count as u32,
            size.d as u32,
            size.width as u32,
            number(of.metric),
            u32::from(bounds.packed),
            u32::from(size.masked),
            APART as u32,
            bounds.frame.scale,
            &self.centre,
            &of.corpus,
            &of.filter,
            &self.rows,
            &self.weights,
            &self.apart,
        )
    }
}
