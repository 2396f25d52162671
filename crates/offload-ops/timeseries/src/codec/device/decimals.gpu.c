// Codings of floating-point numbers: decimals as integers, and left and right parts.
#define ROUNDING 6755399441055744.0
#define LIMIT 2251799813685248.0

TABLE f64 ENCODE_POWERS[19] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
                               1e17, 1e18};
TABLE f64 ENCODE_INVERSES[19] = {1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13,
                                 1e-14, 1e-15, 1e-16, 1e-17, 1e-18};

// The integer that a number becomes, and whether it comes back to the bit.
DEVICE u64 encode_integer(u64 bits, u32 e, u32 f, u32 *comes_back) {
  const f64 scaled = AS_F64(bits) * ENCODE_POWERS[e] * ENCODE_INVERSES[f];
  const f64 rounded = scaled + ROUNDING;
  const f64 again = (rounded - ROUNDING) * ENCODE_POWERS[f] * ENCODE_INVERSES[e];
  *comes_back = AS_U64(again) == bits && abs_f64(scaled) < LIMIT;
  return AS_U64(rounded) - AS_U64(ROUNDING);
}

// Numbers as decimals, for encode_integers: `numbers` are the integers, `marks` of each item's run those that are exceptions,
// `heads` the exponents with the exceptions' number above, and the bits that a value of the sample takes.
KERNEL encode_decimals(u32 each, u64 length, u32 part, u32 pairs, GLOBAL const u32 *RESTRICT exponents,
                       GLOBAL const u32 *RESTRICT todo, GLOBAL const T *RESTRICT values, GLOBAL u64 *RESTRICT numbers,
                       GLOBAL u32 *RESTRICT marks, GLOBAL u32 *RESTRICT heads) {
  SHARED u64 z[MOST];
  SHARED u32 costs[BLOCK];
  SHARED u32 sums[BLOCK];
  SHARED u32 lasts[BLOCK];
  SHARED u32 firsts[BLOCK];
  const u32 t = local_id(), block = todo[group_id()];
  const encode_run run = encode_open(values, each, length, part, block);
  const u32 n = run.count, taken = n < 32u ? n : 32u;
  if (t < pairs) {
    const u32 e = exponents[t] & 255u, f = exponents[t] >> 8;
    const u64 flip = (u64)1 << 63;
    u64 least = ~(u64)0, most = 0;
    u32 exceptions = 0;
    for (u32 i = 0; i < taken; i++) {
      u32 back;
      const u64 d = encode_integer(run.values[encode_spread(i, n, taken)], e, f, &back) ^ flip;
      if (!back) exceptions++;
      if (back && d < least) least = d;
      if (back && d > most) most = d;
    }
    costs[t] = encode_width(least <= most ? most - least : (u64)0) * taken + exceptions * PATCH_BITS;
  }
  group_barrier();
  u32 best = 0;
  for (u32 p = 1; p < pairs; p++) if (costs[p] < costs[best]) best = p;
  const u32 e = exponents[best] & 255u, f = exponents[best] >> 8;
  // Exceptions take the integer before them, the first ones that of the first other.
  u32 last = 0, own = 0, lead = n, marked = 0;
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = t * EACH + k;
    if (i < n) {
      u32 back;
      z[i] = encode_integer(run.values[i], e, f, &back);
      if (back && lead == n) lead = i;
      if (back) last = i + 1u;
      if (!back) { own++; marked |= 1u << k; }
    }
  }
  u32 exceptions;
  encode_before(own, sums, &exceptions);
  lasts[t] = last;
  firsts[t] = lead;
  group_barrier();
  for (u32 s = 1u; s < BLOCK; s <<= 1) {
    const u32 other = t >= s ? lasts[t - s] : 0u, first = t + s < BLOCK ? firsts[t + s] : n;
    group_barrier();
    if (other > lasts[t]) lasts[t] = other;
    if (first < firsts[t]) firsts[t] = first;
    group_barrier();
  }
  u64 filler = firsts[0] < n ? z[firsts[0]] : (u64)0;
  if (t > 0u && lasts[t - 1u] > 0u) filler = z[lasts[t - 1u] - 1u];
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = t * EACH + k;
    if (i < n) {
      if ((marked >> k & 1u) == 0u) filler = z[i];
      numbers[(u64)block * MOST + i] = filler;
    }
  }
  marks[(u64)block * BLOCK + t] = marked;
  if (t == 0u) {
    heads[2u * block] = e | f << 8 | exceptions << 16;
    heads[2u * block + 1u] = costs[best] / taken;
  }
}

// Left and right parts.
KERNEL encode_split(u32 each, u64 length, u32 part, u32 right, GLOBAL const u32 *RESTRICT todo, GLOBAL const T *RESTRICT values,
                    GLOBAL u8 *RESTRICT blocks, GLOBAL u32 *RESTRICT sizes) {
  SHARED u64 z[MOST];
  SHARED u32 lefts[MOST];
  SHARED u64 ends[BLOCK];
  SHARED u64 keys[8];
  SHARED u32 sums[BLOCK];
  const u32 t = local_id(), block = todo[group_id()];
  const encode_run run = encode_open(values, each, length, part, block);
  const u32 count = run.count;
  for (u32 i = t; i < count; i += BLOCK) lefts[i] = (u32)(run.values[i] >> right);
  group_barrier();
  // The most frequent left parts, the least of equals: of each value how often its part is there, as a key that is larger
  // for what comes first.
  for (u32 i = t; i < count; i += BLOCK) {
    const u32 left = lefts[i];
    u32 times = 0;
    for (u32 j = 0; j < count; j++) times += lefts[j] == left;
    z[i] = (u64)times << 32 | (0xffffu - left);
  }
  u64 last = ~(u64)0;
  for (u32 k = 0; k < 8u; k++) {
    u64 most = 0;
    for (u32 i = t; i < count; i += BLOCK) if (z[i] < last && z[i] > most) most = z[i];
    ends[t] = most;
    group_barrier();
    for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
      if (t < s && ends[t + s] > ends[t]) ends[t] = ends[t + s];
      group_barrier();
    }
    last = ends[0];
    if (t == 0u) keys[k] = last;                     // 0 where there are no more
    group_barrier();
  }
  u32 known = 0;
  for (u32 k = 0; k < 8u; k++) known += keys[k] != 0;
  // How many of them make the smallest block.
  u32 use = 0, least = ~0u;
  for (u32 k = 0; k < 4u; k++) {
    const u32 some = (1u << k) < known ? 1u << k : known;
    u32 in = 0;
    for (u32 w = 0; w < some; w++) in += (u32)(keys[w] >> 32);
    const u32 width = some > 4u ? 3u : some > 2u ? 2u : some - 1u;
    const u32 cost = count * width + (count - in) * 32u;
    if (cost < least) { least = cost; use = some; }
  }
  const u32 width = use > 4u ? 3u : use > 2u ? 2u : use - 1u;
  u32 own = 0, outside = 0, all;
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = t * EACH + k;
    if (i < count) {
      u32 at = use;
      for (u32 w = 0; w < use; w++) if (0xffffu - (u32)keys[w] == lefts[i]) at = w;
      z[i] = at < use ? at : 0u;
      if (at == use) { own++; outside |= 1u << k; }
    }
  }
  u32 p = encode_before(own, sums, &all);
  const u32 head = 3u + 2u * use + 2u, rights = head + (count * width + 7u) / 8u;
  const u32 places = rights + (count * right + 7u) / 8u, bytes = places + 4u * all;
  if (t == 0u) sizes[block] = bytes;
  const u32 writes = !part && bytes <= 8u * count;
  GLOBAL u8 *out = blocks + (u64)block * BLOCK_BYTES;
  if (writes && t == 0u) {
    out[0] = (u8)5;
    out[1] = (u8)right;
    out[2] = (u8)use;
    encode_put(out, 3u + 2u * use, all, 2u);
  }
  if (writes && t < use) encode_put(out, 3u + 2u * t, 0xffffu - (u32)keys[t], 2u);
  for (u32 w = t; w * 64u < (writes ? count * width : 0u); w += BLOCK) encode_word(z, count, width, w, out, head);
  group_barrier();
  for (u32 i = t; i < count; i += BLOCK) z[i] = run.values[i];
  group_barrier();
  for (u32 w = t; w * 64u < (writes ? count * right : 0u); w += BLOCK) encode_word(z, count, right, w, out, rights);
  for (u32 k = 0; k < (writes ? EACH : 0u); k++) {
    if (outside >> k & 1u) {
      encode_put(out, places + 2u * p, t * EACH + k, 2u);
      encode_put(out, places + 2u * all + 2u * p, lefts[t * EACH + k], 2u);
      p++;
    }
  }
}
