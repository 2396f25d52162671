//! Series to bytes: blocks in parallel, then header, index and blocks one behind the other.

use super::block::{Coder, NAMES, Scratch};
use super::header::{ENTRY_BYTES, Element, HEADER_BYTES, Header, checksum};
use super::{BLOCK, MAX_BLOCK, Method};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Series of one length, and the timestamps that all of them share.
pub(crate) struct Source<'a> {
    pub(crate) element: Element,
    /// One series behind the other.
    pub(crate) values: &'a [u64],
    /// How many series there are; `None` for one that is no row of a matrix.
    pub(crate) series: Option<usize>,
    /// Values of each.
    pub(crate) length: usize,
    pub(crate) timestamps: Option<&'a [u64]>,
}

/// Bytes, and how they came about.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Blocks of values by their coding, those of timestamps left out.
    pub(crate) blocks: Vec<(&'static str, usize)>,
}

/// A block as written.
#[derive(Default)]
struct Written {
    bytes: Box<[u8]>,
    checksum: u32,
    coding: u8,
}

/// Bytes of a block that are not its values, at most: its coding and its place in the index.
const BLOCK_BYTES: u64 = 1 + ENTRY_BYTES as u64;

/// Blocks of series of this length, timestamps among them.
fn blocks(columns: u64, length: u64) -> u64 {
    columns.saturating_mul(length.div_ceil(BLOCK as u64))
}

/// The most bytes that so many columns of this length become.
pub(crate) fn most_bytes(columns: u64, length: u64) -> u64 {
    let values = columns.saturating_mul(length).saturating_mul(8);
    (HEADER_BYTES as u64)
        .saturating_add(values)
        .saturating_add(blocks(columns, length).saturating_mul(BLOCK_BYTES))
}

/// The most bytes beyond the result that writing takes: the blocks before they stand together, and what each thread
/// works with.
pub(crate) fn workspace_bytes(columns: u64, length: u64) -> u64 {
    let thread = 8 * (12 * MAX_BLOCK as u64) + 2 * (1 << 16);
    let held = blocks(columns, length).saturating_mul(size_of::<Written>() as u64 + 16);
    most_bytes(columns, length)
        .saturating_add(held)
        .saturating_add(thread * 2 * (rayon::current_num_threads() as u64 + 1))
}

/// Writes series.
///
/// # Errors
/// When the job was cancelled.
pub(crate) fn encode(
    source: &Source<'_>,
    method: Method,
    level: u8,
    ctx: &Context,
) -> Result<Encoded, Failure> {
    ctx.check()?;
    let coder = Coder::new(method, level, source.element, source.values);
    let clock = Coder::for_timestamps(level);
    let each = source.length.div_ceil(BLOCK);
    let stamps = if source.timestamps.is_some() { each } else { 0 };
    let of_series = |block: usize| {
        let start = block / each * source.length + block % each * BLOCK;
        let end = (start + BLOCK).min((block / each + 1) * source.length);
        &source.values[start..end]
    };
    let series = source.series.unwrap_or(1);
    let mut written: Vec<Written> = Vec::new();
    written.resize_with(stamps + series * each, Written::default);
    written.par_iter_mut().with_min_len(16).enumerate().try_for_each_init(
        || (Scratch::default(), Vec::new()),
        |(scratch, bytes), (block, place)| {
            ctx.check()?;
            bytes.clear();
            let coding = match source.timestamps {
                Some(t) if block < stamps => {
                    let start = block * BLOCK;
                    clock.encode(&t[start..t.len().min(start + BLOCK)], scratch, bytes)
                }
                _ => coder.encode(of_series(block - stamps), scratch, bytes),
            };
            *place = Written { bytes: bytes.as_slice().into(), checksum: checksum(bytes), coding };
            Ok::<(), Failure>(())
        },
    )?;
    let total: usize = written.iter().map(|w| w.bytes.len() + ENTRY_BYTES).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + total);
    header(source).write(written.iter().map(|w| (w.bytes.len() as u32, w.checksum)), &mut bytes);
    for some in written.chunks(1024) {
        ctx.check()?;
        some.iter().for_each(|w| bytes.extend_from_slice(&w.bytes));
    }
    Ok(Encoded { bytes, blocks: tally(written[stamps..].iter().map(|w| w.coding)) })
}

/// The header of a file of these series.
pub(super) fn header(source: &Source<'_>) -> Header {
    Header {
        element: source.element,
        rank: if source.series.is_some() { 2 } else { 1 },
        timestamps: source.timestamps.is_some(),
        series: source.series.unwrap_or(1) as u64,
        length: source.length as u64,
        block: BLOCK as u32,
    }
}

/// How many blocks have which coding.
pub(super) fn tally(codings: impl Iterator<Item = u8>) -> Vec<(&'static str, usize)> {
    let mut counts = [0usize; NAMES.len()];
    for coding in codings {
        if let Some(count) = counts.get_mut(usize::from(coding)) {
            *count += 1;
        }
    }
    NAMES.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect()
}
