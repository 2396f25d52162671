// How many bits of packed codes differ, for every row and each of up to four queries at once: exact costs.
#define QUERIES 4
#define NONE (~(u64)0)
#define EXACT_KEY(bits) (AS_U64((f64)(bits)) | ((u64)1 << 63))

KERNEL vector_codes(u32 first, u32 count, u32 d, u32 queries, u32 masked, u32 from, GLOBAL const u32 *RESTRICT chosen,
                    GLOBAL const u8 *RESTRICT q, GLOBAL const u8 *RESTRICT corpus, GLOBAL const u8 *RESTRICT filter,
                    GLOBAL u64 *RESTRICT costs) {
  const u32 of = group_id_y() * QUERIES;
  const u32 some = queries - of < QUERIES ? queries - of : QUERIES;
  const u32 words = d % 4u == 0u ? d / 4u : 0u;       // rows begin at a multiple of 4 bytes only then
  GLOBAL const u8 *at_query[QUERIES];
  #pragma unroll
  for (int a = 0; a < QUERIES; a++)
    at_query[a] = q + (u64)chosen[from + of + ((u32)a < some ? (u32)a : some - 1u)] * d;
  FOR_EACH(i, count) {
    const u64 row = (u64)first + i;
    if (masked && filter[row] == 0) {
      for (u32 a = 0; a < some; a++) costs[(u64)(of + a) * count + i] = NONE;
    } else {
      GLOBAL const u8 *x = corpus + row * d;
      u32 bits[QUERIES];
      #pragma unroll
      for (int a = 0; a < QUERIES; a++) bits[a] = 0;
      for (u32 w = 0; w < words; w++) {
        const u32 v = ((GLOBAL const u32 *)x)[w];
        #pragma unroll
        for (int a = 0; a < QUERIES; a++) bits[a] += popcount_u32(v ^ ((GLOBAL const u32 *)at_query[a])[w]);
      }
      for (u32 b = words * 4u; b < d; b++) {
        const u32 v = x[b];
        #pragma unroll
        for (int a = 0; a < QUERIES; a++) bits[a] += popcount_u32(v ^ (u32)at_query[a][b]);
      }
      #pragma unroll
      for (int a = 0; a < QUERIES; a++)
        if ((u32)a < some) costs[(u64)(of + (u32)a) * count + i] = EXACT_KEY(bits[a]);
    }
  }
}
