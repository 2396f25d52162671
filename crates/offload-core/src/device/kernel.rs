//! Kernels: their text in the portable dialect, and how they are started.

use super::Handle;

/// A kernel text. One text serves CUDA, ROCm and OpenCL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelSource {
    /// A name for logs and the cache on disk (`matrix_multiply`).
    pub name: &'static str,
    /// The text in the portable dialect.
    pub text: &'static str,
    /// Definitions, as `-D name=value` (element type, tile sizes).
    pub defines: Vec<(&'static str, String)>,
}

/// A compiled kernel text, as its lane names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModuleId(pub u64);

/// One argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Argument {
    Buffer(Handle),
    I32(i32),
    U32(u32),
    U64(u64),
    F32(f32),
    F64(f64),
}

/// One start of a kernel.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The compiled text.
    pub module: ModuleId,
    /// The entry, `family_op`.
    pub entry: &'static str,
    /// Groups in each direction.
    pub groups: [u32; 3],
    /// Items of a group in each direction.
    pub items: [u32; 3],
    /// The arguments in order.
    pub arguments: &'a [Argument],
}
