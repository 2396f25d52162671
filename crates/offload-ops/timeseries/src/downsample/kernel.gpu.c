// Largest triangle three buckets (Steinarsson 2013), a group for each series, bucket after bucket: a choice depends on the one
// before it. Sums over the next bucket are made in the CPU's order, by one item each, so that both choose alike; the values
// of the bucket are looked at side by side. Bound by the order of those sums, so that it pays for many series at once.
KERNEL downsample_triangles(u64 n, u64 m, u32 stamped, GLOBAL const f64 *RESTRICT y, GLOBAL const f64 *RESTRICT x,
                            GLOBAL i64 *RESTRICT indices, GLOBAL f64 *RESTRICT kept) {
  SHARED f64 areas[BLOCK];
  SHARED u64 places[BLOCK];
  SHARED f64 next[2];                                // where the mean of the next bucket is from the last choice
  const u32 t = local_id();
  GLOBAL const f64 *own = y + (u64)group_id() * n;
  GLOBAL i64 *to = indices + (u64)group_id() * m;
  GLOBAL f64 *values = kept + (u64)group_id() * m;
  const u64 buckets = m > 2u && m < n ? m - 2u : (u64)0;
  u64 last = 0;
  for (u64 b = 0; b < buckets; b++) {
    const u64 from = 1u + b * (n - 2u) / (m - 2u), end = 1u + (b + 1u) * (n - 2u) / (m - 2u);
    const u64 after = b + 1u == buckets ? n : 1u + (b + 2u) * (n - 2u) / (m - 2u);
    if (t == 0u) {
      f64 rise = 0.0;
      for (u64 i = end; i < after; i++) rise += own[i] - own[last];
      next[1] = rise / (f64)(after - end);
    }
    if (t == BLOCK - 1u) {
      f64 run = 0.0;
      if (stamped) {
        for (u64 i = end; i < after; i++) run += x[i] - x[last];
        run = run / (f64)(after - end);
      } else {
        run = (f64)(end - last) + (f64)(after - end - 1u) / 2.0;
      }
      next[0] = run;
    }
    group_barrier();
    f64 largest = -1.0;
    u64 best = from;
    for (u64 i = from + t; i < end; i += BLOCK) {
      const f64 apart = stamped ? x[i] - x[last] : (f64)(i - last);
      const f64 area = abs_f64(next[0] * (own[i] - own[last]) - apart * next[1]);
      if (area > largest) { largest = area; best = i; }
    }
    areas[t] = largest;
    places[t] = best;
    group_barrier();
    for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
      if (t < s) {
        const f64 area = areas[t + s];
        if (area > areas[t] || (area == areas[t] && places[t + s] < places[t])) {
          areas[t] = area;
          places[t] = places[t + s];
        }
      }
      group_barrier();
    }
    last = places[0];
    if (t == 0u) { to[b + 1u] = (i64)last; values[b + 1u] = own[last]; }
    group_barrier();
  }
  // All of them, or the ends.
  for (u64 i = t; i < m; i += BLOCK) {
    if (m == n) { to[i] = (i64)i; values[i] = own[i]; }
    else if (i == 0u) { to[i] = 0; values[i] = own[0]; }
    else if (i == m - 1u) { to[i] = (i64)(n - 1u); values[i] = own[n - 1u]; }
  }
}
