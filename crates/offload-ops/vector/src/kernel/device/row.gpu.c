// A row against one or more queries, exactly as the CPU does it: sixteen partial sums in f64, component i in sum
// i mod 16, added up in halves, no contraction that changes a bit. So both give the same scores and the same ties.
//
// LANES items share a row: with 4, each reads 16 bytes (of f32) at a time and holds four of the sums, so that a warp
// has eight rows under way and the exchange at the end costs two steps. Without shuffles one item does a row alone.
//
// Where this is included: QUERIES is how many, and their components are f64, or T with Q_IS_T.
#if defined(Q_IS_T)
  #define Q T
#else
  #define Q f64
#endif
#if SUBGROUP >= 4
  #define LANES 4
#else
  #define LANES 1
#endif
#define PER (16 / LANES)
#define ROWS ((u32)BLOCK / LANES)

#if defined(__OPENCL_C_VERSION__)
  #define mul_f64(a, b) ((a) * (b))
  #define add_f64(a, b) ((a) + (b))
#else
  #define mul_f64(a, b) __dmul_rn(a, b)
  #define add_f64(a, b) __dadd_rn(a, b)
#endif
#if defined(T_F32)
  // Products of two f32 are exact in f64, so a fused one gives the same bits.
  #define add_product(s, a, b) fma_f64(a, b, s)
#else
  #define add_product(s, a, b) add_f64(s, mul_f64(a, b))
#endif

// Chunks whose loads are under way together: 64 bytes an item. With one query all are asked for before the first is
// used; with more there is enough to do meanwhile, and their sums need the registers. An item alone has 64 bytes a chunk.
#if LANES == 1
  #define UNDER_WAY 1
#elif defined(T_F32)
  #define UNDER_WAY 4
#else
  #define UNDER_WAY 2
#endif
#if QUERIES == 1
  #define AHEAD UNDER_WAY
  #define UNROLL 1
#else
  #define AHEAD 1
  #define UNROLL UNDER_WAY
#endif

#define COSINE 0u
#define L2 1u
#define DOT 2u
#define HAMMING 3u

#define NONE (~(u64)0)
#define INFINITE AS_F64((u64)0x7ff00000u << 32)

// What a cost is as a number that sorts as it does; NaN is none.
DEVICE u64 cost_key(f64 cost) {
  if (cost != cost) return NONE;
  const u64 bits = AS_U64(cost + 0.0);                // zeros of either sign are one cost
  return (bits >> 63) != 0 ? ~bits : bits | ((u64)1 << 63);
}

// Four or sixteen consecutive components, wide. `whole` says that 16 bytes may be read at once.
#define widen_f32(v, a) v[0] = (f64)(a).x; v[1] = (f64)(a).y; v[2] = (f64)(a).z; v[3] = (f64)(a).w;
#define load_f32(v, x)                                                                                \
  const float4 a = *(GLOBAL const float4 *)(x);                                                       \
  widen_f32(v, a)
#define load_f64(v, x)                                                                                \
  const double2 a = *(GLOBAL const double2 *)(x);                                                     \
  const double2 b = *(GLOBAL const double2 *)((x) + 2);                                               \
  v[0] = a.x; v[1] = a.y; v[2] = b.x; v[3] = b.y;

DEVICE void load_row(f64 *v, GLOBAL const T *x, u32 whole) {
#if LANES == 4
  if (whole) {
  #if defined(T_F32)
    load_f32(v, x)
  #else
    load_f64(v, x)
  #endif
    return;
  }
#endif
  #pragma unroll
  for (int j = 0; j < PER; j++) v[j] = (f64)x[j];
}

DEVICE void load_query(f64 *v, GLOBAL const Q *x, u32 whole) {
#if LANES == 4
  if (whole) {
  #if defined(T_F32) && defined(Q_IS_T)
    load_f32(v, x)
  #else
    load_f64(v, x)
  #endif
    return;
  }
#endif
  #pragma unroll
  for (int j = 0; j < PER; j++) v[j] = (f64)x[j];
}

// The sum over the lanes of a row, and over what each of them holds.
DEVICE f64 row_total(f64 *s) {
#if LANES == 4
  #pragma unroll
  for (u32 m = 2; m > 0; m >>= 1) {
    #pragma unroll
    for (int j = 0; j < PER; j++) {
      const u64 bits = AS_U64(s[j]);
      const u32 low = shuffle_xor_u32((u32)bits, m);
      const u32 high = shuffle_xor_u32((u32)(bits >> 32), m);
      s[j] = add_f64(s[j], AS_F64(((u64)high << 32) | (u64)low));
    }
  }
#endif
  #pragma unroll
  for (int width = PER / 2; width > 0; width /= 2) {
    #pragma unroll
    for (int j = 0; j < width; j++) s[j] = add_f64(s[j], s[j + width]);
  }
  return s[0];
}

// One component of a pair into its sum.
DEVICE f64 row_term(u32 metric, f64 s, f64 x, f64 y) {
  if (metric == L2) { const f64 by = y - x; return add_f64(s, mul_f64(by, by)); }
  if (metric == HAMMING) return x != x || y != y ? AS_F64((u64)0x7ff80000u << 32) : s + (x != y ? 1.0 : 0.0);
  return add_product(s, x, y);
}

// What a row begins with, asked for while the row before it is still summed, so that memory always has something to do.
#if QUERIES == 1 && LANES == 4 && defined(T_F32)
  #define PIPELINED
#endif
typedef struct {
#if defined(PIPELINED)
  float4 chunk[AHEAD];
#else
  u32 none;
#endif
} Ahead;

// Whether rows of d components are read that way.
#define IS_PIPELINED(d) (whole && (d) >= AHEAD * 16u)

DEVICE Ahead row_ahead(u32 d, u32 whole, u32 lane, GLOBAL const T *x) {
  Ahead ahead;
#if defined(PIPELINED)
  #pragma unroll
  for (u32 b = 0; b < AHEAD; b++) {
    if (IS_PIPELINED(d)) ahead.chunk[b] = *(GLOBAL const float4 *)(x + b * 16u + lane * PER);
  }
#else
  ahead.none = 0;
#endif
  return ahead;
}

// Sums of a row with QUERIES queries, and of its squares for the cosine. All items call it, with d = 0 where there is
// no row. `ahead` is what it begins with, and becomes what `after` does, a row of `d_after` components or 0.
DEVICE void row_fold(u32 metric, u32 d, u32 d_after, u32 whole, u32 lane, GLOBAL const T *x, GLOBAL const T *after,
                     Ahead *ahead, GLOBAL const Q **q, f64 *sums, f64 *square) {
  f64 part[QUERIES][PER];
  f64 own[PER];
  #pragma unroll
  for (int j = 0; j < PER; j++) {
    own[j] = 0.0;
    #pragma unroll
    for (int a = 0; a < QUERIES; a++) part[a][j] = 0.0;
  }
  const u32 chunks = d / 16u;
  u32 first = 0;
#if defined(PIPELINED)
  if (IS_PIPELINED(d)) {
    GLOBAL const T *at = x + lane * PER;
    GLOBAL const Q *y_at = q[0] + lane * PER;
    const u32 rounds = chunks / AHEAD;
    for (u32 r = 1; r <= rounds; r++) {
      float4 now[AHEAD];
      const u32 is_last = r == rounds;
      at = is_last ? after + lane * PER : at + AHEAD * 16u;
      #pragma unroll
      for (u32 b = 0; b < AHEAD; b++) {
        now[b] = ahead->chunk[b];
        if (!is_last || IS_PIPELINED(d_after)) ahead->chunk[b] = *(GLOBAL const float4 *)(at + b * 16u);
      }
      #pragma unroll
      for (u32 b = 0; b < AHEAD; b++) {
        f64 v[PER], y[PER];
        widen_f32(v, now[b])
        load_query(y, y_at + b * 16u, whole);
        #pragma unroll
        for (int j = 0; j < PER; j++) {
          if (metric == COSINE) own[j] = add_product(own[j], v[j], v[j]);
          part[0][j] = row_term(metric, part[0][j], v[j], y[j]);
        }
      }
      y_at += AHEAD * 16u;
    }
    first = rounds * AHEAD;
  } else {
    *ahead = row_ahead(d_after, whole, lane, after);
  }
#endif
  #pragma unroll UNROLL
  for (u32 c = first; c < chunks; c += AHEAD) {
    f64 v[AHEAD][PER];
    #pragma unroll
    for (u32 b = 0; b < AHEAD; b++)
      load_row(v[b], x + (c + b < chunks ? c + b : c) * 16u + lane * PER, whole);
    #pragma unroll
    for (u32 b = 0; b < AHEAD; b++) {
      if (c + b >= chunks) break;
      const u32 at = (c + b) * 16u + lane * PER;
      if (metric == COSINE) {
        #pragma unroll
        for (int j = 0; j < PER; j++) own[j] = add_product(own[j], v[b][j], v[b][j]);
      }
      #pragma unroll
      for (int a = 0; a < QUERIES; a++) {
        f64 y[PER];
        load_query(y, q[a] + at, whole);
        #pragma unroll
        for (int j = 0; j < PER; j++) part[a][j] = row_term(metric, part[a][j], v[b][j], y[j]);
      }
    }
  }
  #pragma unroll
  for (int j = 0; j < PER; j++) {
    const u32 at = chunks * 16u + lane * PER + (u32)j;
    if (at < d) {
      const f64 v = (f64)x[at];
      if (metric == COSINE) own[j] = add_product(own[j], v, v);
      #pragma unroll
      for (int a = 0; a < QUERIES; a++)
        part[a][j] = row_term(metric, part[a][j], v, (f64)q[a][at]);
    }
  }
  #pragma unroll
  for (int a = 0; a < QUERIES; a++) sums[a] = row_total(part[a]);
  *square = metric == COSINE ? row_total(own) : 0.0;
}

// The same with the metric known to the compiler in each branch.
DEVICE void row_sums_before(u32 metric, u32 d, u32 d_after, u32 whole, u32 lane, GLOBAL const T *x,
                            GLOBAL const T *after, Ahead *ahead, GLOBAL const Q **q, f64 *sums, f64 *square) {
  if (metric == COSINE) row_fold(COSINE, d, d_after, whole, lane, x, after, ahead, q, sums, square);
  else if (metric == L2) row_fold(L2, d, d_after, whole, lane, x, after, ahead, q, sums, square);
  else if (metric == DOT) row_fold(DOT, d, d_after, whole, lane, x, after, ahead, q, sums, square);
  else row_fold(HAMMING, d, d_after, whole, lane, x, after, ahead, q, sums, square);
}

// Of a row that none follows.
DEVICE void row_sums(u32 metric, u32 d, u32 whole, u32 lane, GLOBAL const T *x, GLOBAL const Q **q, f64 *sums,
                     f64 *square) {
  Ahead ahead = row_ahead(d, whole, lane, x);
  row_sums_before(metric, d, 0u, whole, lane, x, x, &ahead, q, sums, square);
}

#if defined(T_F64)
// Where squares or products leave the range of f64: both vectors scaled by powers of two, one item alone.
DEVICE f64 power_of_two(i32 e) { return AS_F64((u64)((e < -1022 ? -1022 : e > 1023 ? 1023 : e) + 1023) << 52); }

DEVICE i32 exponent_of(f64 x) {
  const i32 e = (i32)((AS_U64(x) >> 52) & 0x7ff) - 1023;
  return e < -1000 ? -1000 : e > 1000 ? 1000 : e;
}

DEVICE f64 larger(f64 a, f64 b) { return a != a || a > b ? a : b; }

#define PRODUCT 0u
#define APART 1u
#define SQUARE_X 2u
#define SQUARE_Y 3u

// The sum of (x·sx)·(y·sy), of ((y − x)·sx)², of (x·sx)² or of (y·sy)², in the order of the other sums.
DEVICE f64 scaled_fold(u32 of, u32 d, GLOBAL const T *x, GLOBAL const Q *y, f64 sx, f64 sy) {
  f64 ones = 0.0, twos = 0.0, fours = 0.0, eights = 0.0;
  #pragma unroll 1
  for (u32 leaf = 0; leaf < 16u; leaf++) {            // the halves of halves come one after the other
    f64 s = 0.0;
    #pragma unroll 1
    for (u32 i = (leaf & 1u) * 8u + (leaf & 2u) * 2u + (leaf & 4u) / 2u + leaf / 8u; i < d; i += 16u) {
      const f64 a = (f64)x[i], b = (f64)y[i];
      const f64 ax = mul_f64(a, sx), by = mul_f64(b, sy), apart = mul_f64(b - a, sx);
      const f64 one = of == APART ? apart : of == SQUARE_Y ? by : ax;
      s = add_f64(s, mul_f64(one, of == PRODUCT ? by : one));
    }
    if ((leaf & 1u) == 0u) { ones = s; continue; }
    s = add_f64(ones, s);
    if ((leaf & 2u) == 0u) { twos = s; continue; }
    s = add_f64(twos, s);
    if ((leaf & 4u) == 0u) { fours = s; continue; }
    s = add_f64(fours, s);
    if ((leaf & 8u) == 0u) { eights = s; continue; }
    return add_f64(eights, s);
  }
  return 0.0;
}
#endif

DEVICE f64 angle(f64 dot, f64 a, f64 b) {
  if (dot != dot) return dot;
  if (a == 0.0 || b == 0.0) return 0.0;
  const f64 cosine = dot / mul_f64(sqrt_f64(a), sqrt_f64(b));
  return cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
}

#if defined(T_F64)
DEVICE u32 in_range(f64 x) { return x >= 1e-200 && x <= 1e200; }

DEVICE f64 scaled_score(u32 metric, u32 d, f64 plain, GLOBAL const T *x, GLOBAL const Q *q) {
  if (metric == L2) {
    f64 most = 0.0;
    for (u32 i = 0; i < d; i++) most = larger(most, abs_f64((f64)q[i] - (f64)x[i]));
    if (most == 0.0 || !(most < INFINITE)) return most;
    const i32 e = exponent_of(most);
    return sqrt_f64(scaled_fold(APART, d, x, q, power_of_two(-e), 1.0)) * power_of_two(e);
  }
  f64 mx = 0.0, mq = 0.0;
  for (u32 i = 0; i < d; i++) { mx = larger(mx, abs_f64((f64)x[i])); mq = larger(mq, abs_f64((f64)q[i])); }
  const u32 finite = mx < INFINITE && mq < INFINITE;
  const i32 ex = exponent_of(mx), eq = exponent_of(mq);
  const f64 dx = power_of_two(-ex), dq = power_of_two(-eq);
  if (metric == DOT) {
    if (mx == 0.0 || mq == 0.0 || !finite) return plain;
    if (abs_f64(plain) < INFINITE && ex + eq >= 0) return plain;
    const f64 sum = scaled_fold(PRODUCT, d, x, q, dx, dq);
    return sum * power_of_two(ex < eq ? ex : eq) * power_of_two(ex < eq ? eq : ex);
  }
  if (!finite) return AS_F64((u64)0x7ff80000u << 32);
  if (mx == 0.0 || mq == 0.0) return 0.0;
  const f64 q_square = scaled_fold(SQUARE_Y, d, x, q, dx, dq), x_square = scaled_fold(SQUARE_X, d, x, q, dx, dq);
  return angle(scaled_fold(PRODUCT, d, x, q, dx, dq), q_square, x_square);
}
#endif

// The score of a pair from its sums.
DEVICE f64 pair_score(u32 metric, u32 d, f64 sum, f64 q_square, f64 square, GLOBAL const T *x, GLOBAL const Q *q) {
#if defined(T_F64)
  if (metric == L2 && !in_range(sum)) return scaled_score(metric, d, sum, x, q);
  if (metric == DOT && !in_range(abs_f64(sum))) return scaled_score(metric, d, sum, x, q);
  if (metric == COSINE && (!in_range(q_square) || !in_range(square))) return scaled_score(metric, d, sum, x, q);
#endif
  if (metric == COSINE) return angle(sum, q_square, square);
  return metric == L2 ? sqrt_f64(sum) : sum;
}

// What it costs to take a row: the less, the better.
DEVICE f64 pair_cost(u32 metric, u32 d, f64 sum, f64 q_square, f64 square, GLOBAL const T *x, GLOBAL const Q *q) {
  const f64 score = pair_score(metric, d, sum, q_square, square, x, q);
  return metric == COSINE || metric == DOT ? -score : score;
}
