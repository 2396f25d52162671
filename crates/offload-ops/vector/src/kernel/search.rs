//! A search from inputs to ranked answers, and what it needs.

use super::blocked::{Cut, blocked};
use super::device::{self, MOST_K, Size};
use super::direct::{direct, pieces};
use super::exact::{Codes, Vectors};
use super::metric::Metric;
use super::top::{Ranked, Top};
use offload_api::{DType, Element, Layout, Matches, Tensor, TensorSpec, Value};
use offload_core::device::Gpu;
use offload_core::{Context, DeviceNeed, Failure, Plan, PlannedOutput, Rejection};

/// The largest number of answers for each query.
pub(crate) const MAX_K: i64 = 16_384;
/// The most components of a vector.
pub(crate) const MAX_DIMENSIONS: usize = 65_536;
/// The most answers of one search.
const MAX_ANSWERS: u64 = 1 << 26;
/// The most rows of a corpus.
const MAX_ROWS: usize = u32::MAX as usize;
/// With fewer queries than this, packing the corpus costs more than the product saves.
const BLOCKED_QUERIES: usize = 4;
/// Pairs of components below which a search is over before its threads have met.
const BLOCKED_WORK: f64 = 1e6;
/// Shapes, names, closures.
const SMALL_BYTES: u64 = 32 * 1024;

/// The tensors of a search, or their specs.
pub(crate) struct Search<'a, T> {
    /// The field of the queries and they.
    pub(crate) queries: (&'static str, &'a T),
    pub(crate) corpus: &'a T,
    pub(crate) filter: Option<&'a T>,
    pub(crate) metric: Metric,
    pub(crate) k: usize,
}

/// Extents of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// `None` for a query that stands alone.
    queries: Option<usize>,
    rows: usize,
    d: usize,
    dtype: DType,
}

impl Extents {
    fn count(&self) -> usize {
        self.queries.unwrap_or(1)
    }

    fn shape(&self, k: usize) -> Vec<usize> {
        self.queries.into_iter().chain([k]).collect()
    }
}

impl Search<'_, TensorSpec> {
    /// The extents of these specs.
    ///
    /// # Errors
    /// When they do not fit together or are beyond a limit.
    pub(crate) fn extents(&self) -> Result<Extents, Rejection> {
        let (name, queries) = self.queries;
        let reject = |field: &str, message: String| Err(Rejection::new(field, message));
        let (count, qd) = match queries.shape[..] {
            [d] => (None, d),
            [q, d] => (Some(q), d),
            _ => return reject(name, format!("{name} must have 1 or 2 dimensions")),
        };
        let [rows, d] = self.corpus.shape[..] else {
            return reject("corpus", "corpus must have 2 dimensions".into());
        };
        if qd != d {
            return reject(
                "corpus",
                format!("corpus has {d} components, it must have as many as {name}: {qd}"),
            );
        }
        if self.corpus.dtype != queries.dtype {
            return reject(
                "corpus",
                format!("corpus is {}, it must be as {name}: {}", self.corpus.dtype, queries.dtype),
            );
        }
        let takes = match self.metric {
            Metric::Hamming => &[DType::F32, DType::F64, DType::U8][..],
            _ => &[DType::F32, DType::F64],
        };
        if !takes.contains(&queries.dtype) {
            let types: Vec<&str> = takes.iter().map(|d| d.name()).collect();
            let metric = format!("{:?}", self.metric).to_lowercase();
            return reject(
                name,
                format!("{name} is {}, the metric {metric} takes {}", queries.dtype, types.join(", ")),
            );
        }
        if d > MAX_DIMENSIONS {
            return reject(name, format!("{name} has {d} components, the limit is {MAX_DIMENSIONS}"));
        }
        if rows > MAX_ROWS {
            return reject("corpus", format!("corpus has {rows} rows, the limit is {MAX_ROWS}"));
        }
        let answers = (count.unwrap_or(1) as u64).saturating_mul(self.k as u64);
        if answers > MAX_ANSWERS {
            return reject(name, format!("{answers} answers were asked for, the limit is {MAX_ANSWERS}"));
        }
        if let Some(filter) = self.filter {
            if filter.dtype != DType::U8 {
                return reject("filter", format!("filter is {}, it must be u8", filter.dtype));
            }
            if filter.shape != [rows] {
                return reject(
                    "filter",
                    format!(
                        "filter has shape {:?}, it must have one element for each row of corpus: {rows}",
                        filter.shape
                    ),
                );
            }
        }
        Ok(Extents { queries: count, rows, d, dtype: queries.dtype })
    }

    /// What the search needs. The filter's survivors are not known, so every row counts.
    ///
    /// # Errors
    /// As [`extents`](Self::extents).
    pub(crate) fn plan(&self, output: &'static str) -> Result<Plan, Rejection> {
        let e = self.extents()?;
        let count = e.count();
        let specs = [Some(self.queries.1), Some(self.corpus), self.filter];
        let bytes_in = specs.iter().flatten().fold(0u64, |sum, s| sum.saturating_add(s.bytes()));
        let answers = count as u64 * self.k as u64;
        let bytes_out = answers.saturating_mul(16);
        // Lists of the best double as they grow; a list and its merged copy are there at once.
        let kept = self.k.min(e.rows).saturating_add(4) as u64 * 32 + 64;
        let together = (64 * rayon::current_num_threads()).min(count) as u64;
        let direct = together.saturating_mul(kept).saturating_mul(pieces(e.rows, count) as u64 + 1);
        let blocked = if self.is_blocked(e, e.rows) {
            Cut::of(e.rows, e.d, count, self.k).bytes(e.d, count)
        } else {
            0
        };
        let host_bytes = bytes_out
            .saturating_add((count as u64).saturating_mul(kept))
            .saturating_add(direct)
            .saturating_add(blocked)
            .saturating_add(e.rows as u64 * 4)
            .saturating_add(SMALL_BYTES);
        Ok(Plan {
            work: count as f64 * e.rows as f64 * e.d.max(1) as f64,
            bytes_in,
            bytes_out,
            host_bytes,
            device: self.device_need(e),
            outputs: vec![PlannedOutput { name: output, spec: None }],
        })
    }
}

impl<T> Search<'_, T> {
    fn device_need(&self, e: Extents) -> DeviceNeed {
        if e.count() == 0 || e.rows == 0 || e.d == 0 {
            DeviceNeed::CpuOnly("an empty search has nothing to compute")
        } else if self.k > MOST_K {
            DeviceNeed::CpuOnly("lists of more than 1024 answers are made on the cpu")
        } else {
            DeviceNeed::Bytes(self.size(e).bytes())
        }
    }

    /// How the search is cut for a device.
    fn size(&self, e: Extents) -> Size {
        let by_product = e.dtype != DType::U8 && self.metric != Metric::Hamming;
        Size::of((e.count(), e.rows, e.d), self.k, e.dtype, self.filter.is_some(), by_product)
    }

    fn is_blocked(&self, e: Extents, rows: usize) -> bool {
        (e.count() as f64) * (rows as f64) * (e.d as f64) >= BLOCKED_WORK
            && e.count() >= BLOCKED_QUERIES
            && rows > 4 * self.k
            && e.dtype != DType::U8
            && self.metric != Metric::Hamming
            && e.d > 0
    }
}

impl Search<'_, Tensor> {
    fn own_extents(&self) -> Result<Extents, Rejection> {
        let (queries, corpus) = (self.queries.1.spec(), self.corpus.spec());
        let filter = self.filter.map(Tensor::spec);
        let specs = Search {
            queries: (self.queries.0, &queries),
            corpus: &corpus,
            filter: filter.as_ref(),
            metric: self.metric,
            k: self.k,
        };
        specs.extents()
    }

    /// The ranked answers.
    ///
    /// # Errors
    /// When the inputs do not fit together, or the job is to stop.
    pub(crate) fn run(&self, layout: Layout, ctx: &Context) -> Result<Value, Failure> {
        let e = self.own_extents()?;
        let rows: Vec<u32> = match self.filter.and_then(Tensor::as_slice::<u8>) {
            Some(mask) => {
                let mut rows = Vec::with_capacity(mask.iter().filter(|&&m| m != 0).count());
                rows.extend((0..e.rows as u32).filter(|&r| mask[r as usize] != 0));
                rows
            }
            None => (0..e.rows as u32).collect(),
        };
        let best = match e.dtype {
            DType::F32 => self.real::<f32>(e, &rows, ctx)?,
            DType::F64 => self.real::<f64>(e, &rows, ctx)?,
            _ => {
                let space = Codes { queries: slice(self.queries.1), corpus: slice(self.corpus), d: e.d };
                direct(ctx, &space, &rows, &all(e), self.k)?
            }
        };
        Ok(self.answers(e, layout, best.into_iter().map(Top::into_sorted)))
    }

    /// The ranked answers, from a device.
    ///
    /// # Errors
    /// When the inputs do not fit together, the device fails, or the job is to stop.
    pub(crate) fn run_on(&self, layout: Layout, gpu: &mut Gpu<'_>) -> Result<Value, Failure> {
        let e = self.own_extents()?;
        let inputs = device::Inputs {
            queries: self.queries,
            corpus: self.corpus,
            filter: self.filter,
            metric: self.metric,
        };
        let best = device::search(&inputs, self.size(e), gpu)?;
        Ok(self.answers(e, layout, best.into_iter()))
    }

    fn answers(&self, e: Extents, layout: Layout, best: impl Iterator<Item = Vec<Ranked>>) -> Value {
        let mut indices = Vec::with_capacity(e.count() * self.k);
        let mut scores = Vec::with_capacity(e.count() * self.k);
        for sorted in best {
            let missing = self.k - sorted.len();
            indices.extend(sorted.iter().map(|r| i64::from(r.row)));
            scores.extend(sorted.iter().map(|r| self.metric.score(r.cost)));
            indices.extend(std::iter::repeat_n(offload_api::NO_MATCH, missing));
            scores.extend(std::iter::repeat_n(f64::NAN, missing));
        }
        match Matches::new::<f64>(&e.shape(self.k), indices, scores, layout) {
            Some(m) => Value::Matches(m),
            None => panic!("every query has {} answers", self.k),
        }
    }

    fn real<T: super::pair::Real>(
        &self,
        e: Extents,
        rows: &[u32],
        ctx: &Context,
    ) -> Result<Vec<Top>, Failure> {
        let space = Vectors {
            queries: slice::<T>(self.queries.1),
            corpus: slice::<T>(self.corpus),
            d: e.d,
            metric: self.metric,
        };
        if self.is_blocked(e, rows.len()) {
            blocked(ctx, &space, rows, e.count(), self.k)
        } else {
            direct(ctx, &space, rows, &all(e), self.k)
        }
    }
}

fn all(e: Extents) -> Vec<u32> {
    (0..e.count() as u32).collect()
}

/// The elements of a tensor whose type was just asked.
pub(crate) fn slice<T: Element>(tensor: &Tensor) -> &[T] {
    tensor.as_slice::<T>().unwrap_or_default()
}
