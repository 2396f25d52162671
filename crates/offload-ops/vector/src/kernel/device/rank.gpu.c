// What the kept rows of each query cost, exactly: the rows of its list, then those that are held apart.
KERNEL vector_rank(u32 slots, u32 keep, u32 d, u32 metric, u32 from, GLOBAL const u32 *RESTRICT chosen,
                   GLOBAL const u64 *RESTRICT list_keys, GLOBAL const u32 *RESTRICT list_rows,
                   GLOBAL const u32 *RESTRICT apart, GLOBAL const f64 *RESTRICT q, GLOBAL const f64 *RESTRICT q_squares,
                   GLOBAL const T *RESTRICT corpus, GLOBAL u64 *RESTRICT keys, GLOBAL u32 *RESTRICT rows) {
  const u32 lane = local_id() % LANES;
  const u32 place = group_id() * ROWS + local_id() / LANES;
  const u32 list = group_id_y();
  const u32 query = chosen[from + list];
  u32 row = ~0u;
  if (place < keep) {
    if (list_keys[(u64)list * keep + place] != NONE) row = list_rows[(u64)list * keep + place];
  } else if (place < slots && place - keep < apart[0]) {
    row = apart[1u + place - keep];
  }
  GLOBAL const T *x = corpus + (row == ~0u ? (u64)0 : (u64)row * d);
  GLOBAL const f64 *at_query[1];
  at_query[0] = q + (u64)query * d;
  f64 sums[1], square;
  row_sums(metric, row == ~0u ? 0u : d, d % 4u == 0u, lane, x, at_query, sums, &square);
  if (lane == 0 && place < slots) {
    const u64 key = row == ~0u ? NONE
      : cost_key(pair_cost(metric, d, sums[0], q_squares[query], square, x, at_query[0]));
    keys[(u64)list * slots + place] = key;
    rows[(u64)list * slots + place] = row;
  }
}
