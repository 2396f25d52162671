// Householder reflections of a panel, by columns, and their compact form I - V W V^T (Schreiber and Van Loan 1989).

#define PER (BLOCK / SIDE)
// The panel of columns first to first + b of an m x n matrix, b <= SIDE, and its triangular factor. A group has a
// matrix, PER of its items a column.
KERNEL qr_panel(u32 m, u32 n, u32 first, u32 b, GLOBAL T *a, GLOBAL T *tau, u32 taus, GLOBAL T *factors, u64 factors_at,
                u64 factors_each) {
  SHARED T scratch[BLOCK];
  SHARED T inner[SIDE * SIDE];
  SHARED T w[SIDE * SIDE];
  const u32 t = local_id(), mine = t / PER, lane = t % PER;
  GLOBAL T *x = a + (u64)group_id() * m * n;
  GLOBAL T *out = tau + (u64)group_id() * taus;
  for (u32 j = first; j < first + b; ++j) {
    const u64 column = (u64)j * m;
    T below = (T)0;
    for (u32 i = j + 1u + t; i < m; i += BLOCK) below = fma_t(x[column + i], x[column + i], below);
    below = group_sum_t(below, scratch);
    const T alpha = x[column + j];
    T beta = alpha, factor = (T)0;
    if (below > (T)0) {
      const T length = sqrt_t(fma_t(alpha, alpha, below));
      beta = alpha > (T)0 ? -length : length;
      factor = (beta - alpha) / beta;
      const T scale = alpha - beta;
      for (u32 i = j + 1u + t; i < m; i += BLOCK) x[column + i] /= scale;
    }
    group_barrier();
    if (t == 0u) { x[column + j] = beta; out[j] = factor; }
    // The columns right of it in the panel.
    const u32 c = j + 1u + mine;
    const u32 inside = c < first + b;
    T dot = (T)0;
    if (inside)
      for (u32 i = j + 1u + lane; i < m; i += PER) dot = fma_t(x[column + i], x[(u64)c * m + i], dot);
    scratch[t] = dot;
    group_barrier();
    T all = (T)0;
    if (inside) {
      all = x[(u64)c * m + j];
      for (u32 i = 0u; i < PER; ++i) all += scratch[mine * PER + i];
      all *= factor;
    }
    group_barrier();
    if (inside) {
      if (lane == 0u) x[(u64)c * m + j] -= all;
      for (u32 i = j + 1u + lane; i < m; i += PER) x[(u64)c * m + i] = fma_t(-all, x[column + i], x[(u64)c * m + i]);
    }
    group_barrier();
  }
  // Products of reflectors: ones on the diagonal, zeros above.
  for (u32 e = t; e < b * b; e += BLOCK) {
    const u32 i = e % b, j = e / b;
    if (i < j) {
      const u64 p = (u64)(first + i) * m, q = (u64)(first + j) * m;
      T dot = x[p + first + j];
      for (u32 r = first + j + 1u; r < m; ++r) dot = fma_t(x[p + r], x[q + r], dot);
      inner[j * SIDE + i] = dot;
    }
  }
  group_barrier();
  for (u32 j = 0u; j < b; ++j) {
    const T f = out[first + j];
    if (t < j) {
      T v = (T)0;
      for (u32 q = t; q < j; ++q) v = fma_t(w[q * SIDE + t], inner[j * SIDE + q], v);
      w[j * SIDE + t] = -f * v;
    }
    if (t == j) w[j * SIDE + j] = f;
    group_barrier();
  }
  for (u32 e = t; e < SIDE * SIDE; e += BLOCK) {
    const u32 i = e % SIDE, j = e / SIDE;
    factors[factors_at + (u64)group_id() * factors_each + e] = (i <= j && j < b) ? w[j * SIDE + i] : (T)0;
  }
}

// The reflectors of a panel written out, rows first to m: ones on the diagonal, zeros above.
KERNEL qr_reflectors(u32 m, u32 first, u32 b, u64 total, GLOBAL const T *a, u64 a_each, GLOBAL T *v, u64 v_each) {
  const u32 rows = m - first;
  FOR_EACH(e, total) {
    const u64 matrix = e / ((u64)rows * b);
    const u32 i = (u32)(e % rows), j = (u32)(e / rows % b);
    const T below = a[matrix * a_each + (u64)(first + j) * m + first + i];
    v[matrix * v_each + (u64)j * rows + i] = i < j ? (T)0 : i == j ? (T)1 : below;
  }
}
