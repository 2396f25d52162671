// LU with partial pivoting of the panel of columns first to first + b of matrices of extent n, by columns. A group has a
// matrix. What a step reads and another item wrote lies a barrier apart.
KERNEL lu_panel(u32 n, u32 first, u32 b, GLOBAL T *a, GLOBAL i32 *pivots, GLOBAL i32 *info) {
  SHARED T best[BLOCK];
  SHARED u32 where[BLOCK];
  const u32 t = local_id();
  const u64 base = (u64)group_id() * n * n;
  GLOBAL T *panel = a + base;
  for (u32 j = first; j < first + b; ++j) {
    const u64 column = (u64)j * n;
    T most = (T)-1;
    u32 at = j;
    for (u32 i = j + t; i < n; i += BLOCK) {
      const T v = abs_t(panel[column + i]);
      if (v > most) { most = v; at = i; }
    }
    best[t] = most;
    where[t] = at;
    group_barrier();
    for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
      // Of equal ones the first, whatever the items did.
      if (t < s && (best[t + s] > best[t] || (best[t + s] == best[t] && where[t + s] < where[t]))) {
        best[t] = best[t + s];
        where[t] = where[t + s];
      }
      group_barrier();
    }
    const u32 p = where[0];
    const T pivot = panel[column + p];
    group_barrier();
    if (t == 0u) {
      pivots[(u64)group_id() * n + j] = (i32)(p + 1u);
      if (pivot == (T)0 && info[group_id()] == 0) info[group_id()] = (i32)(j + 1u);
    }
    for (u32 c = first + t; c < first + b; c += BLOCK) {
      const u64 x = (u64)c * n;
      const T v = panel[x + j];
      panel[x + j] = panel[x + p];
      panel[x + p] = v;
    }
    group_barrier();
    if (pivot != (T)0) {
      for (u32 i = j + 1u + t; i < n; i += BLOCK) {
        const T l = panel[column + i] / pivot;
        panel[column + i] = l;
        for (u32 c = j + 1u; c < first + b; ++c) {
          const u64 x = (u64)c * n;
          panel[x + i] = fma_t(-l, panel[x + j], panel[x + i]);
        }
      }
    }
    group_barrier();
  }
}
