// Small matrices of a stack, row-major, a group each, in local memory: LU with partial pivoting, and what follows from it.
// info is 0, or the first pivot that is zero counted from 1, or -1 where an entry is not finite.

#define PITCH (SIDE + 1u)

// Loads and factors matrix a of extent n into lu; order[i] is the row of a that row i of the factors is. Gives info; *norm
// becomes the largest sum of magnitudes of a column of a.
DEVICE i32 small_factor(u32 n, GLOBAL const T *a, LOCAL T *lu, LOCAL u32 *order, LOCAL T *best, LOCAL u32 *where,
                        LOCAL u32 *odd, LOCAL T *norm) {
  const u32 t = local_id();
  u32 wild = 0u;
  for (u32 i = t; i < n * n; i += BLOCK) {
    const T x = a[i];
    if (!(x * (T)0 == (T)0)) wild = 1u;
    lu[i / n * PITCH + i % n] = x;
  }
  for (u32 i = t; i < n; i += BLOCK) order[i] = i;
  where[t] = wild;
  group_barrier();
  for (u32 i = 0u; i < BLOCK; ++i) wild |= where[i];
  T sum = (T)0;
  for (u32 c = t; c < n; c += BLOCK) {
    T v = (T)0;
    for (u32 i = 0u; i < n; ++i) v += abs_t(lu[i * PITCH + c]);
    if (v > sum) sum = v;
  }
  best[t] = sum;
  group_barrier();
  if (t == 0u) {
    for (u32 i = 1u; i < BLOCK; ++i)
      if (best[i] > sum) sum = best[i];
    *norm = sum;
    *odd = 0u;
  }
  group_barrier();
  if (wild) return -1;
  i32 info = 0;
  for (u32 j = 0u; j < n; ++j) {
    T most = (T)-1;
    u32 at = j;
    for (u32 i = j + t; i < n; i += BLOCK) {
      const T v = abs_t(lu[i * PITCH + j]);
      if (v > most) { most = v; at = i; }
    }
    best[t] = most;
    where[t] = at;
    group_barrier();
    for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
      if (t < s && (best[t + s] > best[t] || (best[t + s] == best[t] && where[t + s] < where[t]))) {
        best[t] = best[t + s];
        where[t] = where[t + s];
      }
      group_barrier();
    }
    const u32 p = where[0];
    const T pivot = lu[p * PITCH + j];
    group_barrier();
    // All items see the same pivot, so all leave.
    if (pivot == (T)0) { info = (i32)(j + 1u); break; }
    if (p != j) {
      for (u32 c = t; c < n; c += BLOCK) {
        const T v = lu[j * PITCH + c];
        lu[j * PITCH + c] = lu[p * PITCH + c];
        lu[p * PITCH + c] = v;
      }
      if (t == 0u) {
        const u32 v = order[j];
        order[j] = order[p];
        order[p] = v;
        *odd ^= 1u;
      }
    }
    group_barrier();
    for (u32 i = j + 1u + t; i < n; i += BLOCK) {
      const T l = lu[i * PITCH + j] / pivot;
      lu[i * PITCH + j] = l;
      for (u32 c = j + 1u; c < n; ++c) lu[i * PITCH + c] = fma_t(-l, lu[j * PITCH + c], lu[i * PITCH + c]);
    }
    group_barrier();
  }
  return info;
}

// The solution in place of a permuted right-hand side, whose entries lie that far apart; gives the sum of magnitudes.
DEVICE T small_solve_column(u32 n, LOCAL const T *lu, GLOBAL T *x, u32 apart) {
  T sum = (T)0;
  for (u32 i = 0u; i < n; ++i) {
    T v = x[(u64)i * apart];
    for (u32 j = 0u; j < i; ++j) v = fma_t(-lu[i * PITCH + j], x[(u64)j * apart], v);
    x[(u64)i * apart] = v;
  }
  for (u32 r = n; r > 0u; --r) {
    const u32 i = r - 1u;
    T v = x[(u64)i * apart];
    for (u32 j = r; j < n; ++j) v = fma_t(-lu[i * PITCH + j], x[(u64)j * apart], v);
    v /= lu[i * PITCH + i];
    x[(u64)i * apart] = v;
    sum += abs_t(v);
  }
  return sum;
}

// The inverse by rows, and the largest sum of magnitudes of its columns; an item has a column.
DEVICE T small_inverse_of(u32 n, LOCAL const T *lu, LOCAL const u32 *order, LOCAL T *best, GLOBAL T *x) {
  const u32 t = local_id();
  T most = (T)0;
  for (u32 c = t; c < n; c += BLOCK) {
    for (u32 i = 0u; i < n; ++i) x[i * n + c] = order[i] == c ? (T)1 : (T)0;
    const T sum = small_solve_column(n, lu, x + c, n);
    // NaN stays.
    if (!(sum <= most)) most = sum;
  }
  best[t] = most;
  group_barrier();
  for (u32 i = 0u; i < BLOCK; ++i)
    if (!(best[i] <= most)) most = best[i];
  group_barrier();
  return most;
}

// Inverses, and the norms of the matrices and of their inverses, two numbers each.
KERNEL small_inverse(u32 n, GLOBAL const T *a, GLOBAL T *inverse, GLOBAL T *norms, GLOBAL i32 *info) {
  SHARED T lu[SIDE * PITCH];
  SHARED u32 order[SIDE];
  SHARED T best[BLOCK];
  SHARED u32 where[BLOCK];
  SHARED u32 odd[1];
  SHARED T norm[1];
  const u64 base = (u64)group_id() * n * n;
  const i32 found = small_factor(n, a + base, lu, order, best, where, odd, norm);
  T other = (T)0;
  if (found == 0) other = small_inverse_of(n, lu, order, best, inverse + base);
  if (local_id() == 0u) {
    norms[2u * group_id()] = norm[0];
    norms[2u * group_id() + 1u] = other;
    info[group_id()] = found;
  }
}

// Solutions of k right-hand sides each, by rows, and the same figures; the inverses are written too, for their norms.
KERNEL small_solve(u32 n, u32 k, GLOBAL const T *a, GLOBAL const T *b, u64 b_each, GLOBAL T *x, GLOBAL T *inverse,
                   GLOBAL T *norms, GLOBAL i32 *info) {
  SHARED T lu[SIDE * PITCH];
  SHARED u32 order[SIDE];
  SHARED T best[BLOCK];
  SHARED u32 where[BLOCK];
  SHARED u32 odd[1];
  SHARED T norm[1];
  const u64 base = (u64)group_id() * n * n;
  const i32 found = small_factor(n, a + base, lu, order, best, where, odd, norm);
  T other = (T)0;
  if (found == 0) {
    GLOBAL const T *given = b + group_id() * b_each;
    GLOBAL T *to = x + (u64)group_id() * n * k;
    for (u32 c = local_id(); c < k; c += BLOCK) {
      for (u32 i = 0u; i < n; ++i) to[(u64)i * k + c] = given[(u64)order[i] * k + c];
      small_solve_column(n, lu, to + c, k);
    }
    other = small_inverse_of(n, lu, order, best, inverse + base);
  }
  if (local_id() == 0u) {
    norms[2u * group_id()] = norm[0];
    norms[2u * group_id() + 1u] = other;
    info[group_id()] = found;
  }
}

// The pivots, and whether the rows were permuted oddly.
KERNEL small_pivots(u32 n, GLOBAL const T *a, GLOBAL T *pivots, GLOBAL u32 *odds, GLOBAL i32 *info) {
  SHARED T lu[SIDE * PITCH];
  SHARED u32 order[SIDE];
  SHARED T best[BLOCK];
  SHARED u32 where[BLOCK];
  SHARED u32 odd[1];
  SHARED T norm[1];
  const i32 found = small_factor(n, a + (u64)group_id() * n * n, lu, order, best, where, odd, norm);
  for (u32 i = local_id(); i < n; i += BLOCK) pivots[(u64)group_id() * n + i] = lu[i * PITCH + i];
  if (local_id() == 0u) {
    odds[group_id()] = odd[0];
    info[group_id()] = found;
  }
}
