//! The kernel texts of the factorisations, and their signatures.

use offload_core::device::KernelText;

offload_core::kernels! {
    /// Tiles of 32 × 32.
    pub(crate) static TRANSPOSE = "matrix_transpose" {
        text: include_str!("../transpose/kernel.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [("TILE", "32u")],
    }
    /// Transposes of row-major matrices one after another; a group for each tile.
    fn matrix_transpose<T>(rows: u32, columns: u32, from: [T], from_at: u64, to: [T], to_at: u64);
}

offload_core::kernels! {
    /// Products of parts of matrices, in tiles of 64 × 64.
    pub(crate) static PRODUCT = "matrix_product" {
        text: include_str!("product.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [],
    }
    /// `c = beta · c + alpha · a · b`, a group for each tile of each matrix.
    fn matrix_product<T>(
        m: u32, n: u32, k: u32, alpha: T, beta: T, upper: u32,
        a: [T], a_at: u64, a_row: u32, a_column: u32, a_each: u64,
        b: [T], b_at: u64, b_row: u32, b_column: u32, b_each: u64,
        c: [T], c_at: u64, c_column: u32, c_each: u64,
    );
    /// Ones on the diagonals.
    fn matrix_identity<T>(m: u32, n: u32, elements: u64, out: [T]);
}

offload_core::kernels! {
    /// Triangular blocks and the order of rows.
    pub(crate) static TRIANGLE = "matrix_triangle" {
        text: include_str!("triangle.gpu.c"),
        block: 64,
        elements: [F32, F64],
        defines: [],
    }
    /// Solutions of triangular systems; an item for each column.
    fn triangle_solve<T>(
        b: u32, backward: u32, unit: u32, a: [T], a_at: u64, a_row: u32, a_column: u32, a_each: u64,
        columns: u32, total: u64, x: [T], x_at: u64, x_column: u32, x_each: u64,
    );
    /// Exchanges of rows; an item for each column.
    fn triangle_exchange<T>(
        first: u32, count: u32, backward: u32, n: u32, pivots: [i32], pivots_at: u64, columns: u32, skip: u32,
        skipped: u32, total: u64, x: [T], x_at: u64, x_column: u32, x_each: u64,
    );
}

offload_core::kernels! {
    /// Panels of LU.
    pub(crate) static LU = "matrix_lu" {
        text: include_str!("lu.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [],
    }
    /// Factors a panel of each matrix; a group for each.
    fn lu_panel<T>(n: u32, first: u32, b: u32, a: [T], pivots: [i32], info: [i32]);
}

offload_core::kernels! {
    /// Diagonal blocks of Cholesky.
    pub(crate) static CHOLESKY = "matrix_cholesky" {
        text: include_str!("cholesky.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [("SIDE", "32u")],
    }
    /// Factors a diagonal block of each matrix; a group for each.
    fn cholesky_block<T>(n: u32, first: u32, b: u32, a: [T], info: [i32]);
}

offload_core::kernels! {
    /// Panels of QR.
    pub(crate) static QR = "matrix_qr" {
        text: include_str!("qr.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [("SIDE", "32u")],
    }
    /// Factors a panel of each matrix; a group for each.
    fn qr_panel<T>(
        m: u32, n: u32, first: u32, b: u32, a: [T], tau: [T], taus: u32, factors: [T], factors_at: u64,
        factors_each: u64,
    );
    /// The reflectors of a panel written out.
    fn qr_reflectors<T>(m: u32, first: u32, b: u32, total: u64, a: [T], a_each: u64, v: [T], v_each: u64);
}

offload_core::kernels! {
    /// Rotations from one side. A ratio beyond 2^62 (2^510) has a square that leaves the range.
    pub(crate) static JACOBI = "matrix_jacobi" {
        text: include_str!("jacobi.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [("PAIRS", "32u"), ("BEYOND", "(T)4e18")],
    }
    /// One round; a group for each pair of each matrix.
    fn jacobi_round<T>(m: u32, n: u32, k: u32, round: u32, tolerance: T, w: [T], v: [T], null: [T], turned: [u32]);
    /// All rounds of small matrices; a group for each.
    fn jacobi_whole<T>(m: u32, n: u32, k: u32, sweeps: u32, tolerance: T, w: [T], v: [T], null: [T], turned: [u32]);
    /// Squared lengths; a group for each column.
    fn jacobi_lengths<T>(m: u32, w: [T], out: [T]);
    /// Eigenvalues of vectors; a group for each.
    fn jacobi_quotient<T>(n: u32, a: [T], v: [T], values: [T]);
    /// Columns in an order and by factors; an item for each entry.
    fn jacobi_arrange<T>(
        m: u32, n: u32, wanted: u32, total: u64, from: [T], order: [u32], factor: [T], columns: u32, to: [T],
    );
    /// Mirrored and made positive; a group for each matrix.
    fn jacobi_shift<T>(n: u32, a: [T], w: [T], shift: [T]);
}

offload_core::kernels! {
    /// Small matrices in local memory.
    pub(crate) static SMALL = "matrix_small" {
        text: include_str!("small.gpu.c"),
        block: 64,
        elements: [F32, F64],
        defines: [("SIDE", "64u")],
    }
    /// Inverses; a group for each.
    fn small_inverse<T>(n: u32, a: [T], inverse: [T], norms: [T], info: [i32]);
    /// Solutions; a group for each.
    fn small_solve<T>(
        n: u32, k: u32, a: [T], b: [T], b_each: u64, x: [T], inverse: [T], norms: [T], info: [i32],
    );
    /// Pivots; a group for each.
    fn small_pivots<T>(n: u32, a: [T], pivots: [T], odds: [u32], info: [i32]);
}

/// The largest extent of a matrix that the kernels of [`SMALL`] take.
pub(crate) const SMALL_EXTENT: usize = 64;

/// What LU and its solutions start.
pub(crate) static OF_LU: &[&KernelText] = &[&TRANSPOSE, &PRODUCT, &TRIANGLE, &LU, &SMALL];
/// What Cholesky starts.
pub(crate) static OF_CHOLESKY: &[&KernelText] = &[&PRODUCT, &TRIANGLE, &CHOLESKY];
/// What QR starts.
pub(crate) static OF_QR: &[&KernelText] = &[&TRANSPOSE, &PRODUCT, &QR];
/// What spectra start.
pub(crate) static OF_SPECTRA: &[&KernelText] = &[&TRANSPOSE, &PRODUCT, &QR, &JACOBI];
/// What transposes start.
pub(crate) static OF_TRANSPOSE: &[&KernelText] = &[&TRANSPOSE];
