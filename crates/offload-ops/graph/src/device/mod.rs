//! A graph on a device.
//!
//! The host makes rows and columns of a request's graph as the CPU path does, in the process that drives the device.
//! Those of a graph whose columns are a dataset's stay on the device between requests, beside the inputs of other
//! operations and within the same bound; a request that finds them there moves only its answer.
//!
//! `frontier.gpu.c` is the text that searches begin with: sums over a group, and finds on their way to a queue.

mod scan;
mod turns;

#[cfg(test)]
mod tests;

pub(crate) use scan::{SCAN, Scan};
pub(crate) use turns::Turns;

use crate::csr::{Arcs, Csr, Network};
use offload_core::device::{Buffer, DeviceError, Gpu, Groups};
use offload_core::{Context, Failure};
use std::sync::Arc;

/// Items of a group in every text of the family.
pub(crate) const BLOCK: u32 = 256;

/// Groups in flight on each unit of a device; more have nowhere to run, and loops over what there is cost less than
/// starting them.
const GROUPS_PER_UNIT: usize = 8;

/// Bytes for arguments that are never read and buffers of a few words.
pub(crate) const SMALL_BYTES: u64 = 4096;

/// Groups for one item per element, at most as many as the device can have under way.
pub(crate) fn groups(gpu: &Gpu<'_>, elements: usize) -> Groups {
    let most = (gpu.device().units as usize).max(1) * GROUPS_PER_UNIT;
    let needed = elements.div_ceil(BLOCK as usize).max(1);
    Groups([needed.min(most) as u32, 1, 1])
}

/// Kernels that compute in `f64` are not for every device.
///
/// # Errors
/// [`DeviceError::Unsupported`], with `what` is `f64`.
pub(crate) fn needs_f64(gpu: &Gpu<'_>, what: &str) -> Result<(), Failure> {
    if gpu.device().f64 {
        return Ok(());
    }
    Err(DeviceError::Unsupported(format!("{what} are f64, which the device does not have")).into())
}

/// The rows of a graph on the device.
pub(crate) struct Rows {
    /// Where each node's row begins, and the end of the last, `[nodes + 1]`.
    pub(crate) offsets: Buffer<u32>,
    /// The other ends of the arcs; one that is never read where there are none.
    pub(crate) targets: Buffer<u32>,
    /// Their weights; one that is never read where each weighs 1.
    pub(crate) weights: Buffer<f64>,
    /// Whether they have weights.
    pub(crate) weighted: bool,
    /// How many arcs there are.
    pub(crate) arcs: usize,
}

impl Rows {
    /// Bytes that rows of so many nodes and arcs take.
    pub(crate) fn bytes(nodes: u64, arcs: u64, weighted: bool) -> u64 {
        4 * (nodes + 1) + arcs * if weighted { 12 } else { 4 } + SMALL_BYTES
    }

    /// The rows of these arcs: with weights where the graph has them and `weighted` asks for them, in the order of the
    /// edges; else without weights, each row by target.
    ///
    /// # Errors
    /// When the device has no memory, or the job is to stop.
    pub(crate) fn of(
        network: &Network,
        arcs: Arcs,
        weighted: bool,
        gpu: &mut Gpu<'_>,
    ) -> Result<Rows, Failure> {
        let weighted = weighted && network.weights().is_some();
        let origin = network.rows_origin(arcs, weighted, !weighted);
        let origin = origin.as_ref();
        let mut made = Made { network, arcs, weighted, ctx: gpu.context().clone(), csr: None };
        let offsets = gpu.derived(origin, "offsets", || made.column(|csr| &csr.offsets[..]))?;
        let mut targets = gpu.derived(origin, "targets", || made.column(|csr| &csr.targets[..]))?;
        let arcs = targets.len();
        if arcs == 0 {
            targets = gpu.zeros(1)?;
        }
        let weights = if weighted && arcs > 0 {
            gpu.derived(origin, "weights", || made.column(|csr| &csr.weights[..]))?
        } else {
            gpu.zeros(1)?
        };
        Ok(Rows { offsets, targets, weights, weighted, arcs })
    }
}

/// More arcs than this make a long row, which many groups share.
pub(crate) const LONG: u32 = 4096;

/// The most long rows among so many arcs, and the most parts of up to [`LONG`] arcs of theirs.
pub(crate) fn long_rows(arcs: u64) -> (u64, u64) {
    let rows = arcs / u64::from(LONG);
    (rows, arcs / u64::from(LONG) + rows)
}

/// Words of the list of no long rows.
pub(crate) const NO_LONG_ROWS: usize = 3;

/// The long rows of a graph on the device: how many, then each followed by the number of its first part of [`LONG`]
/// arcs, those of all rows counted through; 0 and the number of all parts at the end. The arguments are those of [`Rows::of`].
///
/// # Errors
/// When the device has no memory, or the job is to stop.
pub(crate) fn long_rows_of(
    network: &Network,
    arcs: Arcs,
    weighted: bool,
    gpu: &mut Gpu<'_>,
) -> Result<Buffer<u32>, Failure> {
    let weighted = weighted && network.weights().is_some();
    let origin = network.rows_origin(arcs, weighted, !weighted);
    let mut made = Made { network, arcs, weighted, ctx: gpu.context().clone(), csr: None };
    gpu.derived(origin.as_ref(), "long", || {
        let csr = made.column(|csr| &csr.offsets[..])?;
        let (mut list, mut parts) = (vec![0], 0);
        for (u, row) in (0u32..).zip(csr.as_ref().windows(2)) {
            let degree = row[1] - row[0];
            if degree > LONG {
                list.extend([u, parts]);
                parts += degree.div_ceil(LONG);
            }
        }
        list[0] = (list.len() / 2) as u32;
        list.extend([0, parts]);
        Ok(list)
    })
}

/// Rows in the making: built once, when the first of their parts is not on the device.
struct Made<'a> {
    network: &'a Network,
    arcs: Arcs,
    weighted: bool,
    ctx: Context,
    csr: Option<Arc<Csr>>,
}

impl Made<'_> {
    fn column<T>(&mut self, of: fn(&Csr) -> &[T]) -> Result<Column<T>, Failure> {
        let csr = match &self.csr {
            Some(csr) => Arc::clone(csr),
            None if self.weighted => self.network.rows(self.arcs, true, &self.ctx)?,
            None => self.network.sorted_rows(self.arcs, &self.ctx)?,
        };
        self.csr = Some(Arc::clone(&csr));
        Ok(Column { csr, of })
    }
}

/// One of the arrays of rows.
struct Column<T> {
    csr: Arc<Csr>,
    of: fn(&Csr) -> &[T],
}

impl<T> AsRef<[T]> for Column<T> {
    fn as_ref(&self) -> &[T] {
        (self.of)(&self.csr)
    }
}

/// The edges of a graph on the device, by index, as they come.
pub(crate) struct Edges {
    /// Where they start.
    pub(crate) src: Buffer<u32>,
    /// Where they end.
    pub(crate) dst: Buffer<u32>,
    /// Their weights; one that is never read where each weighs 1, or none are asked for.
    pub(crate) weights: Buffer<f64>,
}

impl Edges {
    /// Bytes that so many edges take.
    pub(crate) fn bytes(edges: u64, weighted: bool) -> u64 {
        edges * if weighted { 16 } else { 8 } + SMALL_BYTES
    }

    /// The edges of a graph that has some, with weights where it has them and `weighted` asks for them.
    ///
    /// # Errors
    /// When the device has no memory.
    pub(crate) fn of(network: &Network, weighted: bool, gpu: &mut Gpu<'_>) -> Result<Edges, Failure> {
        let origin = network.origin();
        let column =
            |gpu: &mut Gpu<'_>, part, list| gpu.derived(origin, part, || Ok::<&[u32], Failure>(list));
        let src = column(gpu, "src", &network.src[..])?;
        let dst = column(gpu, "dst", &network.dst[..])?;
        let weights = match network.weights().filter(|_| weighted) {
            Some(weights) => gpu.derived(origin, "weight", || Ok::<&[f64], Failure>(weights))?,
            None => gpu.zeros(1)?,
        };
        Ok(Edges { src, dst, weights })
    }
}
