//! `vector.build_hnsw`: an index for approximate search, as a file that hnswlib reads.

mod cases;
mod cpu;
mod distance;
mod file;
mod graph;
mod insert;
mod reader;

use crate::kernel::random::unit;
use crate::kernel::rows::extents;
use offload_api::{DType, Elem, Field, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Rejection, Slot, int,
};

offload_core::choice! {
    /// How the index compares vectors.
    pub enum Metric {
        /// The square of the Euclidean distance; hnswlib's space `l2`.
        L2 = "l2",
        /// One less the cosine; hnswlib's space `cosine`, which keeps vectors at length one.
        Cosine = "cosine",
        /// One less the inner product; hnswlib's space `ip`.
        Dot = "dot",
    }
}

/// The most rows of an index.
const MAX_ROWS: usize = 1 << 28;
/// The largest file.
const MAX_BYTES: usize = 1 << 36;
const M: i64 = 16;
const EF_CONSTRUCTION: i64 = 200;
/// hnswlib's own seed.
const SEED: i64 = 100;
/// Shapes, names, closures.
const SMALL_BYTES: u64 = 64 * 1024;

offload_core::inputs! {
    /// Inputs of `vector.build_hnsw`.
    pub struct Inputs<T> {
        /// The rows to index, `[n, d]`, `f32`. A row's number is its label in the index.
        corpus: T = Kind::Tensor { elem: Elem::Fixed(DType::F32), min_rank: 2, max_rank: 2 },
        /// Links of a node in each layer, twice as many in the lowest; 16 when absent.
        m: Option<i64> = int(2, 256),
        /// Candidates that a node's links are chosen from, at least `m`; 200 when absent.
        ef_construction: Option<i64> = int(1, 4096),
        /// How the index compares vectors.
        metric: Metric,
        /// Decides the layers of the nodes; 100 when absent.
        seed: Option<i64> = int(0, i64::MAX),
    }
}

/// What an index is built with.
#[derive(Clone, Copy, Debug)]
struct Parameters {
    m: usize,
    ef: usize,
    seed: u64,
    metric: Metric,
}

impl<T> Inputs<T> {
    fn parameters(&self) -> Parameters {
        let m = self.m.unwrap_or(M).clamp(2, 256) as usize;
        let ef = self.ef_construction.unwrap_or(EF_CONSTRUCTION).clamp(1, 4096) as usize;
        Parameters { m, ef: ef.max(m), seed: self.seed.unwrap_or(SEED) as u64, metric: self.metric }
    }
}

/// The level of a node: each is in the layer above with probability `1 / m`.
fn level(p: Parameters, node: u32) -> u8 {
    let level = -unit(p.seed, u64::from(node)).ln() / (p.m as f64).ln();
    level.clamp(0.0, 63.0) as u8
}

/// More lists above layer 0 than so many nodes will have: the mean and ten standard deviations.
fn upper_lists(n: usize, m: usize) -> u64 {
    let (n, m) = (n as f64, m as f64);
    ((n + 10.0 * (n * m).sqrt()) / (m - 1.0) + 64.0) as u64
}

/// Builds an index.
pub struct BuildHnsw;

impl Operation for BuildHnsw {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "vector",
            name: "build_hnsw",
            version: 1,
            summary: "An HNSW index as a file that hnswlib reads",
            doc: include_str!("doc.md"),
            default_priority: Priority::Low,
            work_unit: "pairs of components, estimated",
            outputs: vec![Field {
                name: "index",
                doc: "The index in hnswlib's file format.",
                kind: Kind::Bytes { max_bytes: MAX_BYTES },
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let (n, d) = extents(&inputs.corpus, MAX_ROWS)?;
        if inputs.corpus.dtype != DType::F32 {
            return Err(Rejection::new(
                "corpus",
                format!("corpus is {}, it must be f32", inputs.corpus.dtype),
            ));
        }
        if d == 0 {
            return Err(Rejection::new("corpus", "corpus has rows without components"));
        }
        let p = inputs.parameters();
        let (n64, upper) = (n as u64, upper_lists(n, p.m));
        let bytes_out = file::HEADER_BYTES as u64
            + n64 * (file::element_bytes(d, p.m) + 4) as u64
            + upper * file::upper_bytes(p.m) as u64;
        if bytes_out > MAX_BYTES as u64 {
            return Err(Rejection::new(
                "corpus",
                format!("the index would have {bytes_out} bytes, the limit is {MAX_BYTES}"),
            ));
        }
        let graph = n64 * (2 * p.m as u64 * 8 + 16) + upper * (p.m as u64 * 8 + 4);
        let unit_vectors = if p.metric == Metric::Cosine { inputs.corpus.bytes() } else { 0 };
        let host_bytes =
            bytes_out + graph + unit_vectors + insert::workspace_bytes(n, p.m, p.ef) + n64 * 4 + SMALL_BYTES;
        Ok(Plan {
            // A node's search expands about `ef` nodes, of whose links about a third are new to it.
            work: n as f64 * d as f64 * (p.ef * p.m) as f64 * 0.7,
            bytes_in: inputs.corpus.bytes(),
            bytes_out,
            host_bytes,
            device: DeviceNeed::CpuOnly(
                "a graph that is built row by row, each search through what is there, stays on the cpu",
            ),
            outputs: vec![PlannedOutput { name: "index", spec: None }],
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
