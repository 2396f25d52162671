//! What stands before the blocks: what there is, and how long each block is.

use super::MAX_BLOCK;
use super::cursor::{Corrupt, Cursor};

/// Bytes before the index.
pub(super) const HEADER_BYTES: usize = 32;

/// Bytes of a block in the index: its length and its checksum.
pub(super) const ENTRY_BYTES: usize = 8;

const MAGIC: &[u8; 4] = b"HTSC";
const VERSION: u8 = 1;
const TIMESTAMPS: u8 = 1;

/// The type of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    I64,
}

/// Why bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are no compressed series, or not all of one; where a block is at fault, its number.
    Corrupt(&'static str, Option<u64>),
    /// They are of a later version.
    Version(u8),
    /// They hold more values than they may.
    TooMany { values: u64, limit: u64 },
}

impl From<Corrupt> for Unreadable {
    fn from(Corrupt(why): Corrupt) -> Self {
        Unreadable::Corrupt(why, None)
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    /// 1 for one series `[length]`, 2 for `[series, length]`.
    pub(super) rank: u8,
    pub(super) timestamps: bool,
    pub(super) series: u64,
    pub(super) length: u64,
    pub(super) block: u32,
}

impl Header {
    /// Blocks of one series.
    pub(super) fn blocks_each(&self) -> u64 {
        self.length.div_ceil(u64::from(self.block.max(1)))
    }

    /// All blocks, those of the timestamps first; `None` when there are more than can be counted.
    pub(super) fn blocks(&self) -> Option<u64> {
        self.series.checked_add(u64::from(self.timestamps))?.checked_mul(self.blocks_each())
    }

    /// What is held against a limit, see [`values`].
    fn values(&self) -> u64 {
        let series = (self.rank == 2).then_some(self.series);
        values(series, self.length, self.timestamps)
    }

    /// The header, without its checksum.
    fn fields(&self) -> [u8; HEADER_BYTES - 4] {
        let element = match self.element {
            Element::F64 => 1,
            Element::I64 => 2,
        };
        let mut out = [0; HEADER_BYTES - 4];
        out[..4].copy_from_slice(MAGIC);
        out[4..8].copy_from_slice(&[VERSION, element, self.rank, u8::from(self.timestamps)]);
        out[8..16].copy_from_slice(&self.series.to_le_bytes());
        out[16..24].copy_from_slice(&self.length.to_le_bytes());
        out[24..28].copy_from_slice(&self.block.to_le_bytes());
        out
    }

    /// Writes header and index; `entries` are length and checksum of each block.
    pub(super) fn write(&self, entries: impl Iterator<Item = (u32, u32)>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.fields());
        out.extend_from_slice(&[0; 4]);
        for (bytes, checksum) in entries {
            out.extend_from_slice(&bytes.to_le_bytes());
            out.extend_from_slice(&checksum.to_le_bytes());
        }
        let sum = checksum(&out[start..]);
        out[start + HEADER_BYTES - 4..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads header and index and holds them against their checksum, their limit and the bytes that there are. Returns
    /// the index and the blocks. Allocates nothing.
    pub(super) fn read(file: &[u8], limit: u64) -> Result<(Header, &[u8], &[u8]), Unreadable> {
        let mut from = Cursor::new(file);
        if from.take(4)? != MAGIC {
            return Err(Corrupt("it does not begin as one").into());
        }
        let version = from.u8()?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let element = match from.u8()? {
            1 => Element::F64,
            2 => Element::I64,
            _ => return Err(Corrupt("its values are of an unknown type").into()),
        };
        let (rank, flags) = (from.u8()?, from.u8()?);
        let (series, length, block) = (from.u64()?, from.u64()?, from.u32()?);
        let header = Header { element, rank, timestamps: flags & TIMESTAMPS != 0, series, length, block };
        let sound = matches!((rank, series), (1, 1) | (2, _))
            && flags <= TIMESTAMPS
            && block as usize <= MAX_BLOCK
            && block > 0;
        if !sound {
            return Err(Corrupt("its header contradicts itself").into());
        }
        let sum = from.u32()?;
        // Each block has bytes, so that their number is bounded by what there is.
        let room = (file.len() - HEADER_BYTES) / (ENTRY_BYTES + 1);
        let blocks = header.blocks().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= room);
        let index = from.take(blocks.ok_or(Corrupt("it ends early"))? * ENTRY_BYTES)?;
        let mut whole = checksum(&file[..HEADER_BYTES - 4]);
        whole = append_checksum(append_checksum(whole, &[0; 4]), index);
        if whole != sum {
            return Err(Corrupt("the checksum of its header and index is another").into());
        }
        if header.values() > limit {
            return Err(Unreadable::TooMany { values: header.values(), limit });
        }
        let body = &file[HEADER_BYTES + index.len()..];
        let bytes = entries(index).fold(0u64, |sum, (bytes, _)| sum + u64::from(bytes));
        if bytes != body.len() as u64 {
            return Err(Corrupt("its blocks have other lengths than its index says").into());
        }
        Ok((header, index, body))
    }
}

/// Values of all series and of the timestamps; of series without values one each, because they are not free as JSON.
/// `u64::MAX` when there are more than can be counted.
pub(crate) fn values(series: Option<u64>, length: u64, timestamps: bool) -> u64 {
    match length {
        0 => series.unwrap_or(0),
        _ => series.unwrap_or(1).saturating_add(u64::from(timestamps)).saturating_mul(length),
    }
}

/// Length and checksum of each block.
pub(super) fn entries(index: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let number = |b: &[u8]| b.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
    index.chunks_exact(ENTRY_BYTES).map(move |e| (number(e), number(&e[4..])))
}

/// CRC-32C (Castagnoli), as in RFC 3720.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

fn append_checksum(sum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(sum, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, section B.4.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(checksum(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_header_that_counts_beyond_its_bytes_is_refused_before_anything_is_taken() {
        for (series, length) in
            [(1, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX), (1 << 40, 1 << 40), (1, 2049)]
        {
            let header =
                Header { element: Element::F64, rank: 2, timestamps: true, series, length, block: 2048 };
            let mut file = Vec::new();
            header.write([(1, 0)].into_iter(), &mut file);
            file.push(0);
            assert!(
                matches!(Header::read(&file, u64::MAX), Err(Unreadable::Corrupt(..))),
                "{series} {length}"
            );
        }
    }
}
