//! Writing on a device: what all blocks are written with is decided here from samples, blocks are measured and written there
//! and put one behind the other, and header, index and checksums are made of them here.

use super::super::block::{self, Coder};
use super::super::encode::{Encoded, Source, header, tally};
use super::super::header::{Element, checksum};
use super::super::{BLOCK, Method};
use crate::device::sum;
use offload_api::Tensor;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups, KernelElement, KernelText};
use rayon::prelude::*;

/// The highest level whose codings are chosen as the texts do.
pub(crate) const HIGHEST_LEVEL: u8 = 6;

/// Items of a group.
const ITEMS: u32 = 128;
/// Bytes that a block has before they stand together.
const BLOCK_BYTES: usize = 8 * BLOCK + 8;
/// Pairs of exponents at most.
const PAIRS: usize = 5;
/// Words of a block that its decimals take: the integers, the exceptions' marks and what is said of them.
const DECIMAL_BYTES: u64 = 8 * BLOCK as u64 + 4 * ITEMS as u64 + 8;

const _: () = assert!(BLOCK == 2048, "as the texts have it");

offload_core::kernels! {
    /// Codings of any numbers.
    pub(crate) static ENCODE = "series_encode" {
        text: concat!(include_str!("pack.gpu.c"), include_str!("encode.gpu.c")),
        block: ITEMS,
        elements: [F64, I64],
        defines: [],
    }
    /// `same[block]`: whether all its values are one.
    fn encode_same<T>(each: u32, length: u64, values: [T], same: [u32]);
    /// Differences, of the values or of their decimals.
    fn encode_integers<T>(
        each: u32, length: u64, part: u32, decimal: u32, real: u32, by_median: u32, todo: [u32], values: [T],
        numbers: [u64], marks: [u32], heads: [u32], blocks: [u8], sizes: [u32],
    );
    /// XORs.
    fn encode_gorilla<T>(
        each: u32, length: u64, part: u32, leaf: u32, todo: [u32], values: [T], blocks: [u8], sizes: [u32],
    );
    /// Blocks one behind the other.
    fn encode_gather<T>(
        each: u32, length: u64, values: [T], blocks: [u8], kinds: [u32], sizes: [u32], begins: [u64], out: [u8],
    );
}

mod real {
    offload_core::kernels! {
        /// Codings of floating-point numbers.
        pub(crate) static DECIMALS = "series_decimals" {
            text: concat!(include_str!("pack.gpu.c"), include_str!("decimals.gpu.c")),
            block: super::ITEMS,
            elements: [F64],
            defines: [],
        }
        /// Values as decimals.
        fn encode_decimals<T>(
            each: u32, length: u64, part: u32, pairs: u32, exponents: [u32], todo: [u32], values: [T], numbers: [u64],
            marks: [u32], heads: [u32],
        );
        /// Left and right parts.
        fn encode_split<T>(
            each: u32, length: u64, part: u32, right: u32, todo: [u32], values: [T], blocks: [u8], sizes: [u32],
        );
    }
}

/// What writing starts.
pub(crate) static ENCODERS: &[&KernelText] = &[&ENCODE, &real::DECIMALS];

/// Bytes of device memory for so many columns of this length, of which the result has at most `most`.
pub(crate) fn bytes(columns: u64, length: u64, most: u64) -> u64 {
    let blocks = columns.saturating_mul(length.div_ceil(BLOCK as u64));
    // A list of blocks is made for each coding, measured and written.
    let each = BLOCK_BYTES as u64 + DECIMAL_BYTES + 4 * 3 + 8 + 4 * LISTS;
    let words = columns.saturating_mul(length).saturating_mul(8);
    sum(&[words, blocks.saturating_mul(each), most, 2 * 4 * PAIRS as u64])
}

/// Lists of blocks at most.
const LISTS: u64 = 9;

/// Blocks of columns, and what is known of them.
struct Blocks<'a, T> {
    coder: &'a Coder,
    values: Buffer<T>,
    each: usize,
    length: usize,
    blocks: Buffer<u8>,
    sizes: Buffer<u32>,
    numbers: Buffer<u64>,
    marks: Buffer<u32>,
    heads: Buffer<u32>,
    exponents: Buffer<u32>,
    pairs: u32,
    /// Bytes and coding of each.
    are: Vec<(u32, u8)>,
}

/// Writes series, as the CPU does.
///
/// # Errors
/// When the job is to stop, or the device fails.
pub(crate) fn encode(
    gpu: &mut Gpu<'_>,
    source: &Source<'_>,
    (data, timestamps): (&Tensor, Option<&Tensor>),
    method: Method,
    level: u8,
) -> Result<Encoded, Failure> {
    let ctx = gpu.context().clone();
    ctx.check()?;
    let coder = Coder::new(method, level, source.element, source.values);
    let clock = Coder::for_timestamps(level);
    let (series, length) = (source.series.unwrap_or(1), source.length);
    let stamps = match timestamps {
        Some(t) => Some(Blocks::<i64>::written(gpu, ("timestamps", t), &clock, 1, length)?),
        None => None,
    };
    let (mut reals, mut wholes) = (None, None);
    match source.element {
        Element::F64 => reals = Some(Blocks::<f64>::written(gpu, ("data", data), &coder, series, length)?),
        Element::I64 => wholes = Some(Blocks::<i64>::written(gpu, ("data", data), &coder, series, length)?),
    }
    let of_stamps = stamps.as_ref().map_or(&[][..], |b| &b.are);
    let of_series = reals.as_ref().map(|b| &b.are).or(wholes.as_ref().map(|b| &b.are)).map_or(&[][..], |a| a);
    let all: Vec<(u32, u8)> = of_stamps.iter().chain(of_series).copied().collect();
    let mut begins = Vec::with_capacity(all.len());
    let mut total = 0u64;
    for (bytes, _) in &all {
        begins.push(total);
        total += u64::from(*bytes);
    }
    let out = gpu.zeros::<u8>(total as usize)?;
    let (first, rest) = begins.split_at(of_stamps.len());
    stamps.as_ref().map_or(Ok(()), |b| b.gather(gpu, first, &out))?;
    reals.as_ref().map_or(Ok(()), |b| b.gather(gpu, rest, &out))?;
    wholes.as_ref().map_or(Ok(()), |b| b.gather(gpu, rest, &out))?;
    let body = gpu.download(&out)?;

    let sums = begins.par_iter().zip(&all).with_min_len(64).map(|(begin, (bytes, _))| {
        ctx.check()?;
        let (from, to) = (*begin as usize, *begin as usize + *bytes as usize);
        Ok(checksum(body.get(from..to).unwrap_or_default()))
    });
    let sums: Vec<u32> = sums.collect::<Result<_, Failure>>()?;
    let mut bytes = Vec::new();
    header(source).write(all.iter().map(|(bytes, _)| *bytes).zip(sums), &mut bytes);
    bytes.extend_from_slice(&body);
    Ok(Encoded { bytes, blocks: tally(of_series.iter().map(|(_, coding)| *coding)) })
}

impl<'a, T: KernelElement> Blocks<'a, T> {
    /// Writes every block as the coder asks.
    fn written(
        gpu: &mut Gpu<'_>,
        (name, tensor): (&'static str, &Tensor),
        coder: &'a Coder,
        columns: usize,
        length: usize,
    ) -> Result<Self, Failure> {
        let each = length.div_ceil(BLOCK);
        let count = columns * each;
        let mut exponents = coder.exponents();
        let pairs = exponents.len() as u32;
        exponents.resize(PAIRS, 0);
        // Decimals have memory where they may be tried.
        let decimals = if pairs > 0 { count } else { 0 };
        let mut of = Blocks {
            coder,
            values: gpu.input::<T>(name, tensor)?,
            each,
            length,
            blocks: gpu.zeros(count * BLOCK_BYTES)?,
            sizes: gpu.zeros(count)?,
            numbers: gpu.zeros((decimals * BLOCK).max(1))?,
            marks: gpu.zeros((decimals * ITEMS as usize).max(1))?,
            heads: gpu.zeros((2 * decimals).max(1))?,
            exponents: gpu.upload(&exponents)?,
            pairs,
            are: Vec::new(),
        };
        let groups = Groups([count as u32, 1, 1]);
        encode_same::<T>(gpu, groups, each as u32, length as u64, &of.values, &of.sizes)?;
        let same = gpu.download(&of.sizes)?;
        let vary: Vec<u32> = (0..count as u32).filter(|&b| same[b as usize] == 0).collect();
        of.are = vec![(9, block::CONSTANT); count];
        for (coding, todo) in of.chosen(gpu, vary)? {
            let sizes = of.code(gpu, coding, &todo, false)?;
            for b in todo {
                let raw = 8 * of.values_of(b as usize) as u32;
                let bytes = sizes[b as usize];
                // What does not become smaller stays as it is.
                of.are[b as usize] = if bytes > raw { (raw + 1, block::RAW) } else { (bytes, coding) };
            }
        }
        Ok(of)
    }

    /// Values of a block.
    fn values_of(&self, block: usize) -> usize {
        (self.length - block % self.each * BLOCK).min(BLOCK)
    }

    /// Which coding is for which blocks.
    fn chosen(&self, gpu: &mut Gpu<'_>, vary: Vec<u32>) -> Result<Vec<(u8, Vec<u32>)>, Failure> {
        match self.coder.method() {
            Method::Gorilla => Ok(vec![(block::GORILLA, vary)]),
            Method::Delta => Ok(vec![(block::DELTA, vary)]),
            Method::Alp => {
                self.decimals(gpu, &vary, false)?;
                let heads = gpu.download(&self.heads)?;
                let is_split = |b: &u32| heads[2 * *b as usize + 1] >= block::SPLIT_FROM_BITS as u32;
                let (split, alp) = vary.into_iter().partition(is_split);
                Ok(vec![(block::ALP, alp), (block::SPLIT, split)])
            }
            Method::Auto => self.smallest(gpu, vary),
        }
    }

    /// Of each block the coding that is smallest on a part of it; as the CPU, which looks no further where one is small.
    fn smallest(&self, gpu: &mut Gpu<'_>, vary: Vec<u32>) -> Result<Vec<(u8, Vec<u32>)>, Failure> {
        let mut best = vec![(u32::MAX, block::RAW); self.are.len()];
        let codings: &[u8] = match self.coder.is_real() {
            true => &[block::ALP, block::GORILLA, block::DELTA, block::SPLIT],
            false => &[block::DELTA, block::GORILLA],
        };
        for &coding in codings {
            let late = self.coder.is_real() && matches!(coding, block::DELTA | block::SPLIT);
            let small = |b: usize| block::SMALL_BYTES * self.values_of(b).min(block::PART);
            let open = |b: &&u32| !late || best[**b as usize].0 as usize > small(**b as usize);
            let todo: Vec<u32> = vary.iter().filter(open).copied().collect();
            let sizes = self.code(gpu, coding, &todo, true)?;
            for b in todo {
                let best = &mut best[b as usize];
                *best = (*best).min((sizes[b as usize], coding));
            }
        }
        let of = |coding: u8| vary.iter().copied().filter(|b| best[*b as usize].1 == coding).collect();
        Ok(codings.iter().map(|&coding| (coding, of(coding))).collect())
    }

    /// Codes these blocks, or measures a part of them; gives the bytes by block.
    fn code(&self, gpu: &mut Gpu<'_>, coding: u8, todo: &[u32], part: bool) -> Result<Vec<u32>, Failure> {
        if todo.is_empty() {
            return Ok(Vec::new());
        }
        let decimal = coding == block::ALP;
        if decimal {
            self.decimals(gpu, todo, part)?;
        }
        let groups = Groups([todo.len() as u32, 1, 1]);
        let todo = gpu.upload(todo)?;
        let (each, length, is_part) = (self.each as u32, self.length as u64, u32::from(part));
        let (values, blocks, sizes) = (&self.values, &self.blocks, &self.sizes);
        match coding {
            block::GORILLA => {
                let leaf = self.coder.leaf() as u32;
                encode_gorilla::<T>(gpu, groups, each, length, is_part, leaf, &todo, values, blocks, sizes)?;
            }
            block::SPLIT => {
                let right = self.coder.right();
                real::encode_split::<T>(
                    gpu, groups, each, length, is_part, right, &todo, values, blocks, sizes,
                )?;
            }
            _ => {
                let real = u32::from(self.coder.is_real());
                encode_integers::<T>(
                    gpu,
                    groups,
                    each,
                    length,
                    is_part,
                    u32::from(decimal),
                    real,
                    u32::from(self.coder.by_median()),
                    &todo,
                    values,
                    &self.numbers,
                    &self.marks,
                    &self.heads,
                    blocks,
                    sizes,
                )?;
            }
        }
        gpu.download(sizes)
    }

    /// Makes decimals of these blocks, or of a part of them.
    fn decimals(&self, gpu: &mut Gpu<'_>, todo: &[u32], part: bool) -> Result<(), Failure> {
        if todo.is_empty() {
            return Ok(());
        }
        let groups = Groups([todo.len() as u32, 1, 1]);
        let todo = gpu.upload(todo)?;
        let (each, length) = (self.each as u32, self.length as u64);
        real::encode_decimals::<T>(
            gpu,
            groups,
            each,
            length,
            u32::from(part),
            self.pairs,
            &self.exponents,
            &todo,
            &self.values,
            &self.numbers,
            &self.marks,
            &self.heads,
        )
    }

    /// Puts the blocks to where each begins.
    fn gather(&self, gpu: &mut Gpu<'_>, begins: &[u64], out: &Buffer<u8>) -> Result<(), Failure> {
        let (sizes, codings): (Vec<u32>, Vec<u32>) =
            self.are.iter().map(|(n, c)| (*n, u32::from(*c))).unzip();
        let groups = Groups([begins.len() as u32, 1, 1]);
        let (begins, codings, sizes) = (gpu.upload(begins)?, gpu.upload(&codings)?, gpu.upload(&sizes)?);
        let (each, length) = (self.each as u32, self.length as u64);
        encode_gather::<T>(
            gpu,
            groups,
            each,
            length,
            &self.values,
            &self.blocks,
            &codings,
            &sizes,
            &begins,
            out,
        )
    }
}
