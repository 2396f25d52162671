// C = op(A) op(B) for row-major matrices, `batch` of them one after another.
//
// A group makes a tile of TILE x TILE elements of C in steps of DEPTH along k: both operands' parts lie in shared
// memory, and each item keeps WORK x WORK sums in registers, SIDE elements apart in both directions so that neighbours
// read and write neighbours. One column more than the tile has keeps the banks of shared memory apart.
#define SIDE 16u
#define WORK (TILE / SIDE)
#define PITCH (TILE + 1u)

KERNEL gemm_tiled(u64 first, u32 m, u32 n, u32 k, u32 flip_a, u32 flip_b,
                  u64 step_a, u64 step_b, u64 at_a, u64 at_b, u64 at_c,
                  GLOBAL const T *a, GLOBAL const T *b, GLOBAL T *c) {
  SHARED T left[DEPTH * PITCH];
  SHARED T right[DEPTH * PITCH];
  const u32 item = local_id(), column = item % SIDE, row = item / SIDE;
  const u64 across = ((u64)n + TILE - 1u) / TILE, down = ((u64)m + TILE - 1u) / TILE;
  const u64 tile = first + group_id(), matrix = tile / (across * down), place = tile % (across * down);
  const u64 row0 = place / across * TILE, column0 = place % across * TILE;
  GLOBAL const T *pa = a + at_a + matrix * step_a;
  GLOBAL const T *pb = b + at_b + matrix * step_b;
  GLOBAL T *pc = c + at_c + matrix * ((u64)m * n);

  T sum[WORK][WORK];
  for (u32 i = 0u; i < WORK; i++)
    for (u32 j = 0u; j < WORK; j++) sum[i][j] = (T)0;

  for (u32 k0 = 0u; k0 < k; k0 += DEPTH) {
    for (u32 e = item; e < TILE * DEPTH; e += BLOCK) {
      // Neighbouring items read neighbouring elements, whichever way the operand is stored.
      const u32 along = flip_a ? e / TILE : e % DEPTH, side = flip_a ? e % TILE : e / DEPTH;
      const u64 r = row0 + side, q = (u64)k0 + along;
      left[along * PITCH + side] = (r < m && q < k) ? (flip_a ? pa[q * m + r] : pa[r * k + q]) : (T)0;
    }
    for (u32 e = item; e < TILE * DEPTH; e += BLOCK) {
      const u32 along = flip_b ? e % DEPTH : e / TILE, side = flip_b ? e / DEPTH : e % TILE;
      const u64 s = column0 + side, q = (u64)k0 + along;
      right[along * PITCH + side] = (s < n && q < k) ? (flip_b ? pb[s * k + q] : pb[q * n + s]) : (T)0;
    }
    group_barrier();
    for (u32 q = 0u; q < DEPTH; q++) {
      T x[WORK], y[WORK];
      for (u32 i = 0u; i < WORK; i++) x[i] = left[q * PITCH + row + i * SIDE];
      for (u32 j = 0u; j < WORK; j++) y[j] = right[q * PITCH + column + j * SIDE];
      for (u32 i = 0u; i < WORK; i++)
        for (u32 j = 0u; j < WORK; j++) sum[i][j] = fma_t(x[i], y[j], sum[i][j]);
    }
    group_barrier();
  }

  for (u32 i = 0u; i < WORK; i++)
    for (u32 j = 0u; j < WORK; j++) {
      const u64 r = row0 + row + i * SIDE, s = column0 + column + j * SIDE;
      if (r < m && s < n) pc[r * n + s] = sum[i][j];
    }
}
