// The Cholesky factor of the diagonal block of extent b at `first` of matrices of extent n whose lower triangle lies by
// rows. A group has a matrix; the block is worked on in local memory.
KERNEL cholesky_block(u32 n, u32 first, u32 b, GLOBAL T *a, GLOBAL i32 *info) {
  SHARED T block[SIDE * (SIDE + 1u)];
  const u32 t = local_id();
  const u64 base = (u64)group_id() * n * n + (u64)first * n + first;
  for (u32 i = t; i < b * b; i += BLOCK)
    if (i % b <= i / b) block[i / b * (SIDE + 1u) + i % b] = a[base + (u64)(i / b) * n + i % b];
  group_barrier();
  for (u32 j = 0u; j < b; ++j) {
    const T pivot = block[j * (SIDE + 1u) + j];
    const u32 good = pivot > (T)0;
    const T root = good ? sqrt_t(pivot) : (T)1;
    group_barrier();
    if (t == 0u) {
      block[j * (SIDE + 1u) + j] = root;
      if (!good && info[group_id()] == 0) info[group_id()] = (i32)(first + j + 1u);
    }
    for (u32 i = j + 1u + t; i < b; i += BLOCK) block[i * (SIDE + 1u) + j] /= root;
    group_barrier();
    const u32 rest = b - j - 1u;
    for (u32 e = t; e < rest * rest; e += BLOCK) {
      const u32 i = j + 1u + e / rest, c = j + 1u + e % rest;
      if (c <= i)
        block[i * (SIDE + 1u) + c] =
            fma_t(-block[i * (SIDE + 1u) + j], block[c * (SIDE + 1u) + j], block[i * (SIDE + 1u) + c]);
    }
    group_barrier();
  }
  for (u32 i = t; i < b * b; i += BLOCK)
    if (i % b <= i / b) a[base + (u64)(i / b) * n + i % b] = block[i / b * (SIDE + 1u) + i % b];
}
