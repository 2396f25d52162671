// Systems with the triangular blocks of a factorisation, and the order of rows.

// Replaces columns of x by the solutions of triangular systems of extent b. An entry (i, j) of the triangle lies at
// at + i row + j column; forward takes the lower triangle, backward the upper one; unit has ones on the diagonal. An item
// has a column of x.
KERNEL triangle_solve(u32 b, u32 backward, u32 unit, GLOBAL const T *a, u64 a_at, u32 a_row, u32 a_column, u64 a_each,
                      u32 columns, u64 total, GLOBAL T *x, u64 x_at, u32 x_column, u64 x_each) {
  FOR_EACH(item, total) {
    const u64 a0 = a_at + item / columns * a_each;
    const u64 x0 = x_at + item / columns * x_each + item % columns * x_column;
    for (u32 s = 0u; s < b; ++s) {
      const u32 i = backward ? b - 1u - s : s;
      T v = x[x0 + i];
      for (u32 q = 0u; q < s; ++q) {
        const u32 j = backward ? b - 1u - q : q;
        v = fma_t(-a[a0 + (u64)i * a_row + (u64)j * a_column], x[x0 + j], v);
      }
      x[x0 + i] = unit ? v : v / a[a0 + (u64)i * a_row + (u64)i * a_column];
    }
  }
}

// Exchanges row i of x with row pivots[i] - 1 for i from first to last, or from last to first. An item has a column; of
// those, `skipped` from `skip` on are left out.
KERNEL triangle_exchange(u32 first, u32 count, u32 backward, u32 n, GLOBAL const i32 *pivots, u64 pivots_at, u32 columns,
                         u32 skip, u32 skipped, u64 total, GLOBAL T *x, u64 x_at, u32 x_column, u64 x_each) {
  FOR_EACH(item, total) {
    const u64 matrix = item / columns;
    u64 c = item % columns;
    if (c >= skip) c += skipped;
    const u64 x0 = x_at + matrix * x_each + c * x_column, p0 = pivots_at + matrix * n;
    for (u32 s = 0u; s < count; ++s) {
      const u32 i = first + (backward ? count - 1u - s : s);
      const u32 j = (u32)(pivots[p0 + i] - 1);
      const T v = x[x0 + i];
      x[x0 + i] = x[x0 + j];
      x[x0 + j] = v;
    }
  }
}
