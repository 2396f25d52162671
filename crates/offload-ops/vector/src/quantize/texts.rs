//! The kernel texts of product quantisation.

use offload_core::device::KernelText;

/// Items of a group.
pub(super) const BLOCK: u32 = 256;
/// Centroids that are scored together.
pub(super) const TOGETHER: usize = 16;

pub(super) static TEXTS: &[&KernelText] = &[&MEANS, &rows::ROWS];

offload_core::kernels! {
    /// Assignment to centroids, and where they move.
    pub(super) static MEANS = "vector_pq" {
        text: include_str!("kernel.gpu.c"),
        block: BLOCK,
        elements: [],
        defines: [],
    }
    /// `columns[j, c]` and `halves[c]` of `centroids[c, j]`.
    fn vector_pq_columns(each: u32, k: u32, padded: u32, centroids: [f32], columns: [f32], halves: [f32]);
    /// `codes[i stride + at]` of `rows[j, i]`.
    fn vector_pq_assign(
        count: u32, each: u32, padded: u32, stride: u32, at: u64, rows: [f32], columns: [f32], halves: [f32],
        codes: [u8], changed: [u32],
    );
    /// `sums[piece, c, j]` and `counts[piece, c]`.
    fn vector_pq_sums(
        count: u32, each: u32, k: u32, piece: u32, rows: [f32], codes: [u8], sums: [f64], counts: [u32],
    );
    /// `centroids[c, j]` and `sizes[c]`.
    fn vector_pq_means(
        each: u32, k: u32, pieces: u32, sums: [f64], counts: [u32], centroids: [f32], sizes: [u32],
    );
}

pub(super) mod rows {
    offload_core::kernels! {
        /// Rows of the corpus as product quantisation takes them.
        pub(crate) static ROWS = "vector_pq_rows" {
            text: concat!(include_str!("../kernel/device/row.gpu.c"), include_str!("rows.gpu.c")),
            block: super::BLOCK,
            elements: [F32, F64],
            defines: [("QUERIES", "1"), ("Q_IS_T", "1")],
        }
        /// Rows that cannot be coded, into `bad`.
        fn vector_pq_check<T>(count: u32, d: u32, largest: f64, corpus: [T], bad: [u32]);
        /// `rows[j, i]` about `centre`.
        fn vector_pq_move<T>(
            first: u32, count: u32, d: u32, from: u32, each: u32, is_chosen: u32, chosen: [u32], centre: [f64],
            corpus: [T], rows: [f32],
        );
        /// `errors[group]`.
        fn vector_pq_errors<T>(
            first: u32, count: u32, d: u32, from: u32, each: u32, stride: u32, at: u32, corpus: [T], meant: [T],
            codes: [u8], errors: [f64],
        );
    }
}
