// A wavelet matrix (Claude, Navarro and Ordóñez 2015) over the bits of values, the highest first: at each level the numbers are
// parted by one bit, those without it first, in their order. How many zeros stand before a place is a word and the ones
// before it in 64 bits. Building moves some 24 bytes a value and level, and is bound by memory.
#define LEVELS 64u
#define EACH 8u
#define TILE (BLOCK * EACH)
#define WORDS (TILE / 32u)

// Bits in the order of the values; zeros are one.
KERNEL wavelet_begin(u32 count, GLOBAL const f64 *RESTRICT x, GLOBAL u64 *RESTRICT keys) {
  FOR_EACH(i, count) {
    const u64 bits = AS_U64(x[i] + 0.0);
    keys[i] = (bits >> 63) != 0 ? ~bits : bits | (u64)1 << 63;
  }
}

// How many of a tile's numbers have a 0 there.
KERNEL wavelet_count(u32 count, u32 shift, GLOBAL const u64 *RESTRICT keys, GLOBAL u32 *RESTRICT zeros) {
  SHARED u32 all;
  if (local_id() == 0u) all = 0u;
  group_barrier();
  u32 own = 0;
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = group_id() * TILE + k * BLOCK + local_id();
    if (i < count && (keys[i] >> shift & 1u) == 0u) own++;
  }
  if (own > 0u) shared_fetch_add_u32(&all, own);
  group_barrier();
  if (local_id() == 0u) zeros[group_id()] = all;
}

// Parts them, and notes where the zeros were: `marks` has pairs of the zeros before a word of 32 places, and their bits.
KERNEL wavelet_part(u32 count, u32 tiles, u32 shift, GLOBAL const u64 *RESTRICT keys, GLOBAL const u32 *RESTRICT zeros,
                    GLOBAL u64 *RESTRICT parted, GLOBAL u32 *RESTRICT marks, GLOBAL u32 *RESTRICT totals) {
  SHARED u32 bits[WORDS];
  SHARED u32 before[WORDS + 1u];
  const u32 t = local_id(), tile = group_id(), level = LEVELS - 1u - shift;
  const u32 base = zeros[tile], all = zeros[tiles];
  GLOBAL u32 *own = marks + ((u64)level * ((u64)tiles * WORDS + 1u) + (u64)tile * WORDS) * 2u;
  for (u32 w = t; w < WORDS; w += BLOCK) bits[w] = 0u;
  group_barrier();
  u64 key[EACH];
  for (u32 k = 0; k < EACH; k++) {
    const u32 place = k * BLOCK + t, i = tile * TILE + place;
    key[k] = i < count ? keys[i] : ~(u64)0;
    if ((key[k] >> shift & 1u) == 0u) shared_fetch_add_u32(&bits[place / 32u], 1u << (place % 32u));
  }
  group_barrier();
  for (u32 w = t; w < WORDS; w += BLOCK) {
    u32 sum = base;
    for (u32 v = 0; v < w; v++) sum += popcount_u32(bits[v]);
    before[w] = sum;
    own[2u * w] = sum;
    own[2u * w + 1u] = bits[w];
    if (w == WORDS - 1u && tile == tiles - 1u) {
      // The place behind the last one.
      own[2u * WORDS] = sum + popcount_u32(bits[w]);
      own[2u * WORDS + 1u] = 0u;
    }
  }
  if (t == 0u && tile == 0u) totals[level] = all;
  group_barrier();
  for (u32 k = 0; k < EACH; k++) {
    const u32 place = k * BLOCK + t, i = tile * TILE + place;
    const u32 z = before[place / 32u] + popcount_u32(bits[place / 32u] & ((1u << (place % 32u)) - 1u));
    if (i < count) parted[(key[k] >> shift & 1u) == 0u ? z : all + (i - z)] = key[k];
  }
}
