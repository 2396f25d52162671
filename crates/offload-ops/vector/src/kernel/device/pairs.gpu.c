// Scores of pairs of rows, exactly; a step of 0 pairs one vector with every row of the other. Both are read once from
// memory, 16 bytes an item.
KERNEL vector_pairs(u64 count, u32 d, u32 metric, u64 a_step, u64 b_step, GLOBAL const T *RESTRICT a,
                    GLOBAL const T *RESTRICT b, GLOBAL f64 *RESTRICT scores) {
  const u32 lane = local_id() % LANES;
  const u32 slot = local_id() / LANES;
  const u32 whole = d % 4u == 0u;
  for (u64 at = (u64)group_id() * ROWS; at < count; at += (u64)group_count() * ROWS) {
    const u64 row = at + slot < count ? at + slot : count - 1u;
    GLOBAL const T *x = b + row * b_step;
    GLOBAL const T *y[1];
    y[0] = a + row * a_step;
    f64 sum, square, a_square = 0.0, unused;
    row_sums(metric, d, whole, lane, x, y, &sum, &square);
    if (metric == COSINE) row_sums(DOT, d, whole, lane, y[0], y, &a_square, &unused);
    if (lane == 0 && at + slot < count) scores[row] = pair_score(metric, d, sum, a_square, square, x, y[0]);
  }
}
