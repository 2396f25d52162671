//! `timeseries.match`: where a series looks like a query, or like itself, and where it looks like nothing else.

mod cases;
mod cpu;
mod gpu;
mod pick;
mod profile;
mod profile_gpu;
mod search;
mod search_gpu;
mod windows;

use crate::series::{Extents, Need, numbers, places, planned, sometimes, unplanned, values_bytes};
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, int, real};

/// The most values of a series that is searched for a query.
const LONGEST: usize = 1 << 26;
/// The most values of a series that is held against itself: the work grows with their square.
const LONGEST_ITSELF: usize = 1 << 17;
/// The longest query, and window.
const WIDEST: usize = 1 << 16;
const K: i64 = 3;

offload_core::inputs! {
    /// Inputs of `timeseries.match`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values, `[n]`, in the order of time.
        data: T = real(1, 1),
        /// What is looked for, `[m]`. When left out, `window` is given and `data` is held against itself.
        query: Option<T> = real(1, 1),
        /// How many values a motif has, when there is no query.
        window: Option<i64> = int(3, WIDEST as i64),
        /// How many answers are given, at most; 3 when left out.
        k: Option<i64> = int(1, 1000),
        /// Answers start more than so many values apart, and so do a window and its match; a quarter of the window, rounded
        /// up, when left out.
        exclusion: Option<i64> = int(0, 1 << 26),
        /// Whether the distances of all windows are given as well.
        profile: bool,
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Values of a window.
    m: usize,
    /// Windows of the series.
    windows: usize,
    k: usize,
    exclusion: usize,
    /// Whether the series is held against itself.
    itself: bool,
}

impl<T> Inputs<T> {
    fn asked(&self, n: usize, query: Option<usize>) -> Result<Asked, Rejection> {
        let m = match (query, self.window) {
            (Some(_), Some(_)) => {
                return Err(Rejection::new("window", "window is for a series alone; leave it or query out"));
            }
            (None, None) => {
                return Err(Rejection::new("query", "give query, or window to hold data against itself"));
            }
            (Some(m), None) => m,
            (None, Some(w)) => w.max(0) as usize,
        };
        let (name, least) = if query.is_some() { ("query", 2) } else { ("window", 3) };
        if !(least..=WIDEST).contains(&m) || m > n {
            return Err(Rejection::new(
                name,
                format!(
                    "{name} has {m} values, it must have from {least} to {WIDEST}, and at most as many as data: {n}"
                ),
            ));
        }
        if query.is_none() && n > LONGEST_ITSELF {
            return Err(Rejection::new(
                "data",
                format!("data has {n} values, the limit without query is {LONGEST_ITSELF}"),
            ));
        }
        let exclusion = self.exclusion.map_or(m.div_ceil(4), |e| e.max(0) as usize);
        Ok(Asked {
            m,
            windows: n - m + 1,
            k: self.k.unwrap_or(K).clamp(1, 1000) as usize,
            exclusion,
            itself: query.is_none(),
        })
    }
}

/// Windows that are alike when their level and their scale are taken off.
pub struct Match;

impl Operation for Match {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "timeseries",
            name: "match",
            version: 1,
            summary: "Where a series looks like a query or like itself, and where like nothing else",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                sometimes(
                    "indices",
                    "With `query`: where the nearest windows start, the nearest first, `[k]`.",
                    places(1, 1),
                ),
                sometimes("distances", "With `query`: how far they are from it, `[k]`.", numbers(1, 1)),
                sometimes(
                    "motifs",
                    "Without `query`: where the two windows of each of the nearest pairs start, the nearest first, `[k, 2]`.",
                    places(2, 2),
                ),
                sometimes(
                    "motif_distances",
                    "How far the windows of each pair are apart, `[k]`.",
                    numbers(1, 1),
                ),
                sometimes(
                    "discords",
                    "Without `query`: where the windows start that are farthest from all others, the farthest first, `[k]`.",
                    places(1, 1),
                ),
                sometimes(
                    "discord_distances",
                    "How far each of them is from the nearest other, `[k]`.",
                    numbers(1, 1),
                ),
                sometimes(
                    "profile",
                    "The distance of each window from the query, or from the nearest other one, `[n − m + 1]`; missing where all others are excluded.",
                    Kind::Gapped { min_rank: 1, max_rank: 1 },
                ),
                sometimes(
                    "neighbours",
                    "Without `query`, beside `profile`: where the nearest other window starts; −1 where all are excluded.",
                    places(1, 1),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of("data", &inputs.data, LONGEST)?;
        let query = inputs.query.as_ref();
        if let Some(q) = query {
            Extents::of("query", q, WIDEST)?;
        }
        let a = inputs.asked(e.n, query.map(|q| q.elements() as usize))?;
        let windows = a.windows as u64;
        let (work, workspace) = if a.itself { profile::cost(a) } else { search::cost(a) };
        let mut outputs = Vec::new();
        if a.itself {
            outputs.extend(["motifs", "motif_distances", "discords", "discord_distances"].map(unplanned));
        } else {
            outputs.extend(["indices", "distances"].map(unplanned));
        }
        if inputs.profile {
            outputs.push(planned("profile", DType::F64, vec![a.windows]));
            if a.itself {
                outputs.push(planned("neighbours", DType::I64, vec![a.windows]));
            }
        }
        Ok(e.plan(Need {
            work,
            more_bytes_in: query.map_or(0, TensorSpec::bytes),
            more_bytes_out: 40 * a.k as u64,
            // The distances, where they are not given back, and what answers are picked from.
            workspace: values_bytes(&inputs.data)
                .saturating_add(query.map_or(0, values_bytes))
                .saturating_add(24 * windows)
                .saturating_add(workspace),
            device: gpu::need(inputs, a),
            outputs,
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        gpu::KERNELS
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
