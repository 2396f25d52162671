// Sums and maxima of magnitudes in f64, in a fixed order, so that results repeat. Each entry leaves a few partial
// results per matrix, which the host joins.
DEVICE f64 norm_larger(f64 a, f64 b) { return (a != a || a > b) ? a : b; }

// By halves over the group; what = 0 adds, 1 takes the larger one, and NaN when one is.
DEVICE f64 norm_join(f64 v, u32 what, LOCAL f64 *scratch) {
  const u32 t = local_id();
  scratch[t] = v;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s) scratch[t] = what ? norm_larger(scratch[t], scratch[t + s]) : scratch[t] + scratch[t + s];
    group_barrier();
  }
  const f64 joined = scratch[0];
  group_barrier();
  return joined;
}

// The largest magnitude of each piece of `piece` entries; `pieces` a matrix of `len`.
KERNEL norm_largest(u64 len, u64 piece, u32 pieces, GLOBAL const T *RESTRICT a, GLOBAL f64 *RESTRICT out) {
  SHARED f64 scratch[BLOCK];
  const u64 from = (u64)(group_id() % pieces) * piece, base = (u64)(group_id() / pieces) * len;
  const u64 end = from + piece < len ? from + piece : len;
  f64 v = 0.0;
  for (u64 i = from + local_id(); i < end; i += BLOCK) v = norm_larger(v, abs_f64((f64)a[base + i]));
  v = norm_join(v, 1u, scratch);
  if (local_id() == 0u) out[group_id()] = v;
}

// The sum of squares of each piece, every entry times the factor of its matrix.
KERNEL norm_squares(u64 len, u64 piece, u32 pieces, GLOBAL const T *RESTRICT a, GLOBAL const f64 *RESTRICT factor,
                    GLOBAL f64 *RESTRICT out) {
  SHARED f64 scratch[BLOCK];
  const u64 from = (u64)(group_id() % pieces) * piece, base = (u64)(group_id() / pieces) * len;
  const u64 end = from + piece < len ? from + piece : len;
  const f64 f = factor[group_id() / pieces];
  f64 v = 0.0;
  for (u64 i = from + local_id(); i < end; i += BLOCK) {
    const f64 x = (f64)a[base + i] * f;
    v = fma_f64(x, x, v);
  }
  v = norm_join(v, 0u, scratch);
  if (local_id() == 0u) out[group_id()] = v;
}

// The sum of magnitudes of each row.
KERNEL norm_rows(u32 columns, GLOBAL const T *RESTRICT a, GLOBAL f64 *RESTRICT out) {
  SHARED f64 scratch[BLOCK];
  const u64 base = (u64)group_id() * columns;
  f64 v = 0.0;
  for (u32 i = local_id(); i < columns; i += BLOCK) v += abs_f64((f64)a[base + i]);
  v = norm_join(v, 0u, scratch);
  if (local_id() == 0u) out[group_id()] = v;
}

// The sum of magnitudes of each column over each band of `band` rows; an item has a column.
KERNEL norm_columns(u32 rows, u32 columns, u32 band, GLOBAL const T *RESTRICT a, GLOBAL f64 *RESTRICT out) {
  const u32 tiles = (columns + BLOCK - 1u) / BLOCK, bands = (rows + band - 1u) / band;
  const u32 column = group_id() % tiles * BLOCK + local_id();
  const u32 strip = group_id() / tiles, matrix = strip / bands, from = strip % bands * band;
  const u32 end = from + band < rows ? from + band : rows;
  if (column >= columns) return;
  const u64 base = (u64)matrix * rows * columns + column;
  f64 v = 0.0;
  for (u32 i = from; i < end; ++i) v += abs_f64((f64)a[base + (u64)i * columns]);
  out[(u64)strip * columns + column] = v;
}
