// Blocks of series as the codings of docs/timeseries-format.md, a group for each, an entry for each coding, byte by byte what
// the CPU writes at levels 1 to 6. `todo` names the blocks; where `part`, a coding is measured on the 256 values in their middle,
// and nothing is written. A block is at hand in shared memory; what is decided for all of it is decided by sums over the
// group, what for 64 numbers by an item, and bits are gathered into words, so that no two items write one. Blocks are
// written BLOCK_BYTES apart. Some hundred operations a value; bound by those.
#define MOST 2048u
#define PART 256u
#define EACH (MOST / BLOCK)
#define GROUP_OF 64u
#define PATCH_BITS 80u
#define BLOCK_BYTES (8u * MOST + 8u)

// Where a block's values are, or those that stand for it.
typedef struct { GLOBAL const u64 *values; u32 count; } encode_run;

DEVICE encode_run encode_open(GLOBAL const void *all, u32 each, u64 length, u32 part, u32 block) {
  const u64 from = (u64)(block % each) * MOST;
  encode_run run;
  run.count = length - from < MOST ? (u32)(length - from) : MOST;
  run.values = (GLOBAL const u64 *)all + (u64)(block / each) * length + from;
  if (part && run.count > PART) {
    run.values += (run.count - PART) / 2u;
    run.count = PART;
  }
  return run;
}

DEVICE u64 encode_mask(u32 width) { return width == 0u ? (u64)0 : ~(u64)0 >> (64u - width); }

// Bits that a number needs, and zeros behind its lowest one.
DEVICE u32 encode_width(u64 v) {
  const u32 high = (u32)(v >> 32), low = (u32)v;
  return high != 0u ? 64u - clz_u32(high) : low != 0u ? 32u - clz_u32(low) : 0u;
}
DEVICE u32 encode_trailing(u64 v) { return v == 0 ? 64u : popcount_u64((v & ((u64)0 - v)) - 1u); }
DEVICE u64 encode_zigzag(u64 x) { return (x << 1) ^ (u64)((i64)x >> 63); }

// Sums over the group of what is before each item, and of all.
DEVICE u32 encode_before(u32 own, LOCAL u32 *sums, u32 *all) {
  const u32 t = local_id();
  sums[t] = own;
  group_barrier();
  for (u32 s = 1u; s < BLOCK; s <<= 1) {
    const u32 other = t >= s ? sums[t - s] : 0u;
    group_barrier();
    sums[t] += other;
    group_barrier();
  }
  const u32 sum = sums[t];
  *all = sums[BLOCK - 1u];
  group_barrier();
  return sum - own;
}

// Place `i` of `taken` from all over `length`, as the CPU samples.
DEVICE u32 encode_spread(u32 i, u32 length, u32 taken) {
  const u32 from = i * length / taken, to = (i + 1u) * length / taken;
  return from + i * i * 31u % (to - from);
}

DEVICE void encode_put(GLOBAL u8 *out, u32 at, u64 v, u32 bytes) {
  for (u32 i = 0; i < bytes; i++) out[at + i] = (u8)(v >> (8u * i));
}

// The words of a run of `count` numbers of `width` bits, word `w` of 64 bits of it, from byte `at` on.
DEVICE void encode_word(LOCAL const u64 *numbers, u32 count, u32 width, u32 w, GLOBAL u8 *out, u32 at) {
  u64 word = 0;
  for (u32 i = w * 64u / width; i < count && i * width < w * 64u + 64u; i++) {
    const u64 v = numbers[i] & encode_mask(width);
    const u32 bit = i * width;
    word |= bit < w * 64u ? v >> (w * 64u - bit) : v << (bit - w * 64u);
  }
  const u32 bytes = (count * width + 7u) / 8u - w * 8u;
  encode_put(out, at + w * 8u, word, bytes < 8u ? bytes : 8u);
}
