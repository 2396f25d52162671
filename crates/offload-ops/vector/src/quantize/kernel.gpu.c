// Product quantisation: the nearest of at most 256 centroids for every row, and the centroids' next places. The arithmetic
// is that of the CPU, operation by operation, so that both cluster alike.
#if defined(__OPENCL_C_VERSION__)
  #define mul_f32(a, b) ((a) * (b))
  #define add_f32(a, b) ((a) + (b))
#else
  #define mul_f32(a, b) __fmul_rn(a, b)
  #define add_f32(a, b) __fadd_rn(a, b)
#endif
#define INFINITE_F32 AS_F32(0x7f800000u)

// Centroids side by side for scoring, component by component, padded to whole groups of TOGETHER, and half the square of
// each, infinite for the padding.
#define TOGETHER 16

KERNEL vector_pq_columns(u32 each, u32 k, u32 padded, GLOBAL const f32 *RESTRICT centroids, GLOBAL f32 *RESTRICT columns,
                         GLOBAL f32 *RESTRICT halves) {
  FOR_EACH(c, padded) {
    f32 square = 0.0f;
    for (u32 j = 0; j < each; j++) {
      const f32 x = c < k ? centroids[c * each + j] : 0.0f;
      columns[(u64)j * padded + c] = x;
      square = add_f32(square, mul_f32(x, x));
    }
    halves[c] = c < k ? mul_f32(square, 0.5f) : INFINITE_F32;
  }
}

// The nearest centroid of each of `count` rows, which lie component by component. An item has TOGETHER scores in
// registers; a component is read once for them, and the centroids' are the same for all items of a warp. 2 operations
// for each component of each centroid: bound by f32 arithmetic. Ties go to the lower number. Counts those that changed.
KERNEL vector_pq_assign(u32 count, u32 each, u32 padded, u32 stride, u64 at, GLOBAL const f32 *RESTRICT rows,
                        GLOBAL const f32 *RESTRICT columns, GLOBAL const f32 *RESTRICT halves, GLOBAL u8 *RESTRICT codes,
                        GLOBAL u32 *RESTRICT changed) {
  FOR_EACH(i, count) {
    f32 least = INFINITE_F32;
    u32 nearest = 0;
    for (u32 c = 0; c < padded; c += TOGETHER) {
      f32 score[TOGETHER];
      #pragma unroll
      for (int t = 0; t < TOGETHER; t++) score[t] = halves[c + t];
      for (u32 j = 0; j < each; j++) {
        const f32 x = rows[(u64)j * count + i];
        GLOBAL const f32 *column = columns + (u64)j * padded + c;
        #pragma unroll
        for (int t = 0; t < TOGETHER; t++) score[t] = add_f32(score[t], -mul_f32(x, column[t]));
      }
      #pragma unroll
      for (int t = 0; t < TOGETHER; t++) {
        if (score[t] < least) { least = score[t]; nearest = c + (u32)t; }
      }
    }
    GLOBAL u8 *code = codes + i * stride + at;
    if (*code != (u8)nearest) { *code = (u8)nearest; atomic_fetch_add_u32(changed, 1u); }
  }
}

// Sums of the rows of each centroid over a piece of the rows (second direction of the launch), in their order.
KERNEL vector_pq_sums(u32 count, u32 each, u32 k, u32 piece, GLOBAL const f32 *RESTRICT rows,
                      GLOBAL const u8 *RESTRICT codes, GLOBAL f64 *RESTRICT sums, GLOBAL u32 *RESTRICT counts) {
  const u32 from = group_id_y() * piece;
  const u32 to = count - from < piece ? count : from + piece;
  FOR_EACH(i, (u64)k * each) {
    const u32 c = (u32)(i / each), j = (u32)(i % each);
    f64 sum = 0.0;
    u32 some = 0;
    for (u32 r = from; r < to; r++) {
      if (codes[r] == c) { sum += (f64)rows[(u64)j * count + r]; some++; }
    }
    sums[(u64)group_id_y() * k * each + i] = sum;
    if (j == 0) counts[group_id_y() * k + c] = some;
  }
}

// Centroids that have rows move to their mean; `sizes` says how many each has.
KERNEL vector_pq_means(u32 each, u32 k, u32 pieces, GLOBAL const f64 *RESTRICT sums, GLOBAL const u32 *RESTRICT counts,
                       GLOBAL f32 *RESTRICT centroids, GLOBAL u32 *RESTRICT sizes) {
  FOR_EACH(i, (u64)k * each) {
    const u32 c = (u32)(i / each), j = (u32)(i % each);
    f64 sum = 0.0;
    u32 some = 0;
    for (u32 p = 0; p < pieces; p++) {
      sum += sums[(u64)p * k * each + i];
      some += counts[p * k + c];
    }
    if (some > 0) centroids[i] = (f32)(sum / (f64)some);
    if (j == 0) sizes[c] = some;
  }
}
