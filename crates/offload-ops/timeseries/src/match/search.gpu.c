// Distances of all windows from a query whose level and scale are taken off. A group has BLOCK * SIDE windows, an item SIDE
// neighbours: a value of the series is read once from shared memory for SIDE products. An odd SIDE keeps items off each
// other's banks. Each window's own first value is taken off it, so that no value outside of a window takes digits from it.
// Two operations in f64 a product; bound by those.
#define SIDE 7u
#define STEP (36u * SIDE)                            // values of the query at a time
#define SPAN (BLOCK * SIDE)
#define NOT_A_NUMBER AS_F64((u64)0x7ff80000u << 32)
#define NOBODY 0xffffffffu
#define SMALLEST AS_F64((u64)0x00100000u << 32)

DEVICE f64 match_distance(u32 m, f64 correlation) {
  const f64 c = correlation < -1.0 ? -1.0 : correlation > 1.0 ? 1.0 : correlation;
  return sqrt_f64(2.0 * (f64)m * (1.0 - c));
}

// `squares[i + m - 1]` is that of window `i`, and 0 where it is constant alone.
KERNEL match_distances(u32 windows, u32 m, u32 is_constant, GLOBAL const f64 *RESTRICT query, GLOBAL const f64 *RESTRICT x,
                       GLOBAL const f64 *RESTRICT squares, GLOBAL f64 *RESTRICT out) {
  SHARED f64 part[SPAN + STEP + SIDE];
  SHARED f64 q[STEP];
  const u32 t = local_id(), begin = group_id() * SPAN, end = windows + m - 1u;
  f64 sum[SIDE], origin[SIDE], value[SIDE];
  #pragma unroll
  for (u32 r = 0; r < SIDE; r++) {
    const u32 i = begin + SIDE * t + r;
    origin[r] = i < windows ? x[i] : 0.0;
    sum[r] = 0.0;
  }
  for (u32 from = 0; from < m; from += STEP) {
    group_barrier();
    for (u32 i = t; i < SPAN + STEP + SIDE; i += BLOCK) part[i] = end - from > begin + i ? x[begin + from + i] : 0.0;
    for (u32 i = t; i < STEP; i += BLOCK) q[i] = m - from > i ? query[from + i] : 0.0;
    group_barrier();
    #pragma unroll
    for (u32 r = 0; r < SIDE; r++) value[r] = part[SIDE * t + r];
    for (u32 j = 0; j < STEP; j += SIDE) {
      #pragma unroll
      for (u32 u = 0; u < SIDE; u++) {
        #pragma unroll
        for (u32 r = 0; r < SIDE; r++) sum[r] = fma_f64(q[j + u], value[(u + r) % SIDE] - origin[r], sum[r]);
        value[u] = part[SIDE * t + j + u + SIDE];
      }
    }
  }
  #pragma unroll
  for (u32 r = 0; r < SIDE; r++) {
    const u32 i = begin + SIDE * t + r;
    if (i < windows) {
      const f64 square = squares[i + m - 1u];
      f64 distance = match_distance(m, 0.5);         // of a constant from what is none: the root of m
      if (is_constant) {
        if (square == 0.0) distance = 0.0;
      } else if (square != 0.0) {
        const f64 spread = sqrt_f64(square / (f64)m);
        distance = match_distance(m, sum[r] / ((f64)m * (spread > SMALLEST ? spread : SMALLEST)));
      }
      out[i] = distance;
    }
  }
}

// The least of each run of `run` values, the first of equals, and where it is; nobody where none is a number.
KERNEL match_least(u32 first, u32 run, u32 count, GLOBAL const f64 *RESTRICT left, GLOBAL f64 *RESTRICT least,
                   GLOBAL u32 *RESTRICT at) {
  SHARED f64 values[BLOCK];
  SHARED u32 places[BLOCK];
  const u32 t = local_id(), from = (first + group_id()) * run, to = count - from < run ? count : from + run;
  f64 best = AS_F64((u64)0x7ff00000u << 32);
  u32 place = NOBODY;
  for (u32 i = from + t; i < to; i += BLOCK) {
    const f64 v = left[i];
    if (v < best || (v == best && i < place)) { best = v; place = i; }
  }
  values[t] = best;
  places[t] = place;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s) {
      const f64 v = values[t + s];
      const u32 p = places[t + s];
      if (v < values[t] || (v == values[t] && p < places[t])) { values[t] = v; places[t] = p; }
    }
    group_barrier();
  }
  if (t == 0u) { least[first + group_id()] = values[0]; at[first + group_id()] = places[0]; }
}

// Values that are not to be found again.
KERNEL match_leave(u32 from, u32 to, GLOBAL f64 *RESTRICT left) {
  FOR_EACH(i, to - from) left[from + i] = NOT_A_NUMBER;
}
