// The row of an item, the last one once more beyond it; of one that is left out nothing is read.
#define COSTS_AT(at) ((at) + slot < count ? (at) + slot : count - 1u)
#define COSTS_ROW(at) (corpus + ((u64)first + COSTS_AT(at)) * d)
#define COSTS_D(at) (masked && filter[(u64)first + COSTS_AT(at)] == 0 ? 0u : d)

// What every row costs some queries, exactly. The corpus is read once for QUERIES queries, 16 bytes an item, and each
// cost written as 8 bytes: bound by memory for one query, by f64 arithmetic for four.
KERNEL vector_costs(u32 first, u32 count, u32 d, u32 metric, u32 queries, u32 masked, u32 from,
                    GLOBAL const u32 *RESTRICT chosen, GLOBAL const f64 *RESTRICT q, GLOBAL const f64 *RESTRICT q_squares,
                    GLOBAL const T *RESTRICT corpus, GLOBAL const u8 *RESTRICT filter, GLOBAL u64 *RESTRICT costs) {
  const u32 lane = local_id() % LANES;
  const u32 slot = local_id() / LANES;
  const u32 of = group_id_y() * QUERIES;
  const u32 some = queries - of < QUERIES ? queries - of : QUERIES;
  const u32 whole = d % 4u == 0u;
  GLOBAL const f64 *at_query[QUERIES];
  #pragma unroll
  for (int a = 0; a < QUERIES; a++)                   // what is beyond the last query repeats it, and is not written
    at_query[a] = q + (u64)chosen[from + of + ((u32)a < some ? (u32)a : some - 1u)] * d;
  const u32 step = group_count() * ROWS;
#if defined(PIPELINED)
  Ahead ahead = row_ahead(COSTS_D(group_id() * ROWS), whole, lane, COSTS_ROW(group_id() * ROWS));
#endif
  for (u32 at = group_id() * ROWS; at < count; at += step) {
    const u32 i = COSTS_AT(at);
    const u64 row = (u64)first + i;
    const u32 left_out = masked && filter[row] == 0;
    GLOBAL const T *x = corpus + row * d;
    f64 sums[QUERIES], square;
#if defined(PIPELINED)
    const u32 after = count - at > step ? at + step : at;
    row_sums_before(metric, left_out ? 0u : d, after > at ? COSTS_D(after) : 0u, whole, lane, x, COSTS_ROW(after),
                    &ahead, at_query, sums, &square);
#else
    row_sums(metric, left_out ? 0u : d, whole, lane, x, at_query, sums, &square);
#endif
    if (lane == 0 && at + slot < count) {
      #pragma unroll
      for (int a = 0; a < QUERIES; a++) {
        if ((u32)a < some) {
          const f64 q_square = q_squares[chosen[from + of + (u32)a]];
          const u64 key = cost_key(pair_cost(metric, d, sums[a], q_square, square, x, at_query[a]));
          costs[(u64)(of + (u32)a) * count + i] = left_out ? NONE : key;
        }
      }
    }
  }
}
