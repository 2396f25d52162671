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

/// Where rows go.
pub(super) struct Place<'a> {
    pub(super) rows: &'a Buffer<f32>,
    pub(super) weights: &'a Buffer<f32>,
    /// How many have no place, then up to `most` of them.
    pub(super) apart: &'a Buffer<u32>,
    pub(super) most: usize,
}

/// Packed rows of a tile, weights of all rows, and those that have no place.
pub(super) struct Packed {
    centre: Buffer<f64>,
    pub(super) rows: Buffer<f32>,
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
            rows: gpu.zeros(if bounds.packed { size.packed_rows() * size.width } else { 1 })?,
            weights: gpu.zeros(size.rows)?,
            apart: gpu.zeros(1 + APART)?,
        };
        if !bounds.packed {
            packed.start(gpu, size, of, bounds, (0, size.rows, 1), false, &packed.place())?;
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
        self.start(gpu, size, of, bounds, (first, count, 1), true, &self.place())?;
        Ok(self.rows.at(0))
    }

    fn place(&self) -> Place<'_> {
        Place { rows: &self.rows, weights: &self.weights, apart: &self.apart, most: APART }
    }

    /// Starts packing `count` rows, each `step`-th from `first` times that on, or only weighing them.
    #[allow(clippy::too_many_arguments, reason = "which rows, in which form, and where to")]
    pub(super) fn start<T: KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &Vectors<T>,
        bounds: &Bounds,
        (first, count, step): (usize, usize, usize),
        write: bool,
        to: &Place<'_>,
    ) -> Result<(), Failure> {
        let groups = count.div_ceil((BLOCK / LANES) as usize).min(MOST_GROUPS) as u32;
        pack::vector_pack::<T>(
            gpu,
            Groups([groups, 1, 1]),
            first as u32,
            count as u32,
            step as u32,
            size.d as u32,
            size.width as u32,
            number(of.metric),
            u32::from(write),
            u32::from(size.masked),
            to.most as u32,
            bounds.frame.scale,
            &self.centre,
            &of.corpus,
            &of.filter,
            to.rows,
            to.weights,
            to.apart,
        )
    }
}
