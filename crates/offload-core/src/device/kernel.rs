//! Kernels: their text in the portable dialect, their signatures declared once, and how they are started.

use super::{Buffer, Gpu, Handle};
use crate::Failure;
use offload_api::{DType, Element};

/// A kernel text. One text serves CUDA, ROCm and OpenCL; declared by [`kernels!`](crate::kernels).
#[derive(Debug)]
pub struct KernelText {
    /// A name for logs, proofs and the cache on disk (`matrix_transpose`).
    pub name: &'static str,
    /// The text in the portable dialect, without the prelude.
    pub text: &'static str,
    /// A text that stands in on CUDA, where it measured faster; same entries, same signatures.
    pub cuda: Option<&'static str>,
    /// Items of a group: `BLOCK` in the text.
    pub block: u32,
    /// What `T` may stand for in the text; empty when it does not name `T`.
    pub elements: &'static [DType],
    /// Further definitions of the text.
    pub defines: &'static [(&'static str, &'static str)],
    /// Its entries in the order of the text.
    pub entries: &'static [Entry],
}

/// An entry of a kernel text.
#[derive(Debug)]
pub struct Entry {
    /// Its name, `family_op`.
    pub name: &'static str,
    /// Its parameters in order: `u32`, `T`, `[T]`, …
    pub parameters: &'static [(&'static str, &'static str)],
}

impl KernelText {
    /// One variant for each element type; a single one when the text does not name `T`.
    pub fn variants(&'static self) -> impl Iterator<Item = KernelSource> {
        let plain = self.elements.is_empty().then_some(None);
        plain
            .into_iter()
            .chain(self.elements.iter().map(|e| Some(*e)))
            .map(move |element| KernelSource { text: self, element })
    }
}

/// A kernel text for one element type: what is compiled.
#[derive(Clone, Copy, Debug)]
pub struct KernelSource {
    /// The text.
    pub text: &'static KernelText,
    /// What `T` stands for.
    pub element: Option<DType>,
}

impl KernelSource {
    /// Its name with the element type (`matrix_transpose_f32`).
    pub fn name(&self) -> String {
        match self.element {
            Some(e) => format!("{}_{}", self.text.name, e.name()),
            None => self.text.name.to_string(),
        }
    }

    /// All definitions, `BLOCK` and `T` included.
    pub fn defines(&self) -> Vec<(&'static str, String)> {
        let mut defines = vec![("BLOCK", format!("{}u", self.text.block))];
        if let Some(e) = self.element {
            // The preprocessor compares numbers, not types, so each type has a flag of its own as well.
            let flag = match e {
                DType::F32 => "T_F32",
                DType::F64 => "T_F64",
                DType::I32 => "T_I32",
                DType::I64 => "T_I64",
                DType::U8 => "T_U8",
                DType::U64 => "T_U64",
            };
            defines.push(("T", e.name().to_string()));
            defines.push((flag, "1".to_string()));
        }
        defines.extend(self.text.defines.iter().map(|(k, v)| (*k, (*v).to_string())));
        defines
    }
}

impl PartialEq for KernelSource {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.text, other.text) && self.element == other.element
    }
}
impl Eq for KernelSource {}
impl std::hash::Hash for KernelSource {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self.text).hash(state);
        self.element.hash(state);
    }
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
    I64(i64),
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
    /// Items of a group, in the first direction.
    pub block: u32,
    /// The arguments in order.
    pub arguments: &'a [Argument],
}

/// What may be an argument of a kernel.
pub trait IntoArgument {
    /// As an argument.
    fn argument(self) -> Argument;
}

macro_rules! scalar {
    ($($t:ty => $v:ident),*) => { $(impl IntoArgument for $t {
        fn argument(self) -> Argument { Argument::$v(self) }
    })* };
}
scalar!(i32 => I32, u32 => U32, i64 => I64, u64 => U64, f32 => F32, f64 => F64);

impl<T> IntoArgument for &Buffer<T> {
    fn argument(self) -> Argument {
        Argument::Buffer(self.handle())
    }
}

/// An element type that kernels may be compiled for.
pub trait KernelElement: Element + IntoArgument {}
impl<T: Element + IntoArgument> KernelElement for T {}

/// How many groups a kernel is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(pub [u32; 3]);

impl Groups {
    /// Enough groups of `block` for one item per element; a kernel's grid-stride loop takes what is beyond.
    pub fn covering(elements: usize, block: u32) -> Groups {
        let groups = elements.div_ceil(block.max(1) as usize).clamp(1, 1 << 22);
        Groups([groups as u32, 1, 1])
    }
}

/// Starts an entry; used by what [`kernels!`](crate::kernels) declares.
///
/// # Errors
/// As [`Gpu::launch`].
pub fn start(
    gpu: &mut Gpu<'_>,
    source: KernelSource,
    entry: &'static str,
    groups: Groups,
    arguments: &[Argument],
) -> Result<(), Failure> {
    let module = gpu.compile(&source)?;
    gpu.launch(&Launch { module, entry, groups: groups.0, block: source.text.block, arguments })
}

/// Declares a kernel text: its file, its element types, and the signature of each entry, which gives a function that
/// starts it with typed arguments. The functions take `gpu`, [`Groups`], then the entry's parameters; `[T]` is a
/// `&Buffer<T>`.
///
/// ```text
/// offload_core::kernels! {
///     /// Tiles of 32 × 32.
///     pub(crate) static TRANSPOSE = "matrix_transpose" {
///         text: include_str!("kernel.gpu.c"),
///         block: 256,
///         elements: [F32, F64],
///         defines: [("TILE", "32")],
///     }
///     /// `out[c, r] = a[r, c]`
///     fn matrix_transpose<T>(rows: u32, columns: u32, a: [T], out: [T]);
/// }
/// ```
///
/// Write `fn name(…)` without `<T>` in a text that names no element type. With `cuda: include_str!(…)` after `text`
/// another text stands in on CUDA.
#[macro_export]
macro_rules! kernels {
    (
        $(#[$meta:meta])*
        $vis:vis static $text:ident = $name:literal {
            text: $source:expr,
            $( cuda: $cuda:expr, )?
            block: $block:expr,
            elements: [$($element:ident),* $(,)?],
            defines: [$($define:expr),* $(,)?] $(,)?
        }
        $(
            $(#[$entry_meta:meta])*
            fn $entry:ident $(<$t:ident>)? ( $( $parameter:ident : $kind:tt ),* $(,)? );
        )+
    ) => {
        $(#[$meta])*
        $vis static $text: $crate::device::KernelText = $crate::device::KernelText {
            name: $name,
            text: $source,
            cuda: $crate::kernels!(@cuda $($cuda)?),
            block: $block,
            elements: &[$($crate::api::DType::$element),*],
            defines: &[$($define),*],
            entries: &[$($crate::device::Entry {
                name: stringify!($entry),
                parameters: &[$((stringify!($parameter), stringify!($kind))),*],
            }),+],
        };
        $(
            $(#[$entry_meta])*
            #[allow(clippy::too_many_arguments, dead_code, reason = "a kernel's signature is what it is")]
            $vis fn $entry $(<$t: $crate::device::KernelElement>)? (
                gpu: &mut $crate::device::Gpu<'_>,
                groups: $crate::device::Groups,
                $( $parameter: $crate::kernels!(@type $kind) ),*
            ) -> Result<(), $crate::Failure> {
                let source = $crate::device::KernelSource {
                    text: &$text,
                    element: $crate::kernels!(@element $($t)?),
                };
                $crate::device::start(gpu, source, stringify!($entry), groups, &[
                    $( $crate::device::IntoArgument::argument($parameter) ),*
                ])
            }
        )+
    };
    (@cuda) => { None };
    (@cuda $cuda:expr) => { Some($cuda) };
    (@type [$t:ident]) => { &$crate::device::Buffer<$t> };
    (@type $t:ident) => { $t };
    (@element) => { None };
    (@element $t:ident) => { Some(<$t as $crate::api::Element>::DTYPE) };
}
