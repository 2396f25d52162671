// Rows of the corpus for product quantisation: whether they can be coded, their components about a centre, and how far
// codes are off.

// Counts rows with a component that is not finite, or whose square is beyond `largest`.
KERNEL vector_pq_check(u32 count, u32 d, f64 largest, GLOBAL const T *RESTRICT corpus, GLOBAL u32 *RESTRICT bad) {
  const u32 lane = local_id() % LANES;
  const u32 slot = local_id() / LANES;
  for (u32 at = group_id() * ROWS; at < count; at += group_count() * ROWS) {
    const u32 i = at + slot < count ? at + slot : count - 1u;
    GLOBAL const T *x[1];
    x[0] = corpus + (u64)i * d;
    f64 square, unused;
    row_sums(DOT, d, d % 4u == 0u, lane, x[0], x, &square, &unused);
    // Not at most `largest`: NaN is not, nor is infinity.
    if (lane == 0 && at + slot < count && !(square <= largest)) atomic_fetch_add_u32(bad, 1u);
  }
}

// Components `from` to `from + each` of rows about the centre, component by component: of those that `chosen` names
// where `is_chosen`, else of `count` rows from `first` on.
KERNEL vector_pq_move(u32 first, u32 count, u32 d, u32 from, u32 each, u32 is_chosen, GLOBAL const u32 *RESTRICT chosen,
                      GLOBAL const f64 *RESTRICT centre, GLOBAL const T *RESTRICT corpus, GLOBAL f32 *RESTRICT rows) {
  FOR_EACH(i, count) {
    const u64 row = is_chosen ? (u64)chosen[i] : (u64)first + i;
    GLOBAL const T *x = corpus + row * d + from;
    for (u32 j = 0; j < each; j++) rows[(u64)j * count + i] = (f32)((f64)x[j] - centre[j]);
  }
}

// The squares of what codes are off by, summed over the rows of each group.
KERNEL vector_pq_errors(u32 first, u32 count, u32 d, u32 from, u32 each, u32 stride, u32 at,
                        GLOBAL const T *RESTRICT corpus, GLOBAL const T *RESTRICT meant, GLOBAL const u8 *RESTRICT codes,
                        GLOBAL f64 *RESTRICT errors) {
  SHARED f64 scratch[BLOCK];
  f64 error = 0.0;
  FOR_EACH(i, count) {
    const u64 row = (u64)first + i;
    GLOBAL const T *x = corpus + row * d + from;
    GLOBAL const T *m = meant + (u64)codes[row * stride + at] * each;
    for (u32 j = 0; j < each; j++) { const f64 off = (f64)x[j] - (f64)m[j]; error += off * off; }
  }
  scratch[local_id()] = error;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (local_id() < s) scratch[local_id()] += scratch[local_id() + s];
    group_barrier();
  }
  if (local_id() == 0) errors[group_id()] = scratch[0];
}
