//! The kernel texts of the searches, and how they are started.

use offload_core::device::KernelText;

/// Items of a group in every text here.
pub(super) const BLOCK: u32 = 256;
/// Items that share a row where there are shuffles; elsewhere groups are more than needed, which does no harm.
pub(super) const LANES: u32 = 4;

/// The text of the operations on pairs.
pub(crate) static PAIR_TEXTS: &[&KernelText] = &[&pairs::PAIRS];

/// Every text of a search.
pub(crate) static TEXTS: &[&KernelText] = &[
    &costs_one::COSTS,
    &costs_four::COSTS,
    &codes::CODES,
    &rank::RANK,
    &pack::PACK,
    &select_short::SELECT,
    &select_long::SELECT,
    &sift::SIFT,
];

macro_rules! costs {
    ($module:ident, $name:literal, $queries:literal) => {
        pub(super) mod $module {
            offload_core::kernels! {
                /// Exact costs of rows for so many queries at a time.
                pub(crate) static COSTS = $name {
                    text: concat!(include_str!("row.gpu.c"), include_str!("costs.gpu.c")),
                    block: super::BLOCK,
                    elements: [F32, F64],
                    defines: [("QUERIES", $queries)],
                }
                /// `costs[i, row]` for the queries that `chosen` names from `from` on; none where `filter` leaves out.
                fn vector_costs<T>(
                    first: u32, count: u32, d: u32, metric: u32, queries: u32, masked: u32, from: u32,
                    chosen: [u32], q: [f64], q_squares: [f64], corpus: [T], filter: [u8], costs: [u64],
                );
            }
        }
    };
}
costs!(costs_one, "vector_costs_one", "1");
costs!(costs_four, "vector_costs_four", "4");

pub(super) mod codes {
    offload_core::kernels! {
        /// Bits of codes that differ.
        pub(crate) static CODES = "vector_codes" {
            text: include_str!("codes.gpu.c"),
            block: super::BLOCK,
            elements: [],
            defines: [],
        }
        /// `costs[i, row]` as of real vectors.
        fn vector_codes(
            first: u32, count: u32, d: u32, queries: u32, masked: u32, from: u32,
            chosen: [u32], q: [u8], corpus: [u8], filter: [u8], costs: [u64],
        );
    }
}

pub(super) mod rank {
    offload_core::kernels! {
        /// Exact costs of the rows that lists name.
        pub(crate) static RANK = "vector_rank" {
            text: concat!(include_str!("row.gpu.c"), include_str!("rank.gpu.c")),
            block: super::BLOCK,
            elements: [F32, F64],
            defines: [("QUERIES", "1")],
        }
        /// `keys[i, place]` and `rows[i, place]` of the queries that `chosen` names from `from` on.
        fn vector_rank<T>(
            slots: u32, keep: u32, d: u32, metric: u32, from: u32, chosen: [u32],
            list_keys: [u64], list_rows: [u32], apart: [u32], q: [f64], q_squares: [f64], corpus: [T],
            keys: [u64], rows: [u32],
        );
    }
}

pub(super) mod pack {
    offload_core::kernels! {
        /// Rows as the products take them.
        pub(crate) static PACK = "vector_pack" {
            text: concat!(include_str!("row.gpu.c"), include_str!("pack.gpu.c")),
            block: super::BLOCK,
            elements: [F32, F64],
            defines: [("QUERIES", "1")],
        }
        /// `packed[i, ..]` where `write`, and `weights[first + i]`, of the row `(first + i) step`.
        fn vector_pack<T>(
            first: u32, count: u32, step: u32, d: u32, width: u32, metric: u32, write: u32, masked: u32, most: u32,
            scale: f64, centre: [f64], corpus: [T], filter: [u8], packed: [f32], weights: [f32], apart: [u32],
        );
    }
}

pub(super) mod pairs {
    offload_core::kernels! {
        /// Scores of pairs.
        pub(crate) static PAIRS = "vector_pairs" {
            text: concat!(include_str!("row.gpu.c"), include_str!("pairs.gpu.c")),
            block: super::BLOCK,
            elements: [F32, F64],
            defines: [("QUERIES", "1"), ("Q_IS_T", "1")],
        }
        /// `scores[i]` of `a[i a_step ..]` and `b[i b_step ..]`.
        fn vector_pairs<T>(
            count: u64, d: u32, metric: u32, a_step: u64, b_step: u64, a: [T], b: [T], scores: [f64],
        );
    }
}

macro_rules! select {
    ($module:ident, $name:literal, $list:literal) => {
        pub(super) mod $module {
            offload_core::kernels! {
                /// Running lists of the least.
                pub(crate) static SELECT = $name {
                    text: concat!(
                        include_str!("list.gpu.c"),
                        include_str!("bound.gpu.c"),
                        include_str!("select.gpu.c")
                    ),
                    block: super::BLOCK,
                    elements: [],
                    defines: [("LIST", $list)],
                }
                /// Products past the lists.
                fn vector_select_bounds(
                    first: u32, width: u32, part: u32, keep: u32, cosine: u32, products: [u64], owns: [f32],
                    weights: [f32], list_keys: [u64], list_rows: [u32], counts: [u32], cuts: [u64],
                );
                /// Keys past the lists.
                fn vector_select_keys(
                    first: u32, width: u32, part: u32, keep: u32, is_named: u32, sorted: u32, limits: u32,
                    offered: [u64], named: [u32], offered_cuts: [u64],
                    list_keys: [u64], list_rows: [u32], counts: [u32], cuts: [u64],
                );
            }
        }
    };
}
select!(select_short, "vector_select_short", "512");
select!(select_long, "vector_select_long", "2048");

pub(super) mod sift {
    offload_core::kernels! {
        /// Rows below thresholds, by products that are not written.
        pub(crate) static SIFT = "vector_sift" {
            text: concat!(include_str!("bound.gpu.c"), include_str!("hits.gpu.c"), include_str!("sift.gpu.c")),
            cuda: concat!(
                include_str!("bound.gpu.c"),
                include_str!("hits.gpu.c"),
                include_str!("sift.cuda.cu"),
                include_str!("sift.gpu.c")
            ),
            block: super::BLOCK,
            elements: [],
            defines: [],
        }
        /// Rows whose bound is below the query's threshold, past the lists.
        fn vector_sift(
            first: u32, count: u32, width: u32, queries: u32, cosine: u32, capacity: u32,
            panels: [f32], owns: [f32], thresholds: [u64], corpus: [f32], weights: [f32],
            list_keys: [u64], list_rows: [u32], counts: [u32], cuts: [u64],
        );
    }
}
