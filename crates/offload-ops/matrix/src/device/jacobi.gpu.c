// Jacobi's rotations from one side (Hestenes 1958): columns are turned in pairs until all are orthogonal. In a round every
// column is in one pair; after `ends - 1` rounds, a sweep, every two have met (the schedule of a round-robin tournament).

DEVICE u32 jacobi_seat(u32 round, u32 seat, u32 ends) { return seat == 0u ? 0u : (seat - 1u + round) % (ends - 1u) + 1u; }

// The rotation for columns of squared lengths x and y and inner product xy: tangent t, cosine c.
DEVICE T jacobi_tangent(T x, T xy, T y) {
  const T ratio = (y - x) / ((T)2 * xy);
  const T size = abs_t(ratio);
  // Beyond this the square leaves the range, and is all there is.
  const T root = size > BEYOND ? size : sqrt_t(fma_t(ratio, ratio, (T)1));
  return (ratio < (T)0 ? (T)-1 : (T)1) / (size + root);
}

DEVICE void jacobi_turn(GLOBAL T *p, GLOBAL T *q, u32 rows, u32 from, u32 apart, T c, T s) {
  for (u32 i = from; i < rows; i += apart) {
    const T x = p[i], y = q[i];
    p[i] = fma_t(c, x, -s * y);
    q[i] = fma_t(s, x, c * y);
  }
}

// One round over matrices w [m, n] with the rotations gathered in v [k, n]. A group has a pair. turned[matrix * pairs +
// pair] becomes 1 where something was turned.
KERNEL jacobi_round(u32 m, u32 n, u32 k, u32 round, T tolerance, GLOBAL T *w, GLOBAL T *v, GLOBAL const T *null,
                    GLOBAL u32 *turned) {
  SHARED T scratch[BLOCK];
  const u32 ends = n + (n & 1u), pairs = ends / 2u;
  const u32 matrix = group_id() / pairs, pair = group_id() % pairs, t = local_id();
  const u32 one = jacobi_seat(round, pair, ends), other = jacobi_seat(round, ends - 1u - pair, ends);
  const u32 p = one < other ? one : other, q = one < other ? other : one;
  // An odd one out rests. All items agree, here and below.
  if (q >= n) return;
  GLOBAL T *x = w + (u64)matrix * m * n + (u64)p * m, *y = w + (u64)matrix * m * n + (u64)q * m;
  T xx = (T)0, xy = (T)0, yy = (T)0;
  for (u32 i = t; i < m; i += BLOCK) {
    xx = fma_t(x[i], x[i], xx);
    xy = fma_t(x[i], y[i], xy);
    yy = fma_t(y[i], y[i], yy);
  }
  xx = group_sum_t(xx, scratch);
  xy = group_sum_t(xy, scratch);
  yy = group_sum_t(yy, scratch);
  if (xx <= null[matrix] || yy <= null[matrix] || abs_t(xy) <= tolerance * sqrt_t(xx) * sqrt_t(yy)) return;
  const T tangent = jacobi_tangent(xx, xy, yy), c = (T)1 / sqrt_t(fma_t(tangent, tangent, (T)1));
  jacobi_turn(x, y, m, t, BLOCK, c, tangent * c);
  if (k) {
    GLOBAL T *left = v + (u64)matrix * k * n;
    jacobi_turn(left + (u64)p * k, left + (u64)q * k, k, t, BLOCK, c, tangent * c);
  }
  if (t == 0u) turned[group_id()] = 1u;
}

// All rounds of a matrix of at most SEATS columns in one group, BLOCK / PAIRS items to a pair. turned[matrix] stays 1
// where `sweeps` sweeps did not do.
#define TEAM (BLOCK / PAIRS)
KERNEL jacobi_whole(u32 m, u32 n, u32 k, u32 sweeps, T tolerance, GLOBAL T *w, GLOBAL T *v, GLOBAL const T *null,
                    GLOBAL u32 *turned) {
  SHARED T part[3u * BLOCK];
  SHARED u32 moved[PAIRS];
  const u32 ends = n + (n & 1u), matrix = group_id();
  const u32 t = local_id(), pair = t / TEAM, lane = t % TEAM;
  const T limit = null[matrix];
  GLOBAL T *all = w + (u64)matrix * m * n, *left = v + (u64)matrix * k * n;
  u32 going = 1u;
  for (u32 sweep = 0u; sweep < sweeps && going; ++sweep) {
    if (lane == 0u) moved[pair] = 0u;
    for (u32 round = 0u; round + 1u < ends; ++round) {
      u32 p = 0u, q = n;
      if (pair < ends / 2u) {
        const u32 one = jacobi_seat(round, pair, ends), other = jacobi_seat(round, ends - 1u - pair, ends);
        p = one < other ? one : other;
        q = one < other ? other : one;
      }
      T xx = (T)0, xy = (T)0, yy = (T)0;
      if (q < n)
        for (u32 i = lane; i < m; i += TEAM) {
          const T x = all[(u64)p * m + i], y = all[(u64)q * m + i];
          xx = fma_t(x, x, xx);
          xy = fma_t(x, y, xy);
          yy = fma_t(y, y, yy);
        }
      part[t] = xx;
      part[BLOCK + t] = xy;
      part[2u * BLOCK + t] = yy;
      group_barrier();
      if (q < n) {
        xx = xy = yy = (T)0;
        for (u32 i = 0u; i < TEAM; ++i) {
          xx += part[pair * TEAM + i];
          xy += part[BLOCK + pair * TEAM + i];
          yy += part[2u * BLOCK + pair * TEAM + i];
        }
        if (xx > limit && yy > limit && abs_t(xy) > tolerance * sqrt_t(xx) * sqrt_t(yy)) {
          const T tangent = jacobi_tangent(xx, xy, yy), c = (T)1 / sqrt_t(fma_t(tangent, tangent, (T)1));
          jacobi_turn(all + (u64)p * m, all + (u64)q * m, m, lane, TEAM, c, tangent * c);
          if (k) jacobi_turn(left + (u64)p * k, left + (u64)q * k, k, lane, TEAM, c, tangent * c);
          if (lane == 0u) moved[pair] = 1u;
        }
      }
      group_barrier();
    }
    going = 0u;
    for (u32 i = 0u; i < PAIRS; ++i) going |= moved[i];
    group_barrier();
  }
  if (t == 0u) turned[matrix] = going;
}

// Squared lengths of columns; a group has a column.
KERNEL jacobi_lengths(u32 m, GLOBAL const T *w, GLOBAL T *out) {
  SHARED T scratch[BLOCK];
  const u64 base = (u64)group_id() * m;
  T v = (T)0;
  for (u32 i = local_id(); i < m; i += BLOCK) v = fma_t(w[base + i], w[base + i], v);
  v = group_sum_t(v, scratch);
  if (local_id() == 0u) out[group_id()] = v;
}

// The eigenvalue that goes with each vector, by the lower triangle as it came: Rayleigh's quotient, whose error is the
// square of the vector's, whatever rotations and a shift have rounded away. A group has a vector.
KERNEL jacobi_quotient(u32 n, GLOBAL const T *a, GLOBAL const T *v, GLOBAL T *values) {
  SHARED T scratch[BLOCK];
  const u64 base = (u64)(group_id() / n) * n * n;
  GLOBAL const T *x = v + (u64)group_id() * n;
  T sum = (T)0, square = (T)0;
  for (u32 i = local_id(); i < n; i += BLOCK) {
    T y = (T)0;
    for (u32 j = 0u; j < n; ++j) y = fma_t(a[base + (i >= j ? (u64)j * n + i : (u64)i * n + j)], x[j], y);
    sum = fma_t(y, x[i], sum);
    square = fma_t(x[i], x[i], square);
  }
  sum = group_sum_t(sum, scratch);
  square = group_sum_t(square, scratch);
  if (local_id() == 0u) values[group_id()] = sum / square;
}

// Columns of `from`, n a matrix, in that order and times that factor; the first `wanted` of each matrix.
KERNEL jacobi_arrange(u32 m, u32 n, u32 wanted, u64 total, GLOBAL const T *from, GLOBAL const u32 *order,
                      GLOBAL const T *factor, u32 columns, GLOBAL T *to) {
  FOR_EACH(e, total) {
    const u64 matrix = e / ((u64)m * wanted);
    const u32 i = (u32)(e % m), j = (u32)(e / m % wanted);
    to[(matrix * columns + j) * m + i] = from[(matrix * n + order[matrix * n + j]) * m + i] * factor[matrix * n + j];
  }
}

// The mirrored lower triangle with a shift on the diagonal that makes it positive: the smaller one of its largest column sum
// and the root of the sum of squares, both at least its largest eigenvalue. A group has a matrix.
KERNEL jacobi_shift(u32 n, GLOBAL const T *a, GLOBAL T *w, GLOBAL T *shift) {
  SHARED T scratch[BLOCK];
  const u32 t = local_id();
  const u64 base = (u64)group_id() * n * n;
  T largest = (T)0, squares = (T)0;
  for (u32 c = t; c < n; c += BLOCK) {
    T sum = (T)0;
    for (u32 i = 0u; i < n; ++i) {
      const T x = a[base + (i >= c ? (u64)c * n + i : (u64)i * n + c)];
      sum += abs_t(x);
      squares = fma_t(x, x, squares);
    }
    if (sum > largest) largest = sum;
  }
  squares = sqrt_t(group_sum_t(squares, scratch));
  scratch[t] = largest;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s && scratch[t + s] > scratch[t]) scratch[t] = scratch[t + s];
    group_barrier();
  }
  const T by = scratch[0] < squares ? scratch[0] : squares;
  for (u32 e = t; e < n * n; e += BLOCK) {
    const u32 i = e % n, c = e / n;
    w[base + e] = a[base + (i >= c ? (u64)c * n + i : (u64)i * n + c)] + (i == c ? by : (T)0);
  }
  if (t == 0u) shift[group_id()] = by;
}
