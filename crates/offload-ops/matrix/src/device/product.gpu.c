// C = beta C + alpha A B, where an entry of A lies at a_at + i a_row + p a_column and the like, so that parts of matrices
// and their transposes are operands. C runs along its columns. A group has a tile of SIDE x SIDE, an item QUAD x QUAD of it,
// a stride of SIDE / QUAD apart, so that neighbouring items read and write neighbouring entries.
#define SIDE 64u
#define QUAD 4u
#define DEPTH 16u
#define TEAM (SIDE / QUAD)

KERNEL matrix_product(u32 m, u32 n, u32 k, T alpha, T beta, u32 upper, GLOBAL const T *a, u64 a_at, u32 a_row,
                      u32 a_column, u64 a_each, GLOBAL const T *b, u64 b_at, u32 b_row, u32 b_column, u64 b_each,
                      GLOBAL T *c, u64 c_at, u32 c_column, u64 c_each) {
  SHARED T left[DEPTH * SIDE];
  SHARED T right[DEPTH * SIDE];
  const u32 down = (m + SIDE - 1u) / SIDE, across = (n + SIDE - 1u) / SIDE, tiles = down * across;
  const u32 matrix = group_id() / tiles, place = group_id() % tiles;
  const u32 row = place % down * SIDE, column = place / down * SIDE;
  // Of a symmetric result only the tiles that meet the upper triangle are wanted. All items agree.
  if (upper && row > column + SIDE - 1u) return;
  const u32 t = local_id(), x = t % TEAM, y = t / TEAM;
  const u64 a0 = a_at + matrix * a_each, b0 = b_at + matrix * b_each, c0 = c_at + matrix * c_each;
  T sum[QUAD * QUAD];
  for (u32 i = 0u; i < QUAD * QUAD; ++i) sum[i] = (T)0;
  for (u32 p0 = 0u; p0 < k; p0 += DEPTH) {
    for (u32 i = t; i < DEPTH * SIDE; i += BLOCK) {
      // Along whichever way memory runs.
      const u32 ap = a_row == 1u ? i / SIDE : i % DEPTH, ai = a_row == 1u ? i % SIDE : i / DEPTH;
      const u32 bp = b_row == 1u ? i % DEPTH : i / SIDE, bj = b_row == 1u ? i / DEPTH : i % SIDE;
      left[ap * SIDE + ai] =
          (row + ai < m && p0 + ap < k) ? a[a0 + (u64)(row + ai) * a_row + (u64)(p0 + ap) * a_column] : (T)0;
      right[bp * SIDE + bj] =
          (column + bj < n && p0 + bp < k) ? b[b0 + (u64)(p0 + bp) * b_row + (u64)(column + bj) * b_column] : (T)0;
    }
    group_barrier();
    for (u32 p = 0u; p < DEPTH; ++p) {
      T u[QUAD], v[QUAD];
      for (u32 i = 0u; i < QUAD; ++i) { u[i] = left[p * SIDE + x + i * TEAM]; v[i] = right[p * SIDE + y + i * TEAM]; }
      for (u32 j = 0u; j < QUAD; ++j)
        for (u32 i = 0u; i < QUAD; ++i) sum[j * QUAD + i] = fma_t(u[i], v[j], sum[j * QUAD + i]);
    }
    group_barrier();
  }
  for (u32 j = 0u; j < QUAD; ++j)
    for (u32 i = 0u; i < QUAD; ++i) {
      const u32 r = row + x + i * TEAM, s = column + y + j * TEAM;
      if (r < m && s < n) {
        const u64 at = c0 + r + (u64)s * c_column;
        // What is not wanted of C may be no number.
        c[at] = beta == (T)0 ? alpha * sum[j * QUAD + i] : fma_t(alpha, sum[j * QUAD + i], beta * c[at]);
      }
    }
}

// Ones on the diagonals of m x n matrices, zeros elsewhere.
KERNEL matrix_identity(u32 m, u32 n, u64 elements, GLOBAL T *out) {
  FOR_EACH(i, elements) { out[i] = (u32)(i % ((u64)m * n) / m) == (u32)(i % m) ? (T)1 : (T)0; }
}
