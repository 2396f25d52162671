//! From a kernel text to what a compiler gets: the prelude, the definitions, the text; where compiled ones are kept, and
//! where those are that were compiled beforehand; and the matrix product for devices without a vendor's library.

mod arguments;
mod cache;
mod gemm;
pub mod pack;

pub use arguments::check_arguments;
pub use cache::{KernelCache, Key};
pub use gemm::gemm;
pub use pack::Pack;

use offload_core::device::{Backend, KernelSource, KernelText};
use std::fmt::Write as _;

/// The kernel texts of this crate, for the proofs; operations list theirs.
pub const TEXTS: &[&KernelText] = &[&gemm::GEMM];

/// The dialect, put before every kernel text.
pub const PRELUDE: &str = include_str!("prelude.h");

/// What NVRTC is told beside the architecture. Where a product and a sum are meant as one, the text says `fma`;
/// contraction would make bits differ.
pub const CUDA_OPTIONS: &[&str] = &["--fmad=false", "--std=c++17"];

/// The whole text for a compiler of this backend, definitions included.
pub fn assemble(source: &KernelSource, backend: Backend) -> String {
    let body = match (backend, source.text.cuda) {
        (Backend::Cuda, Some(text)) => text,
        _ => source.text.text,
    };
    let mut whole = String::with_capacity(PRELUDE.len() + body.len() + 256);
    for (name, value) in source.defines() {
        // Writing to a string cannot fail.
        let _ = writeln!(whole, "#define {name} {value}");
    }
    whole.push_str(PRELUDE);
    // Messages of the compiler count lines of the text, not of the prelude.
    let _ = writeln!(whole, "#line 1 \"{}\"", source.text.name);
    whole.push_str(body);
    whole
}
