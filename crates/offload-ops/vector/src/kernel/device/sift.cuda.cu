// The products of a sift by tensor cores: TF32, the operands truncated, sums in f32.
//
// A group has two halves of four warps, each half with strips of its own, so that one turns sums into bounds while the
// other multiplies. A warp holds 64 sums by 64 in registers. Rows come through shared memory, STAGES chunks under way;
// queries come from the L1 cache, where 256 of 128 columns stay (128 KB), one chunk ahead of their use. So a row is read
// once by a group, 128 operations a byte.
//
// A lane takes four consecutive columns of a chunk where the instruction's layout has columns t and t + 4 of eight:
// columns of both operands are permuted alike, which leaves the sum what it is, and makes each read 16 bytes, of a warp
// 512 in a row, free of conflicts between banks.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define TENSOR_CORES 1
#define STAGES 4u
#define HALF 128u

DEVICE void multiply(f32 *c, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// 16 bytes into shared memory past the registers, or zeros.
DEVICE void copy_16(u32 to, const f32 *from, u32 there) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16u : 0u)
               : "memory");
}

DEVICE void copies_end(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for all of them but those of the last STAGES - 2 chunks.
DEVICE void copies_wait(void) { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2u) : "memory"); }

DEVICE void half_barrier(u32 half) { asm volatile("bar.sync %0, %1;" ::"r"(half + 1u), "n"(HALF) : "memory"); }

// One of sixteen registers.
DEVICE f32 pick(const f32 *v, u32 n) {
  f32 eight[8], four[4], two[2];
  #pragma unroll
  for (int i = 0; i < 8; i++) eight[i] = (n & 8u) != 0 ? v[i + 8] : v[i];
  #pragma unroll
  for (int i = 0; i < 4; i++) four[i] = (n & 4u) != 0 ? eight[i + 4] : eight[i];
  #pragma unroll
  for (int i = 0; i < 2; i++) two[i] = (n & 2u) != 0 ? four[i + 2] : four[i];
  return (n & 1u) != 0 ? two[1] : two[0];
}

DEVICE void sift_strips(u32 first, u32 count, u32 width, u32 base, u32 some, u32 cosine, u32 capacity,
                        const f32 *RESTRICT panels, const f32 *RESTRICT corpus, const f32 *RESTRICT weights,
                        u64 *RESTRICT list_keys, u32 *RESTRICT list_rows, u32 *taken, const f32 *own, const f32 *most) {
  __shared__ ALIGNED(16) f32 stages[2][STAGES][STRIP * CHUNK];
  __shared__ ALIGNED(16) f32 strip_weights[2][2][STRIP];
  const u32 half = local_id() / HALF, item = local_id() % HALF, lane = item % 32u;
  const u32 across = lane / 4u, along = lane % 4u;    // g and t of the instruction's layout
  // The other way round in the other half, so that few panels keep as many of the four schedulers busy as they can.
  const u32 panel = half == 0u ? item / 32u : 3u - item / 32u;
  const u32 is_busy = panel * PANEL < some;
  const u32 chunks = (width + CHUNK - 1u) / CHUNK;
  const u32 strips = (count + STRIP - 1u) / STRIP;
  const u32 begin = group_id() * 2u + half, step = group_count() * 2u;
  const u32 mine = begin < strips ? (strips - begin + step - 1u) / step : 0u;
  if (mine == 0u) return;

  const u32 shared = (u32)__cvta_generic_to_shared(&stages[half][0][0]) + item * 16u;
  u32 next_row = begin * STRIP + item / 4u, next_column = item % 4u * 4u, next = 0, loaded = 0;
  // The next chunk of this half's strips, two pieces of 16 bytes an item; past the last one nothing.
  auto load = [&]() {
    if (loaded < mine) {
      #pragma unroll
      for (u32 j = 0; j < 2u; j++) {
        const u32 row = next_row + j * 32u;
        const u32 there = row < count && next_column < width;
        copy_16(shared + next * (STRIP * CHUNK * 4u) + j * 2048u, there ? corpus + (u64)row * width + next_column : corpus,
                there);
      }
      next_column += CHUNK;
      if (next_column >= chunks * CHUNK) {
        next_column = item % 4u * 4u;
        next_row += step * STRIP;
        loaded++;
      }
    }
    next = (next + 1u) % STAGES;
    copies_end();
  };
  #pragma unroll
  for (u32 s = 0; s < STAGES - 1u; s++) load();

  const float4 *queries = (const float4 *)(panels + (u64)(base / PANEL + panel) * chunks * PIECE) + lane;
  float4 a[8], ahead[8];
  if (is_busy) {
    #pragma unroll
    for (int i = 0; i < 8; i++) a[i] = __ldg(queries + i * 32);
  }
  const u32 row0 = begin * STRIP + item;
  if (item < STRIP) strip_weights[half][0][item] = row0 < count ? weights[first + row0] : NOT_A_NUMBER;

  u32 stage = 0;
  for (u32 n = 0; n < mine; n++) {
    const u32 strip = (begin + n * step) * STRIP;
    f32 next_weight = NOT_A_NUMBER;
    if (item < STRIP && n + 1u < mine && strip + step * STRIP + item < count)
      next_weight = weights[first + strip + step * STRIP + item];
    f32 sum[4][8][4];
    #pragma unroll
    for (int i = 0; i < 4; i++)
      #pragma unroll
      for (int j = 0; j < 8; j++)
        #pragma unroll
        for (int e = 0; e < 4; e++) sum[i][j][e] = 0.0f;

    #pragma unroll 1
    for (u32 c = 0; c < chunks; c++) {
      copies_wait();
      half_barrier(half);
      load();                                         // into the chunk that all have done with
      if (is_busy) {
        const float4 *at = queries + (c + 1u == chunks ? 0u : c + 1u) * (PIECE / 4u);
        #pragma unroll
        for (int i = 0; i < 8; i++) ahead[i] = __ldg(at + i * 32);
        const float4 *rows = (const float4 *)stages[half][stage] + lane;
        #pragma unroll
        for (int j = 0; j < 8; j++) {
          const float4 b = rows[j * 32];
          #pragma unroll
          for (int i = 0; i < 4; i++)
            multiply(sum[i][j], AS_U32(a[2 * i].x), AS_U32(a[2 * i + 1].x), AS_U32(a[2 * i].y), AS_U32(a[2 * i + 1].y),
                     AS_U32(b.x), AS_U32(b.y));
          #pragma unroll
          for (int i = 0; i < 4; i++)
            multiply(sum[i][j], AS_U32(a[2 * i].z), AS_U32(a[2 * i + 1].z), AS_U32(a[2 * i].w), AS_U32(a[2 * i + 1].w),
                     AS_U32(b.z), AS_U32(b.w));
        }
        #pragma unroll
        for (int i = 0; i < 8; i++) a[i] = ahead[i];
      }
      stage = (stage + 1u) % STAGES;
    }

    if (is_busy) {
      float2 weight[8];
      #pragma unroll
      for (int j = 0; j < 8; j++) weight[j] = ((const float2 *)strip_weights[half][n % 2u])[j * 4 + along];
      #pragma unroll
      for (int i = 0; i < 8; i++) {                   // the rows of sums that a lane has parts of
        const u32 q = panel * PANEL + (u32)i * 8u + across;
        // A list that has run over takes no more: it is given up.
        const f32 limit = *(volatile u32 *)&taken[q] > capacity ? LEAST_BOUND : most[q];
        f32 bound[16];
        u32 hits = 0;
        #pragma unroll
        for (int j = 0; j < 8; j++) {
          bound[2 * j] = bound_of(cosine, own[q], weight[j].x, sum[i / 2][j][i % 2 * 2]);
          bound[2 * j + 1] = bound_of(cosine, own[q], weight[j].y, sum[i / 2][j][i % 2 * 2 + 1]);
        }
        #pragma unroll
        for (int j = 0; j < 16; j++) hits |= bound[j] < limit ? 1u << j : 0u;
        while (hits != 0u) {
          const u32 j = (u32)__ffs((int)hits) - 1u;
          hits &= hits - 1u;
          const u64 list = ((u64)(base + q) * group_count() + group_id()) * capacity;
          sift_take(&taken[q], capacity, pick(bound, j), first + strip + j / 2u * 8u + along * 2u + j % 2u,
                    list_keys + list, list_rows + list);
        }
      }
    }
    if (item < STRIP) strip_weights[half][(n + 1u) % 2u][item] = next_weight;
  }
}
#endif

