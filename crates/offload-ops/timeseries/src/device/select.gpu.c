// The two values in the middle of each series, by their bits, eight at a time from the highest: how many of the numbers
// that begin as the one that is looked for go on with each of 256 digits says its next digit. A number is looked at eight
// times. What is counted has no order, so neither has the work.
#define DIGITS 256u
#define STRETCH (DIGITS / 16u)

// Bits in the order of the values; zeros are one.
DEVICE u64 select_key(f64 x) {
  const u64 bits = AS_U64(x + 0.0);
  return (bits >> 63) != 0 ? ~bits : bits | (u64)1 << 63;
}

DEVICE f64 select_value(u64 key) { return AS_F64((key >> 63) != 0 ? key ^ (u64)1 << 63 : ~key); }

// Whether a number begins as the one that is looked for does above its next digit.
#define SELECT_BEGINS(key, prefix) (shift == 56u || (key) >> (shift + 8u) == (prefix) >> (shift + 8u))

// Counts of one digit of a number: `bins` has those that begin as the first of two numbers does, then those that begin as the second
// where that begins otherwise.
#define SELECT_COUNT(key)                                                                       \
  do {                                                                                          \
    const u32 digit = (u32)((key) >> shift) & (DIGITS - 1u);                                    \
    if (SELECT_BEGINS(key, one)) shared_fetch_add_u32(&bins[digit], 1u);                        \
    else if (SELECT_BEGINS(key, other)) shared_fetch_add_u32(&bins[DIGITS + digit], 1u);        \
  } while (0)

// The next digit of both numbers from those counts, with the ranks among the numbers that begin so. All items call it.
#define SELECT_STEP(one, other, t)                                                              \
  do {                                                                                          \
    if ((t) < 32u) {                                                                            \
      u32 sum = 0u;                                                                             \
      for (u32 b = 0u; b < STRETCH; b++) sum += bins[(t) * STRETCH + b];                        \
      stretches[t] = sum;                                                                       \
    }                                                                                           \
    group_barrier();                                                                            \
    if ((t) < 2u) {                                                                             \
      const u32 at = (t) == 1u && (one) != (other) ? 16u : 0u;                                  \
      u32 left = ranks[t], s = at;                                                              \
      while (left >= stretches[s]) left -= stretches[s++];                                      \
      u32 b = s * STRETCH;                                                                      \
      while (left >= bins[b]) left -= bins[b++];                                                \
      ranks[t] = left;                                                                          \
      prefixes[t] = ((t) == 0u ? (one) : (other)) | (u64)(b - at * STRETCH) << shift;           \
    }                                                                                           \
    group_barrier();                                                                            \
  } while (0)

// Of short series; a group has one at a time.
KERNEL select_whole(u32 count, u32 n, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT middles) {
  SHARED u32 bins[2u * DIGITS];
  SHARED u32 stretches[32];
  SHARED u64 prefixes[2];
  SHARED u32 ranks[2];
  const u32 t = local_id();
  for (u32 series = group_id(); series < count; series += group_count()) {
    GLOBAL const f64 *own = x + (u64)series * n;
    if (t < 2u) {
      prefixes[t] = 0;
      ranks[t] = t == 0u ? (n - 1u) / 2u : n / 2u;
    }
    for (u32 digits = 8u; digits > 0u; digits--) {
      const u32 shift = 8u * (digits - 1u);
      for (u32 b = t; b < 2u * DIGITS; b += BLOCK) bins[b] = 0u;
      group_barrier();
      const u64 one = prefixes[0], other = prefixes[1];
      for (u32 i = t; i < n; i += BLOCK) {
        const u64 key = select_key(own[i]);
        SELECT_COUNT(key);
      }
      group_barrier();
      SELECT_STEP(one, other, t);
    }
    if (t < 2u) middles[2u * (u64)series + t] = select_value(prefixes[t]);
  }
}

// Of long series, digit by digit: `parts` groups have each a part of a series.
KERNEL select_begin(u32 series, u32 n, GLOBAL u64 *RESTRICT found, GLOBAL u32 *RESTRICT places) {
  FOR_EACH(i, (u64)series * 2u) {
    found[i] = 0;
    places[i] = i % 2u == 0u ? (n - 1u) / 2u : n / 2u;
  }
}

KERNEL select_count(u32 n, u32 parts, u32 part_n, u32 shift, GLOBAL const f64 *RESTRICT x,
                    GLOBAL const u64 *RESTRICT found, GLOBAL u32 *RESTRICT counts) {
  SHARED u32 bins[2u * DIGITS];
  const u32 t = local_id(), series = group_id() / parts;
  const u64 from = (u64)(group_id() % parts) * part_n, to = from + part_n < n ? from + part_n : n;
  const u64 one = found[2u * series], other = found[2u * series + 1u];
  for (u32 b = t; b < 2u * DIGITS; b += BLOCK) bins[b] = 0u;
  group_barrier();
  for (u64 i = from + t; i < to; i += BLOCK) {
    const u64 key = select_key(x[(u64)series * n + i]);
    SELECT_COUNT(key);
  }
  group_barrier();
  for (u32 b = t; b < 2u * DIGITS; b += BLOCK)
    if (bins[b] > 0u) atomic_fetch_add_u32(counts + (u64)series * 2u * DIGITS + b, bins[b]);
}

// The next digit of a series' two numbers; its counts are 0 again. A group has a series.
KERNEL select_narrow(u32 shift, GLOBAL u32 *RESTRICT counts, GLOBAL u64 *RESTRICT found, GLOBAL u32 *RESTRICT places,
                     GLOBAL f64 *RESTRICT middles) {
  SHARED u32 bins[2u * DIGITS];
  SHARED u32 stretches[32];
  SHARED u64 prefixes[2];
  SHARED u32 ranks[2];
  const u32 t = local_id(), series = group_id();
  const u64 one = found[2u * series], other = found[2u * series + 1u];
  if (t < 2u) ranks[t] = places[2u * series + t];
  for (u32 b = t; b < 2u * DIGITS; b += BLOCK) {
    bins[b] = counts[(u64)series * 2u * DIGITS + b];
    counts[(u64)series * 2u * DIGITS + b] = 0u;
  }
  group_barrier();
  SELECT_STEP(one, other, t);
  if (t < 2u) {
    found[2u * series + t] = prefixes[t];
    places[2u * series + t] = ranks[t];
    if (shift == 0u) middles[2u * series + t] = select_value(prefixes[t]);
  }
}
