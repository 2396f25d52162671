//! Reading on a device: header, index and checksums are held against the bytes here, blocks are read there.

use super::super::decode::{self as host, Decoded};
use super::super::header::{ENTRY_BYTES, Element, Header, Unreadable, checksum, entries};
use crate::device::sum;
use offload_api::Tensor;
use offload_core::device::{Buffer, DeviceError, Gpu, Groups};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Words of a job in the text.
const JOB: usize = 4;

offload_core::kernels! {
    /// Blocks of a file.
    pub(crate) static DECODE = "series_decode" {
        text: include_str!("decode.gpu.c"),
        block: 128,
        elements: [],
        defines: [],
    }
    /// The values of blocks that are raw, constant or split; `bad` becomes 1 when one is no block.
    fn decode_plain(length: u64, file: [u8], jobs: [u64], values: [u64], bad: [u32]);
    /// Of blocks by gorilla.
    fn decode_gorilla(length: u64, file: [u8], jobs: [u64], values: [u64], bad: [u32]);
    /// Of blocks of differences, and of decimals.
    fn decode_integers(length: u64, file: [u8], jobs: [u64], values: [u64], bad: [u32]);
}

/// An entry of the text.
type Decoder = fn(
    &mut Gpu<'_>,
    Groups,
    u64,
    &Buffer<u8>,
    &Buffer<u64>,
    &Buffer<u64>,
    &Buffer<u32>,
) -> Result<(), Failure>;

/// Bytes of device memory for a file of so many bytes with at most so many values.
pub(crate) fn bytes(file: u64, limit: u64) -> u64 {
    let jobs = (file / (ENTRY_BYTES as u64 + 1)).saturating_mul(8 * JOB as u64);
    sum(&[file, limit.saturating_mul(8), jobs, 4])
}

/// Reads a file that holds at most `limit` values, timestamps counted.
///
/// # Errors
/// When the job is to stop or the device fails; the inner error when the bytes cannot be read.
pub(crate) fn decode(
    gpu: &mut Gpu<'_>,
    (name, tensor): (&'static str, &Tensor),
    file: &[u8],
    limit: u64,
) -> Result<Result<Decoded, Unreadable>, Failure> {
    let ctx = gpu.context().clone();
    ctx.check()?;
    let (header, index, body) = match Header::read(file, limit) {
        Ok(parts) => parts,
        Err(e) => return Ok(Err(e)),
    };
    let places: Vec<_> = places(file, index, body).collect();
    // The CPU says which block it is, and what is wrong with one before it.
    if places.is_empty() || !hold(file, index, &places, &ctx)? {
        return host::decode(file, limit, &ctx);
    }
    let length = header.length as usize;
    let stamps = if header.timestamps { length } else { 0 };
    let count = stamps + header.series as usize * length;
    let (mut plain, mut gorilla, mut integers, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (&(from, bytes), [to, kind]) in places.iter().zip(outputs(&header)) {
        let of = match file.get(from as usize).filter(|_| bytes > 0) {
            Some(0 | 1 | 5) => &mut plain,
            Some(2) => &mut gorilla,
            Some(3 | 4) => &mut integers,
            _ => {
                unknown = true;
                break;
            }
        };
        of.extend([from, bytes, to, kind]);
    }
    if unknown {
        return host::decode(file, limit, &ctx);
    }
    let bytes = gpu.input::<u8>(name, tensor)?;
    let (values, bad) = (gpu.zeros::<u64>(count)?, gpu.zeros::<u32>(1)?);
    let length_bytes = file.len() as u64;
    for (jobs, decode) in
        [(plain, decode_plain as Decoder), (gorilla, decode_gorilla), (integers, decode_integers)]
    {
        if !jobs.is_empty() {
            let groups = Groups([(jobs.len() / JOB) as u32, 1, 1]);
            let jobs = gpu.upload(&jobs)?;
            decode(gpu, groups, length_bytes, &bytes, &jobs, &values, &bad)?;
        }
    }
    if gpu.download(&bad)?[0] > 0 {
        return match host::decode(file, limit, &ctx)? {
            Ok(_) => Err(DeviceError::Call("a block was read wrongly".into()).into()),
            wrong => Ok(wrong),
        };
    }
    let timestamps = if header.timestamps { Some(gpu.download_range(&values, 0, stamps)?) } else { None };
    Ok(Ok(Decoded {
        element: header.element,
        values: gpu.download_range(&values, stamps, count - stamps)?,
        series: (header.rank == 2).then_some(header.series as usize),
        length,
        timestamps,
    }))
}

/// Where each block begins in the file, and its bytes.
fn places<'a>(file: &[u8], index: &'a [u8], body: &[u8]) -> impl Iterator<Item = (u64, u64)> + 'a {
    let begin = (file.len() - body.len()) as u64;
    entries(index).scan(begin, |at, (bytes, _)| {
        let from = *at;
        *at += u64::from(bytes);
        Some((from, u64::from(bytes)))
    })
}

/// Where the values of each block go, and how many there are, with a mark where they are of `f64`.
fn outputs(header: &Header) -> impl Iterator<Item = [u64; 2]> {
    let (length, block, stamps) = (header.length, u64::from(header.block), u64::from(header.timestamps));
    let real = u64::from(header.element == Element::F64) << 32;
    (0..stamps + header.series).flat_map(move |column| {
        let kind = if column < stamps { 0 } else { real };
        (0..header_blocks(length, block)).map(move |b| {
            let from = b * block;
            [column * length + from, (length - from).min(block) | kind]
        })
    })
}

fn header_blocks(length: u64, block: u64) -> u64 {
    length.div_ceil(block.max(1))
}

/// Whether the checksums of all blocks hold.
fn hold(file: &[u8], index: &[u8], places: &[(u64, u64)], ctx: &Context) -> Result<bool, Failure> {
    let sums: Vec<u32> = entries(index).map(|(_, sum)| sum).collect();
    let wrong = places.par_iter().zip(&sums).with_min_len(16).find_map_any(|(&(from, bytes), sum)| {
        if let Err(stopped) = ctx.check() {
            return Some(Err(stopped));
        }
        let block = file.get(from as usize..(from + bytes) as usize).unwrap_or_default();
        (checksum(block) != *sum).then_some(Ok(()))
    });
    wrong.transpose().map(|wrong| wrong.is_none())
}
