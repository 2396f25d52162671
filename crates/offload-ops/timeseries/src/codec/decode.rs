//! Bytes to series: everything that sizes anything is checked first, then blocks are read in parallel.

use super::MAX_BLOCK;
use super::block;
use super::cursor::Corrupt;
use super::gorilla;
use super::header::{ENTRY_BYTES, Element, Header, Unreadable, checksum, entries};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Series as they were before.
pub(crate) struct Decoded {
    pub(crate) element: Element,
    /// One series behind the other.
    pub(crate) values: Vec<u64>,
    /// How many series there are; `None` for one that is no row of a matrix.
    pub(crate) series: Option<usize>,
    /// Values of each.
    pub(crate) length: usize,
    pub(crate) timestamps: Option<Vec<u64>>,
}

/// A block to be read.
struct Job<'a> {
    bytes: &'a [u8],
    checksum: u32,
    element: Element,
    out: &'a mut [u64],
}

/// The most bytes beyond the result that reading a file of this many bytes takes: a note for each block, of which there
/// are as many as their bytes allow, and what each thread works with.
pub(crate) fn workspace_bytes(file: u64) -> u64 {
    let thread = 8 * 2 * MAX_BLOCK as u64 + 4096;
    let blocks = file / (ENTRY_BYTES as u64 + 1);
    blocks * size_of::<Job<'_>>() as u64 + thread * 2 * (rayon::current_num_threads() as u64 + 1)
}

/// Reads a file that holds at most `limit` values, timestamps counted. Nothing is allocated before that is known.
///
/// # Errors
/// When the job was cancelled; the inner error when the bytes cannot be read.
pub(crate) fn decode(file: &[u8], limit: u64, ctx: &Context) -> Result<Result<Decoded, Unreadable>, Failure> {
    ctx.check()?;
    let (header, index, body) = match Header::read(file, limit) {
        Ok(parts) => parts,
        Err(e) => return Ok(Err(e)),
    };
    // Within the limit, so within what memory can be addressed.
    let (series, length) = (header.series as usize, header.length as usize);
    let block = header.block as usize;
    let mut values = vec![0; if length == 0 { 0 } else { series * length }];
    let mut timestamps = header.timestamps.then(|| vec![0; length]);
    let mut jobs = Vec::with_capacity(index.len() / ENTRY_BYTES);
    let stamps = timestamps.iter_mut().flat_map(|t| t.chunks_mut(block)).map(|out| (Element::I64, out));
    let rows = values.chunks_mut(length.max(1)).flat_map(|row| row.chunks_mut(block));
    let places = stamps.chain(rows.map(|out| (header.element, out)));
    let mut rest = body;
    for ((bytes, checksum), (element, out)) in entries(index).zip(places) {
        let Some((bytes, after)) = rest.split_at_checked(bytes as usize) else { break };
        jobs.push(Job { bytes, checksum, element, out });
        rest = after;
    }
    let wrong = jobs
        .par_iter_mut()
        .with_min_len(16)
        .enumerate()
        .map_init(gorilla::Scratch::default, |scratch, (number, job)| {
            ctx.check()?;
            let of_block = |Corrupt(why): Corrupt| Unreadable::Corrupt(why, Some(number as u64));
            if checksum(job.bytes) != job.checksum {
                return Ok(Some(of_block(Corrupt("its checksum is another"))));
            }
            Ok(block::decode(job.bytes, job.element, scratch, job.out).err().map(of_block))
        })
        .find_map_first(|done: Result<Option<Unreadable>, Failure>| done.transpose());
    drop(jobs);
    if let Some(wrong) = wrong {
        return wrong.map(Err);
    }
    let series = (header.rank == 2).then_some(series);
    Ok(Ok(Decoded { element: header.element, values, series, length, timestamps }))
}
