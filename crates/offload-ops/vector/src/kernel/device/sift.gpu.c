// Rows whose bound is below a query's threshold, out of all rows, without a product in memory. With thresholds from a
// sample of one row in n, about n rows pass for each that is kept.

// `count` rows of `width` columns, numbered from `first` on. `thresholds` are complements of keys, 0 where there is none:
// then, as where a list runs over, its cut says that nothing is known of what is left out. Lists are as LIST_OPEN has
// them, one of a query for each group of the first direction.
KERNEL vector_sift(u32 first, u32 count, u32 width, u32 queries, u32 cosine, u32 capacity,
                   GLOBAL const f32 *RESTRICT panels, GLOBAL const f32 *RESTRICT owns,
                   GLOBAL const u64 *RESTRICT thresholds, GLOBAL const f32 *RESTRICT corpus,
                   GLOBAL const f32 *RESTRICT weights, GLOBAL u64 *RESTRICT list_keys, GLOBAL u32 *RESTRICT list_rows,
                   GLOBAL u32 *RESTRICT counts, GLOBAL u64 *RESTRICT cuts) {
  SHARED u32 taken[SPAN];
  SHARED f32 own[SPAN];
  SHARED f32 most[SPAN];
#if !defined(TENSOR_CORES)
  SHARED f32 left[CHUNK * (PANEL + 1u)];
  SHARED f32 right[CHUNK * (STRIP + 1u)];
#endif
  const u32 base = group_id_y() * SPAN;
  const u32 some = queries - base < SPAN ? queries - base : SPAN;
  for (u32 q = local_id(); q < SPAN; q += BLOCK) {
    const u64 cut = q < some ? thresholds[base + q] : (u64)0;
    own[q] = q < some ? owns[base + q] : NOT_A_NUMBER;
    most[q] = cut != 0 ? key_bound(~cut) : LEAST_BOUND;
    taken[q] = cut != 0 ? counts[(u64)(base + q) * group_count() + group_id()] : capacity + 1u;
  }
  group_barrier();

#if defined(TENSOR_CORES)
  sift_strips(first, count, width, base, some, cosine, capacity, panels, corpus, weights, list_keys, list_rows, taken,
              own, most);
#else
  const u32 chunks = (width + CHUNK - 1u) / CHUNK;
  const u32 side = local_id() / 16u, along = local_id() % 16u;
  for (u32 panel = 0; panel * PANEL < some; panel++) {
    for (u32 row0 = group_id() * STRIP; row0 < count; row0 += group_count() * STRIP) {
      f32 sum[PANEL / 16u][STRIP / 16u];
      for (u32 a = 0; a < PANEL / 16u; a++)
        for (u32 b = 0; b < STRIP / 16u; b++) sum[a][b] = 0.0f;
      for (u32 c = 0; c < chunks; c++) {
        GLOBAL const f32 *piece = panels + ((u64)(base / PANEL + panel) * chunks + c) * PIECE;
        for (u32 e = local_id(); e < PIECE; e += BLOCK) {
          const u32 i = e / CHUNK, j = e % CHUNK, column = c * CHUNK + j;
          const u32 there = row0 + i < count && column < width;
          left[j * (PANEL + 1u) + i] = piece[e];
          right[j * (STRIP + 1u) + i] = there ? corpus[(u64)(row0 + i) * width + column] : 0.0f;
        }
        group_barrier();
        for (u32 j = 0; j < CHUNK; j++) {
          f32 x[PANEL / 16u], y[STRIP / 16u];
          for (u32 a = 0; a < PANEL / 16u; a++) x[a] = left[j * (PANEL + 1u) + side + a * 16u];
          for (u32 b = 0; b < STRIP / 16u; b++) y[b] = right[j * (STRIP + 1u) + along + b * 16u];
          for (u32 a = 0; a < PANEL / 16u; a++)
            for (u32 b = 0; b < STRIP / 16u; b++) sum[a][b] = fma_f32(x[a], y[b], sum[a][b]);
        }
        group_barrier();
      }
      for (u32 b = 0; b < STRIP / 16u; b++) {
        const u32 i = row0 + along + b * 16u;
        const f32 weight = i < count ? weights[first + i] : NOT_A_NUMBER;
        for (u32 a = 0; a < PANEL / 16u; a++) {
          const u32 q = panel * PANEL + side + a * 16u;
          const f32 bound = bound_of(cosine, own[q], weight, sum[a][b]);
          if (bound < most[q]) {
            const u64 list = (u64)(base + q) * group_count() + group_id();
            sift_take(&taken[q], capacity, bound, first + i, list_keys + list * capacity, list_rows + list * capacity);
          }
        }
      }
    }
  }
#endif

  group_barrier();
  for (u32 q = local_id() / 32u; q < some; q += BLOCK / 32u) {
    const u64 list = (u64)(base + q) * group_count() + group_id();
    const u32 is_over = taken[q] > capacity;
    for (u32 i = taken[q] + local_id() % 32u; i < capacity; i += 32u) list_keys[list * capacity + i] = NONE;
    if (local_id() % 32u == 0u) {
      counts[list] = taken[q];
      cuts[list] = is_over ? ~bound_key(LEAST_BOUND) : thresholds[base + q];
    }
  }
}
