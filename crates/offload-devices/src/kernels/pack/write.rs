//! Writes a pack of kernels.

use super::{ARCHITECTURE, HEAD, Header, MAGIC, Pack, Place, entries, has_entries, key};
use offload_core::device::KernelSource;

/// Packs are made once and read by many.
const LEVEL: i32 = 19;

/// A kernel with what NVRTC made of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The kernel.
    pub source: KernelSource,
    /// Its PTX.
    pub ptx: String,
}

/// The bytes of a pack of these kernels, for this version of the program. `compiler` is who made the PTX, in a word:
/// `NVRTC 12.0.76`. The same kernels give the same bytes.
///
/// # Errors
/// What is wrong with a kernel's PTX, or with the compiler's word.
pub fn write(compiler: &str, kernels: &[Compiled]) -> Result<Vec<u8>, String> {
    let first = kernels.first().ok_or("there are no kernels")?;
    let isa = directive(&first.ptx, ".version").ok_or("the PTX has no version")?;
    let mut header = Header {
        version: env!("CARGO_PKG_VERSION").into(),
        compiler: compiler.into(),
        ptx_isa: isa.into(),
        capability: capability()?,
        driver: least_driver(isa).ok_or_else(|| format!("no driver is known that takes PTX {isa}"))?,
        kernels: Vec::with_capacity(kernels.len()),
    };
    let mut frames = Vec::new();
    for Compiled { source, ptx } in kernels {
        let name = source.name();
        check(source, ptx, &header).map_err(|why| format!("{name}: {why}"))?;
        let frame = zstd::bulk::compress(ptx.as_bytes(), LEVEL).map_err(|e| format!("{name}: {e}"))?;
        let (at, packed, bytes) = (frames.len(), frame.len(), ptx.len());
        header.kernels.push(Place { name, key: key(source).hex(), at, packed, bytes });
        frames.extend(frame);
    }
    let words = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
    let len = u32::try_from(words.len()).map_err(|_| "there are too many kernels")?;
    let behind = [&len.to_le_bytes()[..], &words, &frames].concat();
    let mut bytes = Vec::with_capacity(HEAD + behind.len());
    bytes.extend(MAGIC);
    bytes.extend(blake3::hash(&behind).as_bytes());
    bytes.extend(behind);
    // Whatever is written can be read.
    Pack::read(&bytes)?;
    Ok(bytes)
}

/// Holds PTX against what it must be.
fn check(source: &KernelSource, ptx: &str, header: &Header) -> Result<(), String> {
    let target = format!("sm_{}", header.capability);
    for (name, wanted) in [(".version", header.ptx_isa.as_str()), (".target", target.as_str())] {
        let found = directive(ptx, name).unwrap_or("nothing");
        if found != wanted {
            return Err(format!("its {name} is {found}, not {wanted}"));
        }
    }
    if !has_entries(ptx, source) {
        return Err(format!("it has the entries {:?} and lacks others", entries(ptx)));
    }
    // Products and sums whose rounding is not stated may be made one operation by the driver's translator.
    let loose = |word: &str| {
        ["add", "sub", "mul", "mad"].iter().any(|op| {
            let of = word.strip_prefix(op);
            of.is_some_and(|of| [".f32", ".f64", ".ftz.f32", ".sat.f32"].contains(&of))
        })
    };
    match ptx.split_whitespace().find(|word| loose(word)) {
        Some(word) => Err(format!("its {word} does not say how it rounds")),
        None => Ok(()),
    }
}

/// The first word behind a directive.
fn directive<'p>(ptx: &'p str, name: &str) -> Option<&'p str> {
    ptx.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(' ')?;
        rest.split([',', ' ']).next()
    })
}

/// The compute capability of [`ARCHITECTURE`], ten times.
fn capability() -> Result<u32, String> {
    let digits = ARCHITECTURE.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().map_err(|_| format!("{ARCHITECTURE} has no number"))
}

/// The first CUDA whose driver takes a version of PTX, as drivers count (the release notes of the PTX ISA): 7.0 came with
/// CUDA 11.0, 8.0 with 12.0, and so on to 8.5; 9.0 with 13.0.
fn least_driver(isa: &str) -> Option<i32> {
    let (major, minor) = isa.split_once('.')?;
    match (major.parse::<i32>().ok()?, minor.parse::<i32>().ok()?) {
        (major @ (7 | 8), minor @ 0..=5) => Some((major + 4) * 1000 + minor * 10),
        (9, 0) => Some(13_000),
        _ => None,
    }
}
