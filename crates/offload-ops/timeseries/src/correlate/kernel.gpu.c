// Sums of products at every lag, product by product. A group has BLOCK * SIDE lags, an item SIDE neighbours, over a stretch of
// one series: a value is read once from shared memory for SIDE products. An odd SIDE keeps items off each other's banks. One
// operation in f64 a product; bound by those where lags are many, and by memory where they are few.
#define SIDE 7u
#define STEP (36u * SIDE)                            // values at a time
#define SPAN (BLOCK * SIDE)

DEVICE f64 correlate_joined(f64 v, LOCAL f64 *scratch) {
  const u32 t = local_id();
  scratch[t] = v;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) { if (t < s) scratch[t] += scratch[t + s]; group_barrier(); }
  return scratch[0];
}

// The sum of each run of a series; where `level`, the mean is taken off first, and the sum is of squares.
KERNEL correlate_sums(u32 n, u32 runs, u32 run, u32 level, GLOBAL const f64 *RESTRICT mean, GLOBAL f64 *RESTRICT x,
                      GLOBAL f64 *RESTRICT sums) {
  SHARED f64 scratch[BLOCK];
  const u32 series = group_id() / runs, from = group_id() % runs * run, to = n - from < run ? n : from + run;
  GLOBAL f64 *own = x + (u64)series * n;
  f64 sum = 0.0;
  for (u32 i = from + local_id(); i < to; i += BLOCK) {
    if (level) {
      const f64 v = own[i] - mean[series];
      own[i] = v;
      sum += v * v;
    } else {
      sum += own[i];
    }
  }
  sum = correlate_joined(sum, scratch);
  if (local_id() == 0u) sums[group_id()] = sum;
}

// Runs added up for each series, and divided.
KERNEL correlate_join(u32 series, u32 runs, f64 by, GLOBAL const f64 *RESTRICT sums, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(s, series) {
    f64 sum = 0.0;
    for (u32 r = 0; r < runs; r++) sum += sums[s * runs + r];
    out[s] = sum / by;
  }
}

// Products of `b` from `stretch` times the group's number on, with what is `before` less than so many values later in `a`.
// Lags from tile to tile, tiles from series to series.
KERNEL correlate_products(u32 n, u32 lags, u32 before, u32 tiles, u32 stretch, u32 one, GLOBAL const f64 *RESTRICT a,
                          GLOBAL const f64 *RESTRICT b, GLOBAL f64 *RESTRICT sums) {
  SHARED f64 part[SPAN + STEP + SIDE];
  SHARED f64 other[STEP];
  const u32 t = local_id(), series = group_id() / tiles, begin = group_id() % tiles * SPAN;
  const u32 start = group_id_y() * stretch, end = n - start < stretch ? n : start + stretch;
  GLOBAL const f64 *late = a + (u64)series * n;
  GLOBAL const f64 *early = b + (one ? (u64)0 : (u64)series * n);
  f64 sum[SIDE], value[SIDE];
  #pragma unroll
  for (u32 r = 0; r < SIDE; r++) sum[r] = 0.0;
  for (u32 from = start; from < end; from += STEP) {
    group_barrier();
    for (u32 i = t; i < SPAN + STEP + SIDE; i += BLOCK) {
      const u64 at = (u64)from + begin + i;          // `before` more than the place
      part[i] = at >= before && at - before < n ? late[at - before] : 0.0;
    }
    for (u32 i = t; i < STEP; i += BLOCK) other[i] = end - from > i ? early[from + i] : 0.0;
    group_barrier();
    #pragma unroll
    for (u32 r = 0; r < SIDE; r++) value[r] = part[SIDE * t + r];
    for (u32 j = 0; j < STEP; j += SIDE) {
      #pragma unroll
      for (u32 u = 0; u < SIDE; u++) {
        #pragma unroll
        for (u32 r = 0; r < SIDE; r++) sum[r] = fma_f64(other[j + u], value[(u + r) % SIDE], sum[r]);
        value[u] = part[SIDE * t + j + u + SIDE];
      }
    }
  }
  #pragma unroll
  for (u32 r = 0; r < SIDE; r++) {
    const u32 lag = begin + SIDE * t + r;
    if (lag < lags) sums[((u64)series * group_count_y() + group_id_y()) * lags + lag] = sum[r];
  }
}

// Stretches added up, and divided: by 1, by `n`, or by what makes lag 0 of a series with itself 1.
KERNEL correlate_finish(u64 count, u32 n, u32 lags, u32 stretches, u32 what, u32 one, GLOBAL const f64 *RESTRICT sums,
                        GLOBAL const f64 *RESTRICT squares_a, GLOBAL const f64 *RESTRICT squares_b,
                        GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const u64 series = i / lags, lag = i % lags;
    f64 sum = 0.0;
    for (u32 s = 0; s < stretches; s++) sum += sums[(series * stretches + s) * lags + lag];
    f64 by = 1.0;
    if (what == 1u) by = (f64)n;
    if (what == 2u) by = sqrt_f64(squares_a[series] * squares_b[one ? (u64)0 : series]);
    out[i] = sum / by;                               // 0 / 0, of a constant, is no number
  }
}
