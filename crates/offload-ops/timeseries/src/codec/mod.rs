//! Series as bytes and back, to the bit: `docs/timeseries-format.md` describes them byte by byte.
//!
//! A file is a header, an index and blocks that stand alone, so that both directions run in parallel and a block can be
//! read without the others. `block` chooses among the codings: `gorilla`, `integers` (deltas), `alp`, `split`; `bits` is
//! what all of them pack with. Every number is handled as the 64 bits it is.

mod alp;
mod bits;
mod block;
mod cursor;
mod decode;
pub(crate) mod device;
mod encode;
pub(crate) mod examples;
mod gorilla;
mod header;
mod integers;
mod patches;
mod simd;
mod split;

pub(crate) use decode::{Decoded, decode, workspace_bytes as decode_workspace_bytes};
pub(crate) use encode::{Encoded, Source, encode, most_bytes, workspace_bytes as encode_workspace_bytes};
pub(crate) use header::{Element, Unreadable, values};

/// Values of a block as they are written.
pub(crate) const BLOCK: usize = 2048;

/// The most values of a block that are read.
const MAX_BLOCK: usize = 8192;

/// How values are to be coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Whichever is smallest for each block.
    Auto,
    Gorilla,
    Delta,
    Alp,
}

/// What a compression level changes: how much is tried. What comes of it is read in the same way.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Numbers of which the windows of `gorilla` are put together; where there are several, the smallest result stays.
    leaves: &'static [usize],
    /// Whether integers are also tried around their median.
    bases_by_median: bool,
    /// Pairs of exponents that `alp` tries for each block.
    exponents: usize,
    /// Values of a block that they are tried on.
    sample: usize,
    /// Whether `auto` codes whole blocks by every method instead of a part.
    whole: bool,
}

impl Effort {
    /// The effort of a level from 1 to 9.
    fn of(level: u8) -> Effort {
        let (leaves, exponents, sample): (&[usize], _, _) = match level {
            0..=2 => (&[64], 1, 32),
            3..=4 => (&[32], 3, 32),
            5..=6 => (&[16], 5, 32),
            7..=8 => (&[4, 16, 64], 16, 128),
            _ => (&[1, 2, 4, 8, 16, 32, 64, MAX_BLOCK], usize::MAX, 512),
        };
        Effort { leaves, bases_by_median: level >= 3, exponents, sample, whole: level >= 7 }
    }
}

/// At most `most` places from all over `length` places, rising. Their distances vary, so that a period of the values does not
/// make them all alike.
fn spread(length: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = length.min(most);
    (0..taken).map(move |i| {
        let (from, to) = (i * length / taken, (i + 1) * length / taken);
        from + i * i * 31 % (to - from)
    })
}
