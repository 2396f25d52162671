// Codings of any numbers: differences, and XORs; and blocks put one behind the other.
// The width of a group of zigzags around `base` that costs least where wider ones are exceptions; and in `bits` what it costs.
DEVICE u32 encode_best_width(LOCAL const u64 *of, u32 count, u64 base, u32 *bits) {
  u64 any = 0;
  for (u32 i = 0; i < count; i++) any |= encode_zigzag(of[i] - base);
  const u32 widest = encode_width(any);
  u32 best = count * widest, at = widest;
  if (widest >= 2u) {
    u32 high = 0;
    for (u32 i = 0; i < count; i++) high += (u32)(encode_zigzag(of[i] - base) >> (widest - 2u));
    if (high <= 24u) {
      for (u32 w = widest; w > 0u; ) {
        w--;
        u32 exceptions = 0;
        for (u32 i = 0; i < count; i++) exceptions += encode_zigzag(of[i] - base) >> w != 0;
        if (exceptions * PATCH_BITS > best) break;
        const u32 cost = count * w + exceptions * PATCH_BITS;
        if (cost <= best) { best = cost; at = w; }
      }
    }
  }
  *bits = best;
  return at;
}

// The base that numbers are near: the middle of their range, or one in the middle of a sample; and in `bits` what every
// `stride`-th group takes around it.
DEVICE u64 encode_best_base(LOCAL const u64 *of, u32 count, u32 stride, u32 by_median, LOCAL u64 *ends, LOCAL u32 *sums,
                            u32 *bits) {
  const u32 t = local_id(), groups = (count + GROUP_OF - 1u) / GROUP_OF;
  const u64 flip = (u64)1 << 63;                     // the order of signed numbers is that of these unsigned
  u64 least = ~(u64)0, most = 0;
  for (u32 i = t; i < count; i += BLOCK) {
    const u64 v = of[i] ^ flip;
    if (v < least) least = v;
    if (v > most) most = v;
  }
  ends[t] = least;
  ends[BLOCK + t] = most;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s) {
      if (ends[t + s] < ends[t]) ends[t] = ends[t + s];
      if (ends[BLOCK + t + s] > ends[BLOCK + t]) ends[BLOCK + t] = ends[BLOCK + t + s];
    }
    group_barrier();
  }
  least = ends[0] ^ flip;
  const u64 range = ends[BLOCK] - ends[0];
  const u64 middle = least + (range / 2u + range % 2u);
  group_barrier();
  const u32 taken = count < 31u ? count : 31u, sampled = (groups + stride - 1u) / stride;
  if (t < taken) ends[1u + t] = of[encode_spread(t, count, taken)] ^ flip;
  group_barrier();
  if (t < taken) {
    u32 rank = 0;
    for (u32 j = 0; j < taken; j++) rank += ends[1u + j] < ends[1u + t] || (ends[1u + j] == ends[1u + t] && j < t);
    if (rank == taken / 2u) ends[0] = ends[1u + t] ^ flip;
  }
  group_barrier();
  const u64 median = ends[0];
  u32 by_middle = 0, around = 0, all_middle, all_median;
  if (t < sampled) {
    const u32 from = t * stride * GROUP_OF, has = count - from < GROUP_OF ? count - from : GROUP_OF;
    encode_best_width(of + from, has, middle, &by_middle);
    if (by_median && range > 1u) encode_best_width(of + from, has, median, &around);
  }
  encode_before(by_middle, sums, &all_middle);
  encode_before(around, sums, &all_median);
  const u32 is_median = by_median && range > 1u && (all_median < all_middle || (all_median == all_middle && median < middle));
  *bits = is_median ? all_median : all_middle;
  return is_median ? median : middle;
}

// Whether all values of a block are one, for all blocks.
KERNEL encode_same(u32 each, u64 length, GLOBAL const T *RESTRICT values, GLOBAL u32 *RESTRICT same) {
  SHARED u32 sums[BLOCK];
  const encode_run run = encode_open(values, each, length, 0u, group_id());
  u32 differing = 0, any;
  for (u32 i = local_id(); i < run.count; i += BLOCK) differing += run.values[i] != run.values[0];
  encode_before(differing, sums, &any);
  if (local_id() == 0u) same[group_id()] = any == 0u;
}

// A number of a block as differences are made of: a decimal, or a value's bits in the order of the values.
DEVICE u64 encode_at(encode_run run, GLOBAL const u64 *decimals, u32 decimal, u32 real, u32 i) {
  if (decimal) return decimals[i];
  const u64 v = run.values[i];
  return real ? v ^ ((u64)((i64)v >> 63) >> 1) : v;
}

#define AT(i) encode_at(run, decimals, decimal, real, i)

// Differences, of the values or of what encode_decimals made of them.
KERNEL encode_integers(u32 each, u64 length, u32 part, u32 decimal, u32 real, u32 by_median, GLOBAL const u32 *RESTRICT todo,
                       GLOBAL const T *RESTRICT values, GLOBAL const u64 *RESTRICT numbers, GLOBAL const u32 *RESTRICT marks,
                       GLOBAL const u32 *RESTRICT heads, GLOBAL u8 *RESTRICT blocks, GLOBAL u32 *RESTRICT sizes) {
  SHARED u64 z[MOST];
  SHARED u64 ends[2u * BLOCK];
  SHARED u32 sums[BLOCK];
  SHARED u32 widths[BLOCK];
  SHARED u32 starts[BLOCK];
  const u32 t = local_id(), block = todo[group_id()];
  const encode_run run = encode_open(values, each, length, part, block);
  const u32 count = run.count;
  GLOBAL const u64 *decimals = numbers + (decimal ? (u64)block * MOST : (u64)0);
  const u32 sampled = (count + GROUP_OF - 1u) / GROUP_OF, stride = (sampled + 7u) / 8u;
  u32 order = 0, least = ~0u;
  u64 base = 0;
  group_barrier();
  // The last turn is for the best order, with all of its differences.
  for (u32 turn = 0; turn < 4u; turn++) {
    const u32 o = turn == 3u ? order : turn, step = turn == 3u ? 1u : stride;
    const u32 rest = o < count ? count - o : 0u;
    u32 n = 0, bits;
    for (u32 g = 0; g < sampled; g += step) {
      const u32 from = g * GROUP_OF;
      if (from < rest) n += rest - from < GROUP_OF ? rest - from : GROUP_OF;
    }
    for (u32 s = t; s < n; s += BLOCK) {
      const u32 i = s / GROUP_OF * step * GROUP_OF + s % GROUP_OF;
      const u64 v = AT(i);
      z[s] = o == 0u ? v : o == 1u ? AT(i + 1u) - v : AT(i + 2u) - AT(i + 1u) - (AT(i + 1u) - v);
    }
    group_barrier();
    base = encode_best_base(z, n, turn == 3u ? stride : 1u, by_median, ends, sums, &bits);
    bits += o * 64u / stride;
    if (turn < 3u && o < count && bits < least) { least = bits; order = o; }
    group_barrier();
  }
  const u32 rest = count - order, groups = (rest + GROUP_OF - 1u) / GROUP_OF, from = t * GROUP_OF;
  const u32 has = t >= groups ? 0u : rest - from < GROUP_OF ? rest - from : GROUP_OF;
  u32 cost = 0, width = 0, wide = 0, all_bytes, all_wide, differing, outside;
  if (t < groups) {
    width = encode_best_width(z + from, has, base, &cost);
    for (u32 i = 0; i < has; i++) {
      const u64 v = encode_zigzag(z[from + i] - base);
      z[from + i] = v;
      wide += v > encode_mask(width);
    }
    widths[t] = width;
  }
  group_barrier();
  encode_before(t < groups && width != widths[0], sums, &differing);
  starts[t] = encode_before((has * width + 7u) / 8u, sums, &all_bytes);
  u32 p = encode_before(wide, sums, &all_wide);
  const u32 marked = decimal ? marks[(u64)block * BLOCK + t] : 0u;
  u32 q = encode_before(popcount_u32(marked), sums, &outside);
  const u32 uniform = differing == 0u, before = decimal ? 5u : 1u;
  const u32 packed = before + 11u + 8u * order + (uniform ? 1u : groups);   // where the groups begin
  const u32 places = packed + all_bytes, behind = places + 10u * all_wide, bytes = behind + 10u * outside;
  if (t == 0u) sizes[block] = bytes;
  // Nothing is written of what will not be kept.
  const u32 writes = !part && bytes <= 8u * count;
  GLOBAL u8 *out = blocks + (u64)block * BLOCK_BYTES;
  if (writes && t == 0u) {
    out[0] = decimal ? (u8)4 : (u8)3;
    if (decimal) encode_put(out, 1u, heads[2u * block], 4u);
    out[before] = (u8)(order | (uniform ? 4u : 0u));
    if (order > 0u) encode_put(out, before + 1u, AT(0u), 8u);
    if (order > 1u) encode_put(out, before + 9u, AT(1u), 8u);
    encode_put(out, before + 1u + 8u * order, base, 8u);
    encode_put(out, before + 9u + 8u * order, all_wide, 2u);
    if (uniform) out[packed - 1u] = (u8)widths[0];
  }
  if (writes && !uniform && t < groups) out[packed - groups + t] = (u8)width;
  for (u32 i = t; i < (writes ? groups * GROUP_OF : 0u); i += BLOCK) {
    const u32 g = i / GROUP_OF, w = i % GROUP_OF;
    const u32 n = rest - g * GROUP_OF < GROUP_OF ? rest - g * GROUP_OF : GROUP_OF;
    if (w * 64u < n * widths[g]) encode_word(z + g * GROUP_OF, n, widths[g], w, out, packed + starts[g]);
  }
  for (u32 i = 0; i < (writes ? has : 0u); i++) {
    if (z[from + i] > encode_mask(width)) {
      encode_put(out, places + 2u * p, from + i, 2u);
      encode_put(out, places + 2u * all_wide + 8u * p, z[from + i], 8u);
      p++;
    }
  }
  for (u32 k = 0; k < (writes ? EACH : 0u); k++) {
    if (marked >> k & 1u) {
      encode_put(out, behind + 2u * q, t * EACH + k, 2u);
      encode_put(out, behind + 2u * outside + 8u * q, run.values[t * EACH + k], 8u);
      q++;
    }
  }
}

// Bits of a window over a run.
DEVICE u32 encode_window(u64 any, u32 run) {
  return any == 0 ? 0u : run * (encode_width(any) - encode_trailing(any));
}

// XORs with the value before.
KERNEL encode_gorilla(u32 each, u64 length, u32 part, u32 leaf, GLOBAL const u32 *RESTRICT todo, GLOBAL const T *RESTRICT values,
                      GLOBAL u8 *RESTRICT blocks, GLOBAL u32 *RESTRICT sizes) {
  SHARED u64 z[MOST];
  SHARED u64 ends[BLOCK];
  SHARED u32 sums[BLOCK];
  SHARED u32 runs[BLOCK];
  SHARED u32 firsts[BLOCK];
  SHARED u32 starts[BLOCK];
  SHARED u32 top;
  const u32 t = local_id(), block = todo[group_id()];
  const encode_run of = encode_open(values, each, length, part, block);
  const u32 rest = of.count - 1u;
  u32 own = 0, changes, marks = 0;
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = t * EACH + k;
    if (i < rest && of.values[i + 1u] != of.values[i]) { own++; marks |= 1u << k; }
  }
  u32 place = encode_before(own, sums, &changes);
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = t * EACH + k;
    if (marks >> k & 1u) z[place++] = of.values[i + 1u] ^ of.values[i];
  }
  group_barrier();
  const u32 pieces = (changes + leaf - 1u) / leaf;
  if (t < pieces) {
    const u32 from = t * leaf, to = changes - from < leaf ? changes : from + leaf;
    u64 any = 0;
    for (u32 i = from; i < to; i++) any |= z[i];
    ends[t] = any;
    runs[t] = to - from;
  }
  group_barrier();
  if (t == 0u) {
    // Neighbours are merged while that saves.
    u32 found = 0;
    for (u32 p = 0; p < pieces; p++) {
      u64 any = ends[p];
      u32 run = runs[p], merges = found > 0u;
      while (merges) {
        const u64 before = ends[found - 1u];
        const u32 together = encode_window(before | any, runs[found - 1u] + run);
        merges = together <= encode_window(before, runs[found - 1u]) + encode_window(any, run) + 32u;
        if (merges) {
          any |= before;
          run += runs[--found];
          merges = found > 0u;
        }
      }
      ends[found] = any;
      runs[found++] = run;
    }
    top = found;
  }
  group_barrier();
  const u32 windows = top, is = t < windows;
  u32 bits, all_runs;
  // Where a window's numbers and its bits begin.
  firsts[t] = encode_before(is ? runs[t] : 0u, sums, &all_runs);
  starts[t] = encode_before(is ? encode_window(ends[t], runs[t]) : 0u, sums, &bits);
  group_barrier();
  const u32 some = changes > 0u && changes < rest, marked = some ? (rest + 7u) / 8u : 0u;
  const u32 table = 13u + marked, payload = table + 4u * windows, bytes = payload + (bits + 7u) / 8u;
  if (t == 0u) sizes[block] = bytes;
  const u32 writes = !part && bytes <= 8u * of.count;
  GLOBAL u8 *out = blocks + (u64)block * BLOCK_BYTES;
  if (writes && t == 0u) {
    out[0] = (u8)2;
    encode_put(out, 1u, of.values[0], 8u);
    encode_put(out, 9u, changes, 2u);
    encode_put(out, 11u, windows, 2u);
  }
  for (u32 k = 0; k < (writes ? EACH / 8u : 0u); k++) {
    const u32 byte = t * (EACH / 8u) + k;
    if (byte < marked) out[13u + byte] = (u8)(marks >> (8u * k));
  }
  if (writes && is) {
    const u32 shift = encode_trailing(ends[t]);
    encode_put(out, table + 4u * t, shift | (encode_width(ends[t]) - shift) << 8 | runs[t] << 16, 4u);
  }
  for (u32 w = t; w * 64u < (writes ? bits : 0u); w += BLOCK) {
    u32 low = 0, high = windows;                     // the last window that begins at the word or before
    while (high - low > 1u) {
      const u32 middle = (low + high) / 2u;
      if (starts[middle] <= w * 64u) low = middle; else high = middle;
    }
    u64 word = 0;
    u32 shift = encode_trailing(ends[low]), width = encode_width(ends[low]) - shift;
    u32 i = (w * 64u - starts[low]) / width, bit = starts[low] + i * width;
    while (bit < w * 64u + 64u && bit < bits) {
      if (i == runs[low]) {
        low++;
        i = 0;
        shift = encode_trailing(ends[low]);
        width = encode_width(ends[low]) - shift;
      }
      const u64 v = z[firsts[low] + i] >> shift;     // no bit of it is above the window
      word |= bit < w * 64u ? v >> (w * 64u - bit) : v << (bit - w * 64u);
      bit += width;
      i++;
    }
    const u32 left = (bits + 7u) / 8u - w * 8u;
    encode_put(out, payload + w * 8u, word, left < 8u ? left : 8u);
  }
}

// Blocks one behind the other, from where each begins: of `kinds` 0 raw, 1 constant, 2 as written, of which `sizes` are.
KERNEL encode_gather(u32 each, u64 length, GLOBAL const T *RESTRICT values, GLOBAL const u8 *RESTRICT blocks,
                     GLOBAL const u32 *RESTRICT kinds, GLOBAL const u32 *RESTRICT sizes, GLOBAL const u64 *RESTRICT begins,
                     GLOBAL u8 *RESTRICT out) {
  const encode_run run = encode_open(values, each, length, 0u, group_id());
  GLOBAL const u8 *from = blocks + (u64)group_id() * BLOCK_BYTES;
  GLOBAL const u8 *raw = (GLOBAL const u8 *)run.values;
  GLOBAL u8 *to = out + begins[group_id()];
  const u32 kind = kinds[group_id()], bytes = sizes[group_id()];
  if (kind < 2u && local_id() == 0u) to[0] = (u8)kind;
  for (u32 i = local_id(); i < (kind < 2u ? bytes - 1u : 0u); i += BLOCK) to[1u + i] = raw[i];
  for (u32 i = local_id(); i < (kind < 2u ? 0u : bytes); i += BLOCK) to[i] = from[i];
}
