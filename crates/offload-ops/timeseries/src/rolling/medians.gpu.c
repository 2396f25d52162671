// Medians of windows: one or two look-ups of a rank. Each reads 128 times 8 bytes a value, close to each other for close windows;
// bound by the cache.
#define NOT_A_NUMBER AS_F64((u64)0x7ff80000u << 32)

KERNEL rolling_medians(u32 count, u32 n, u32 width, u32 fewest, u32 words, GLOBAL const u32 *RESTRICT marks,
                       GLOBAL const u32 *RESTRICT totals, GLOBAL f64 *RESTRICT out) {
  const ranks_matrix m = ranks_of(words, marks, totals);
  FOR_EACH(i, count) {
    const u32 at = (u32)i % n, has = at < width ? at + 1u : width;
    f64 v = NOT_A_NUMBER;
    if (has >= fewest) {
      const ranks_node all = ranks_root((u32)i + 1u - has, (u32)i + 1u);
      v = ranks_value(ranks_find(m, all, has / 2u).key);
      if (has % 2u == 0u) v = (ranks_value(ranks_find(m, all, has / 2u - 1u).key) + v) / 2.0;
    }
    out[i] = v;
  }
}
