//! `vector.quantize`: vectors as short codes, and what the codes mean.

mod cases;
mod cpu;
mod gpu;
mod kmeans;
mod product;
mod scalar;
mod texts;

use crate::kernel::rows::extents;
use offload_api::{DType, Elem, Field, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Rejection, Slot, int, real,
};

offload_core::choice! {
    /// What a code is.
    pub enum Method {
        /// A byte for each component.
        Int8 = "int8",
        /// A bit for each component.
        Binary = "binary",
        /// A byte for each of `m` groups of components: the number of the nearest of 256 centroids.
        Pq = "pq",
    }
}

/// The most rows of a corpus.
const MAX_ROWS: usize = u32::MAX as usize;
const M: i64 = 8;
const ITERATIONS: i64 = 25;
const SEED: i64 = 1234;
/// Why codes of one component each are made on the CPU.
const WHY_CPU: &str = "codes of one component each take less time than bringing the vectors to a device";
/// Shapes, names, closures.
const SMALL_BYTES: u64 = 64 * 1024;

offload_core::inputs! {
    /// Inputs of `vector.quantize`.
    pub struct Inputs<T> (dtype: F32) {
        /// The vectors, `[n, d]`.
        corpus: T = real(2, 2),
        /// `int8`: a byte for each component between the least and the largest of its column. `binary`: a bit for each
        /// component, set where it is above zero. `pq`: a byte for each of `m` groups of components, the number of
        /// the nearest of 256 centroids.
        method: Method,
        /// Groups of components for `pq`; must divide `d`. 8 when absent.
        m: Option<i64> = int(1, 65_536),
        /// Rounds of k-means for `pq`, at most; 25 when absent.
        iterations: Option<i64> = int(1, 1000),
        /// Decides which rows `pq` starts from; 1234 when absent.
        seed: Option<i64> = int(0, i64::MAX),
    }
}

impl<T> Inputs<T> {
    fn product(&self, d: usize) -> Result<product::Parameters, Rejection> {
        let m = self.m.unwrap_or(M).max(1) as usize;
        if d == 0 || !d.is_multiple_of(m) {
            return Err(Rejection::new(
                "m",
                format!("m is {m}, it must divide the components of corpus: {d}"),
            ));
        }
        let iterations = self.iterations.unwrap_or(ITERATIONS).clamp(1, 1000) as usize;
        Ok(product::Parameters { m, each: d / m, iterations, seed: self.seed.unwrap_or(SEED) as u64 })
    }
}

/// Codes and what they mean.
pub struct Quantize;

impl Operation for Quantize {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let field = |name, doc, kind, required| Field { name, doc, kind, required, default: None };
        let codes = Kind::Tensor { elem: Elem::Fixed(DType::U8), min_rank: 2, max_rank: 2 };
        let number = Kind::Tensor { elem: Elem::Fixed(DType::F64), min_rank: 0, max_rank: 0 };
        About {
            family: "vector",
            name: "quantize",
            version: 1,
            summary: "Vectors as codes of bytes or bits, with their codebook and their error",
            doc: include_str!("doc.md"),
            default_priority: Priority::Low,
            work_unit: "component operations",
            outputs: vec![
                field(
                    "codes",
                    "The codes: `[n, d]` of `int8`, `[n, ceil(d / 8)]` of `binary`, `[n, m]` of `pq`.",
                    codes,
                    true,
                ),
                field(
                    "codebook",
                    "`binary`: what a bit means, `[2, d]`. `pq`: the centroids, `[m, 256, d / m]`, fewer where there are fewer rows.",
                    real(2, 3),
                    false,
                ),
                field("scale", "`int8`: what a step of the code is worth, `[d]`.", real(1, 1), false),
                field("offset", "`int8`: what the code 0 means, `[d]`.", real(1, 1), false),
                field(
                    "distortion",
                    "The mean over the rows of the square of the distance between a vector and what its code means.",
                    number,
                    true,
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let (n, d) = extents(&inputs.corpus, MAX_ROWS)?;
        let dtype = inputs.corpus.dtype;
        if !dtype.is_real() {
            return Err(Rejection::new("corpus", format!("corpus is {dtype}, it must be f32 or f64")));
        }
        let mut device = DeviceNeed::CpuOnly(WHY_CPU);
        let (mut work, mut workspace) = (6.0 * n as f64 * d as f64, scalar::workspace_bytes(n, d));
        let of = |shape: &[usize]| TensorSpec::new(dtype, shape);
        let codes = |width| ("codes", TensorSpec::new(DType::U8, [n, width]));
        let mut outputs = match inputs.method {
            Method::Int8 => vec![codes(d), ("scale", of(&[d])), ("offset", of(&[d]))],
            Method::Binary => vec![codes(d.div_ceil(8)), ("codebook", of(&[2, d]))],
            Method::Pq => {
                let p = inputs.product(d)?;
                device = gpu::need(&inputs.corpus, n, d, p);
                work = product::work(n, p);
                workspace = product::workspace_bytes(n, p);
                vec![codes(p.m), ("codebook", of(&[p.m, p.centroids(n), p.each]))]
            }
        };
        outputs.push(("distortion", TensorSpec::new(DType::F64, [])));
        let bytes_out = outputs.iter().fold(0u64, |sum, (_, s)| sum.saturating_add(s.bytes()));
        Ok(Plan {
            work,
            bytes_in: inputs.corpus.bytes(),
            bytes_out,
            host_bytes: bytes_out.saturating_add(workspace).saturating_add(SMALL_BYTES),
            device,
            outputs: outputs
                .into_iter()
                .map(|(name, spec)| PlannedOutput { name, spec: Some(spec) })
                .collect(),
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        texts::TEXTS
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
