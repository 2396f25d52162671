// Rows as the products take them, and the number of each that turns a product into a bound. One pass over the corpus,
// 16 bytes an item: bound by memory (0.13 ms per 512 MB of it at 4 TB/s).
#define LONGEST 1099511627776.0                       // 2^40, as the host has it
#define NOT_A_NUMBER AS_F32(0x7fc00000u)

// Rows first * step, (first + 1) * step and so on, of which each has its weight at its number before it is multiplied.
// `write`: moved by the centre and scaled (or to length 1, for the cosine) into `packed`, `width` columns a row, of
// which those beyond d stay zero. Else the product takes the corpus as it is. A weight that is NaN keeps a row out of
// the lists: left out by the filter, NaN itself, or without a place in range and then named in `apart` (its first
// element counts, at most `most` are named).
KERNEL vector_pack(u32 first, u32 count, u32 step, u32 d, u32 width, u32 metric, u32 write, u32 masked, u32 most,
                   f64 scale, GLOBAL const f64 *RESTRICT centre, GLOBAL const T *RESTRICT corpus,
                   GLOBAL const u8 *RESTRICT filter, GLOBAL f32 *RESTRICT packed, GLOBAL f32 *RESTRICT weights, GLOBAL u32 *RESTRICT apart) {
  const u32 lane = local_id() % LANES;
  const u32 slot = local_id() / LANES;
  const u32 whole = d % 4u == 0u;
  const u32 chunks = d / 16u;
  for (u32 at = group_id() * ROWS; at < count; at += group_count() * ROWS) {
    const u32 i = at + slot < count ? at + slot : count - 1u;
    const u64 row = ((u64)first + i) * step;
    const u32 left_out = masked && filter[row] == 0;
    GLOBAL const T *x = corpus + row * d;
    f64 part[PER];
    u32 some = 0;                                     // whether a component is not zero
    #pragma unroll
    for (int j = 0; j < PER; j++) part[j] = 0.0;
    if (!left_out) {
      for (u32 c = 0; c < chunks; c += AHEAD) {
        f64 v[AHEAD][PER];
        #pragma unroll
        for (u32 b = 0; b < AHEAD; b++)               // all before the first is used, whatever is done with it
          load_row(v[b], x + (c + b < chunks ? c + b : c) * 16u + lane * PER, whole);
        #pragma unroll
        for (u32 b = 0; b < AHEAD; b++) {
          if (c + b >= chunks) break;
          const u32 k = (c + b) * 16u + lane * PER;
          #pragma unroll
          for (int j = 0; j < PER; j++) {
            f64 w = v[b][j];
            if (write && metric == L2) w -= centre[k + j];
            if (write && metric != COSINE) w *= scale;
            some |= w != 0.0;
            part[j] = fma_f64(w, w, part[j]);
          }
        }
      }
      #pragma unroll
      for (int j = 0; j < PER; j++) {
        const u32 k = chunks * 16u + lane * PER + (u32)j;
        if (k < d) {
          f64 v = (f64)x[k];
          if (write && metric == L2) v -= centre[k];
          if (write && metric != COSINE) v *= scale;
          some |= v != 0.0;
          part[j] = fma_f64(v, v, part[j]);
        }
      }
    }
    const f64 square = row_total(part);
#if LANES == 4
    some |= shuffle_xor_u32(some, 1);
    some |= shuffle_xor_u32(some, 2);
#endif
    const f64 n = sqrt_f64(square);
    f32 weight = NOT_A_NUMBER;
    u32 place = 0;
    f64 by = scale;
    if (metric == COSINE) {
      const f64 least = write ? 1e-100 : 1.0 / LONGEST, longest = write ? 1e100 : LONGEST;
      if (some == 0) { weight = 0.0f; place = 1u; by = 0.0; }
      else if (n >= least && n <= longest) {
        by = 1.0 / n;
        weight = write ? 1.0f : (f32)by;
        place = 1u;
      }
    } else if (n < LONGEST) {
      weight = (f32)(metric == L2 ? square : n);
      place = 1u;
    }
    if (lane == 0 && at + slot < count) {
      weights[first + i] = left_out ? NOT_A_NUMBER : weight;
      if (!left_out && !place && square == square) {  // NaN never ranks, so it needs no place
        const u32 named = atomic_fetch_add_u32(apart, 1u);
        if (named < most) apart[1u + named] = (u32)row;
      }
    }
    if (write && place && !left_out && at + slot < count) {
      GLOBAL f32 *to = packed + (u64)i * width;
      for (u32 c = 0; c <= chunks; c++) {
        #pragma unroll
        for (int j = 0; j < PER; j++) {
          const u32 k = c * 16u + lane * PER + (u32)j;
          if (k < d) to[k] = (f32)(((f64)x[k] - (metric == L2 ? centre[k] : 0.0)) * by);
        }
      }
    }
  }
}
