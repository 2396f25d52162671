//! A pack of kernels that were compiled beforehand to PTX, for machines with NVIDIA's driver and no NVRTC.
//!
//! The file is [`MAGIC`], the BLAKE3 hash of everything behind it, the length of the header as four bytes (little-endian),
//! the header as JSON ([`Header`]), and a zstd frame for each kernel. A kernel's key is a hash of everything that its PTX
//! depends on and this program knows ([`key`]), so a pack of another version gives the kernels whose texts are the same and
//! no others. Nothing that is read is trusted: the hash finds damage, and everything behind it is held against bounds
//! as if somebody had chosen it, because a hash that anybody can compute proves no origin. What a kernel does once it
//! runs is not checked, so a pack comes from where the program comes from.

mod write;

#[cfg(test)]
mod tests;

pub use write::{Compiled, write};

use super::{CUDA_OPTIONS, Key, assemble};
use offload_core::device::{Backend, DeviceError, KernelSource};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// What a pack is called where it is looked for.
pub const FILE_NAME: &str = "heliosdb-gpu-offload.kernels";

/// The virtual architecture that packs are compiled for: the oldest that the service is built for.
pub const ARCHITECTURE: &str = "compute_70";

/// The format of the file, with two digits that are raised when it changes.
const MAGIC: &[u8; 8] = b"OFFPTX01";
/// Bytes of the magic that every format has.
const KIND: usize = 6;
/// Bytes before the header: the magic, the hash, the header's length.
const HEAD: usize = 8 + 32 + 4;

/// A pack is a few hundred kilobytes; these limits are far beyond that and bound what a wrong file costs.
const MAX_FILE_BYTES: u64 = 64 << 20;
const MAX_KERNELS: usize = 10_000;
const MAX_PTX_BYTES: usize = 8 << 20;
/// Characters of a word of the header.
const MAX_WORD: usize = 100;

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of this program that it was made for.
    pub version: String,
    /// What compiled it: `NVRTC 12.0.76`.
    pub compiler: String,
    /// The version of PTX: `8.0`.
    pub ptx_isa: String,
    /// The least compute capability, ten times: 70.
    pub capability: u32,
    /// The least version of CUDA's driver, as the driver counts: 12000.
    pub driver: i32,
    /// Where each kernel is.
    kernels: Vec<Place>,
}

/// Where a kernel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Its name with the element type, for people.
    name: String,
    /// Its key in hexadecimal digits.
    key: String,
    /// Where its frame begins, counted from the header's end, and how long that is.
    at: usize,
    packed: usize,
    /// Bytes of its PTX.
    bytes: usize,
}

/// The key of a kernel in a pack: its whole text as NVRTC gets it (definitions, prelude, element type) and the options.
pub fn key(source: &KernelSource) -> Key {
    Key::of(&[&assemble(source, Backend::Cuda), &options().join(" ")])
}

/// What NVRTC is told for a pack.
pub fn options() -> Vec<String> {
    let target = format!("--gpu-architecture={ARCHITECTURE}");
    std::iter::once(target).chain(CUDA_OPTIONS.iter().map(ToString::to_string)).collect()
}

/// A pack that was read.
#[derive(Debug)]
pub struct Pack {
    header: Header,
    /// The first digits of the file's hash, which tell packs of one version apart.
    digest: String,
    places: HashMap<String, usize>,
    /// The frames.
    frames: Vec<u8>,
}

impl Pack {
    /// The pack of the first of these files that is there.
    ///
    /// # Errors
    /// Why there is none, or why the first one cannot be used. Only names of files are told, no folders.
    pub fn find(files: &[PathBuf]) -> Result<Pack, String> {
        let there =
            |file: &&PathBuf| fs::metadata(file).map_or_else(|e| e.kind() != ErrorKind::NotFound, |_| true);
        match files {
            [] => Err("no kernel pack is looked for".into()),
            [only] => Pack::open(only),
            several => match several.iter().find(there) {
                Some(file) => Pack::open(file),
                None => {
                    Err("there is no kernel pack, beside the program or in the data directory (devices.kernel_pack)"
                        .into())
                }
            },
        }
    }

    fn open(file: &Path) -> Result<Pack, String> {
        let name = file.file_name().map_or_else(|| file.to_string_lossy(), |n| n.to_string_lossy());
        let bad = |why: &str| format!("the kernel pack {name} {why}");
        let io = |e: std::io::Error| bad(&format!("cannot be read: {e}"));
        // Asked first, because the opening of a pipe waits for whoever writes to it.
        let about = fs::metadata(file).map_err(io)?;
        if !about.is_file() {
            return Err(bad("is no file"));
        }
        let mut bytes = Vec::new();
        File::open(file).map_err(io)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        Pack::read(&bytes).map_err(|why| bad(&why))
    }

    /// Reads a pack.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Pack, String> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("has more than {MAX_FILE_BYTES} bytes"));
        }
        let is = |from: usize, wanted: &[u8]| bytes.get(from..from + wanted.len()) == Some(wanted);
        if !is(0, &MAGIC[..KIND]) {
            return Err("is no kernel pack".into());
        }
        if !is(KIND, &MAGIC[KIND..]) {
            return Err("is of a format that this version does not read".into());
        }
        let Some((_, behind)) = bytes.split_at_checked(HEAD - 4).filter(|(_, b)| b.len() >= 4) else {
            return Err("is cut short".into());
        };
        let hash = blake3::hash(behind);
        if !is(MAGIC.len(), hash.as_bytes()) {
            return Err("is damaged: its hash is of something else".into());
        }
        let len = bytes[HEAD - 4..HEAD].iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        let (header, frames) =
            bytes[HEAD..].split_at_checked(len).ok_or("has a header that is longer than the file")?;
        let header: Header =
            serde_json::from_slice(header).map_err(|e| format!("has a wrong header: {e}"))?;
        let places = header.places(frames.len())?;
        let digest = hash.to_hex()[..8].to_owned();
        Ok(Pack { header, digest, places, frames: frames.to_vec() })
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many kernels it has.
    pub fn kernels(&self) -> usize {
        self.places.len()
    }

    /// What it is, in a few words.
    pub fn title(&self) -> String {
        format!("kernel pack of version {} ({})", self.header.version, self.digest)
    }

    /// A kernel's PTX, with the zero at its end that drivers look for.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`], with this pack's version, when it has none for this text, or a wrong one.
    pub fn ptx(&self, source: &KernelSource) -> Result<CString, DeviceError> {
        let name = source.name();
        let unsupported = |why: String| DeviceError::Unsupported(format!("the {} {why}", self.title()));
        let place = self.places.get(&key(source).hex()).and_then(|i| self.header.kernels.get(*i));
        let program = env!("CARGO_PKG_VERSION");
        let place =
            place.ok_or_else(|| unsupported(format!("has no {name} as this program ({program}) has it")))?;
        let frame = self.frames.get(place.at..place.at.saturating_add(place.packed)).unwrap_or_default();
        // No more is unpacked than was said, whatever the frame holds.
        let text = zstd::bulk::decompress(frame, place.bytes).ok().filter(|t| t.len() == place.bytes);
        let text = text.and_then(|t| String::from_utf8(t).ok()).filter(|t| has_entries(t, source));
        let text = text.and_then(|t| CString::new(t).ok());
        text.ok_or_else(|| unsupported(format!("has something else than PTX for {name}")))
    }
}

impl Header {
    /// Where each key is, once all is within its bounds.
    fn places(&self, frames: usize) -> Result<HashMap<String, usize>, String> {
        let words = [&self.version, &self.compiler, &self.ptx_isa];
        let names = self.kernels.iter().map(|k| &k.name);
        // They go to logs and terminals.
        let is_word =
            |w: &&String| w.len() <= MAX_WORD && w.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if !words.into_iter().chain(names).all(|w| is_word(&w)) {
            return Err(format!("has a word that is not of at most {MAX_WORD} letters"));
        }
        if self.kernels.len() > MAX_KERNELS {
            return Err(format!("has {} kernels, the limit is {MAX_KERNELS}", self.kernels.len()));
        }
        let mut places = HashMap::with_capacity(self.kernels.len());
        for (i, kernel) in self.kernels.iter().enumerate() {
            let end = kernel.at.checked_add(kernel.packed);
            if end.is_none_or(|end| end > frames) || kernel.bytes > MAX_PTX_BYTES {
                return Err(format!("has no room for {}", kernel.name));
            }
            if places.insert(kernel.key.clone(), i).is_some() {
                return Err(format!("has {} twice", kernel.name));
            }
        }
        Ok(places)
    }
}

/// Whether PTX has every entry that the text declares.
fn has_entries(ptx: &str, source: &KernelSource) -> bool {
    let entries = entries(ptx);
    source.text.entries.iter().all(|e| entries.contains(&e.name))
}

/// The names of the entries of PTX.
fn entries(ptx: &str) -> Vec<&str> {
    let name = |rest: &str| rest.find(['(', ' ', '\n']).unwrap_or(rest.len());
    ptx.split(".entry ").skip(1).map(|rest| &rest[..name(rest)]).collect()
}
