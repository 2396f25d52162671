//! The format of a segment's file.
//!
//! ```text
//! magic "hgosegm1"                        8 bytes
//! buffers of the columns                  each at a multiple of 64 bytes, little-endian, zeros between
//! description                             JSON
//! length of the description               8 bytes, little-endian
//! BLAKE3 of the description               32 bytes
//! magic "hgosegm1"                        8 bytes
//! ```
//!
//! The description stands at the end, so that a file is written in one pass without knowing the checksums before.
//! Texts have two buffers: where they end (one `u64` more than there are rows, from 0 on), and their bytes. A tensor's
//! buffer is aligned for every element type, so that a mapped column is a tensor.

use offload_api::DType;
use offload_pipeline::records::StoreError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What a file begins and ends with; the last digit is the version of the format.
pub(super) const MAGIC: &[u8; 8] = b"hgosegm1";
/// Buffers begin at multiples of this.
pub(super) const ALIGN_BYTES: u64 = 64;
/// Length, checksum and magic behind the description.
const TAIL_BYTES: u64 = 48;
/// No description is longer: a thousand columns have one of 300 kB.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) rows: u64,
    pub(super) columns: Vec<Part>,
}

/// A column of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    /// Absent for texts.
    pub(super) dtype: Option<DType>,
    pub(super) inner: Vec<usize>,
    /// The elements, or where the texts end.
    pub(super) main: Buffer,
    /// The bytes of the texts.
    pub(super) bytes: Option<Buffer>,
}

/// A run of bytes of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Buffer {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// BLAKE3, in hexadecimal.
    pub(super) checksum: String,
}

impl Description {
    /// What stands behind the buffers.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut out = serde_json::to_vec(self).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let length = out.len() as u64;
        let checksum = blake3::hash(&out);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(checksum.as_bytes());
        out.extend_from_slice(MAGIC);
        Ok(out)
    }

    /// The description of a file.
    pub(super) fn read(file: &File) -> Result<Description, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a segment's {what}"));
        let io = |e: std::io::Error| StoreError::Io(format!("a segment's description: {e}"));
        let len = file.metadata().map_err(io)?.len();
        if len < MAGIC.len() as u64 + TAIL_BYTES {
            return Err(corrupt("file is too short"));
        }
        let mut tail = [0; TAIL_BYTES as usize];
        file.read_exact_at(&mut tail, len - TAIL_BYTES).map_err(io)?;
        let (length, rest) = tail.split_at(8);
        let (checksum, magic) = rest.split_at(32);
        if magic != MAGIC {
            return Err(corrupt("end is not that of a segment of a version this program knows"));
        }
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        let start = (len - TAIL_BYTES).checked_sub(length).filter(|_| length <= DESCRIPTION_BYTES_MAX);
        let start = start.ok_or_else(|| corrupt("description has no plausible length"))?;
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut text, start).map_err(io)?;
        if blake3::hash(&text).as_bytes() != checksum {
            return Err(corrupt("description does not have its checksum"));
        }
        let description: Description =
            serde_json::from_slice(&text).map_err(|e| corrupt(&format!("description: {e}")))?;
        let inside = |b: &Buffer| b.offset.checked_add(b.length).is_some_and(|end| end <= start);
        if description.columns.iter().all(|p| inside(&p.main) && p.bytes.as_ref().is_none_or(inside)) {
            Ok(description)
        } else {
            Err(corrupt("buffer is not inside the file"))
        }
    }
}
