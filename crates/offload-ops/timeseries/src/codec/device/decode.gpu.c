// Blocks of compressed series (docs/timeseries-format.md), a group for each, an entry for codings that are alike. All items
// follow what stands at the front of a block; numbers are unpacked side by side and summed by scans, PIECE at a time in shared
// memory. Every length is held against the end of the block before anything is read by it, and every read against the end
// of the file. What does not fit makes `bad` 1, and the values are then nobody's; the group goes on with counts of 0, so that
// its items stay together. Of each block `jobs` has where it begins in the file, its bytes, where its values go, and their
// number with 1 << 32 where they are of f64. A value is 8 bytes written and what it is packed in read: bound by
// memory, or by the scans where values are small.
#define PIECE 2048u
#define EACH (PIECE / BLOCK)
#define PAD(i) ((i) + (i) / EACH)                    // an item's run begins in another bank than its neighbour's
#define GROUP_OF 64u
#define AS_IT_IS 0u
#define ORDERED 1u
#define DECIMAL 2u

TABLE f64 DECODE_POWERS[19] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
                               1e17, 1e18};
TABLE f64 DECODE_INVERSES[19] = {1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13,
                                 1e-14, 1e-15, 1e-16, 1e-17, 1e-18};

// Where the group is in its block.
typedef struct { u64 at, end; u32 fault; } decode_cursor;

DEVICE u64 decode_mask(u32 width) { return width == 0u ? (u64)0 : ~(u64)0 >> (64u - width); }

// Eight bytes of the file, zeros beyond its end.
DEVICE u64 decode_whole(GLOBAL const u8 *file, u64 length, u64 word) {
  if (word * 8u + 8u <= length) return ((GLOBAL const u64 *)file)[word];
  u64 v = 0;
  for (u32 i = 0; i < 8u; i++) if (word * 8u + i < length) v |= (u64)file[word * 8u + i] << (8u * i);
  return v;
}

// `width` bits, up to 64, from a bit of the file on.
DEVICE u64 decode_bits(GLOBAL const u8 *file, u64 length, u64 bit, u32 width) {
  if (width == 0u) return 0;
  const u64 word = bit >> 6;
  const u32 low = (u32)(bit & 63u);
  u64 v = decode_whole(file, length, word) >> low;
  if (low + width > 64u) v |= decode_whole(file, length, word + 1u) << (64u - low);
  return v & decode_mask(width);
}

DEVICE u64 decode_number(GLOBAL const u8 *file, u64 length, u64 at, u32 bytes) {
  return decode_bits(file, length, at * 8u, bytes * 8u);
}

// The place of the next `bytes` bytes, if they are there.
DEVICE u64 decode_take(decode_cursor *c, u64 bytes) {
  const u64 at = c->at;
  if (c->end - at < bytes) c->fault = 1u; else c->at = at + bytes;
  return at;
}

DEVICE u64 decode_next(GLOBAL const u8 *file, u64 length, decode_cursor *c, u32 bytes) {
  const u64 at = decode_take(c, bytes);
  return c->fault ? (u64)0 : decode_number(file, length, at, bytes);
}

// The group's block.
DEVICE decode_cursor decode_open(GLOBAL const u64 *job, u64 length) {
  decode_cursor c;
  c.at = job[0];
  c.end = job[0] + job[1];
  c.fault = c.end > length || c.end < c.at;
  if (c.fault) c.end = c.at;
  return c;
}

// What an item says becomes known to all; every item must call it.
DEVICE u32 decode_agreed(u32 fault, LOCAL u32 *shared) {
  if (fault) shared_fetch_add_u32(shared, 1u);
  group_barrier();
  const u32 any = *shared;
  group_barrier();
  return any;
}

// Sums of 32 bits over the group, each with those before it; returns the item's without its own, and all in `all`.
DEVICE u32 decode_before(u32 own, LOCAL u32 *sums, u32 *all) {
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

// Sums, or XORs, of a piece with all before them; returns what the next piece goes on from. What is not a number of the
// piece is 0.
DEVICE u64 decode_scan(LOCAL u64 *piece, LOCAL u64 *ends, u32 is_xor, u64 carry) {
  const u32 t = local_id();
  u64 own = 0;
  group_barrier();
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = PAD(t * EACH + k);
    own = is_xor ? own ^ piece[i] : own + piece[i];
    piece[i] = own;
  }
  ends[t] = own;
  group_barrier();
  for (u32 s = 1u; s < BLOCK; s <<= 1) {
    const u64 other = t >= s ? ends[t - s] : (u64)0;
    group_barrier();
    ends[t] = is_xor ? ends[t] ^ other : ends[t] + other;
    group_barrier();
  }
  const u64 all = ends[BLOCK - 1u];
  u64 before = t > 0u ? ends[t - 1u] : (u64)0;
  before = is_xor ? before ^ carry : before + carry;
  for (u32 k = 0; k < EACH; k++) {
    const u32 i = PAD(t * EACH + k);
    piece[i] = is_xor ? piece[i] ^ before : piece[i] + before;
  }
  group_barrier();
  return is_xor ? carry ^ all : carry + all;
}

// An integer as the value that it stands for.
DEVICE u64 decode_value(u64 number, u32 what, u32 e, u32 f) {
  if (what == ORDERED) return number ^ ((u64)((i64)number >> 63) >> 1);
  if (what == DECIMAL) return AS_U64((f64)(i64)number * DECODE_POWERS[f] * DECODE_INVERSES[e]);
  return number;
}

// Places that rise, below `count`.
DEVICE u32 decode_are_no_places(GLOBAL const u8 *file, u64 length, u64 places, u32 exceptions, u32 count) {
  u32 wrong = 0;
  for (u32 e = local_id(); e < exceptions; e += BLOCK) {
    const u32 place = (u32)decode_number(file, length, places + 2u * (u64)e, 2u);
    if (place >= count) wrong = 1u;
    if (e > 0u && place <= (u32)decode_number(file, length, places + 2u * (u64)e - 2u, 2u)) wrong = 1u;
  }
  return wrong;
}

// The 32 marks of a word, of `rest` in all.
DEVICE u32 decode_marks(GLOBAL const u8 *file, u64 length, u64 marks, u32 rest, u32 word) {
  const u32 left = word * 32u < rest ? rest - word * 32u : 0u;
  return (u32)decode_bits(file, length, marks * 8u + (u64)word * 32u, left < 32u ? (left + 7u) / 8u * 8u : 32u);
}

// Raw, constant, and left and right parts.
KERNEL decode_plain(u64 length, GLOBAL const u8 *RESTRICT file, GLOBAL const u64 *RESTRICT jobs, GLOBAL u64 *RESTRICT values,
                    GLOBAL u32 *RESTRICT bad) {
  SHARED u32 shared;
  const u32 t = local_id();
  GLOBAL const u64 *job = jobs + (u64)group_id() * 4u;
  decode_cursor c = decode_open(job, length);
  GLOBAL u64 *out = values + job[2];
  const u32 count = (u32)job[3], real = (u32)(job[3] >> 32), coding = (u32)decode_next(file, length, &c, 1u);
  if (t == 0u) shared = 0u;
  u32 wrong = coding != 0u && coding != 1u && !(coding == 5u && real), exceptions = 0, right = 48u;
  u64 places = 0, lefts = 0, rights = 0;
  if (coding == 0u) {
    const u64 raw = decode_take(&c, 8u * (u64)count);
    if (!c.fault) for (u32 i = t; i < count; i += BLOCK) out[i] = decode_number(file, length, raw + 8u * (u64)i, 8u);
  } else if (coding == 1u) {
    const u64 word = decode_next(file, length, &c, 8u);
    for (u32 i = t; i < count; i += BLOCK) out[i] = word;
  } else if (!wrong) {
    right = (u32)decode_next(file, length, &c, 1u);
    const u32 words = (u32)decode_next(file, length, &c, 1u);
    if (right < 48u || right > 63u || words < 1u || words > 8u) c.fault = 1u;
    const u64 dictionary = decode_take(&c, 2u * words);
    exceptions = (u32)decode_next(file, length, &c, 2u);
    const u32 width = words > 4u ? 3u : words > 2u ? 2u : words - 1u;
    const u64 indices = decode_take(&c, c.fault ? (u64)0 : ((u64)count * width + 7u) / 8u) * 8u;
    rights = decode_take(&c, c.fault ? (u64)0 : ((u64)count * right + 7u) / 8u) * 8u;
    places = decode_take(&c, 2u * (u64)exceptions);
    lefts = decode_take(&c, 2u * (u64)exceptions);
    if (c.fault) exceptions = 0;
    else {
      const u64 most = decode_mask(64u - right);
      if (t < words && decode_number(file, length, dictionary + 2u * (u64)t, 2u) > most) wrong = 1u;
      for (u32 k = t; k < exceptions; k += BLOCK) {
        if (decode_number(file, length, lefts + 2u * (u64)k, 2u) > most) wrong = 1u;
      }
      if (decode_are_no_places(file, length, places, exceptions, count)) wrong = 1u;
      for (u32 i = t; i < count; i += BLOCK) {
        const u32 place = (u32)decode_bits(file, length, indices + (u64)i * width, width);
        if (place >= words) wrong = 1u;
        else {
          out[i] = decode_number(file, length, dictionary + 2u * (u64)place, 2u) << right |
                   decode_bits(file, length, rights + (u64)i * right, right);
        }
      }
    }
  }
  group_barrier();
  const u32 any = decode_agreed(wrong || c.fault || c.at != c.end, &shared);
  for (u32 k = t; k < (any ? 0u : exceptions); k += BLOCK) {
    const u32 place = (u32)decode_number(file, length, places + 2u * (u64)k, 2u);
    out[place] = decode_number(file, length, lefts + 2u * (u64)k, 2u) << right |
                 decode_bits(file, length, rights + (u64)place * right, right);
  }
  if (any && t == 0u) atomic_fetch_or_u32(bad, 1u);
}

// XORs with the value before.
KERNEL decode_gorilla(u64 length, GLOBAL const u8 *RESTRICT file, GLOBAL const u64 *RESTRICT jobs, GLOBAL u64 *RESTRICT values,
                      GLOBAL u32 *RESTRICT bad) {
  SHARED u64 piece[PIECE + BLOCK];
  SHARED u64 ends[BLOCK];
  SHARED u32 sums[BLOCK];
  SHARED u32 ranks[2u * BLOCK];
  SHARED u32 starts[BLOCK];
  SHARED u32 bits[BLOCK];
  SHARED u32 forms[BLOCK];
  SHARED u32 shared;
  const u32 t = local_id();
  GLOBAL const u64 *job = jobs + (u64)group_id() * 4u;
  decode_cursor c = decode_open(job, length);
  GLOBAL u64 *out = values + job[2];
  u32 rest = (u32)job[3] - 1u, wrong = decode_next(file, length, &c, 1u) != 2u;
  if (t == 0u) shared = 0u;
  const u64 first = decode_next(file, length, &c, 8u);
  u32 changes = (u32)decode_next(file, length, &c, 2u), windows = (u32)decode_next(file, length, &c, 2u);
  u32 some = changes > 0u && changes < rest;
  const u64 marks = decode_take(&c, some ? (rest + 7u) / 8u : 0u);
  const u64 table = decode_take(&c, 4u * (u64)windows);
  if (c.fault || changes > rest || wrong) {
    wrong = 1u;
    rest = changes = windows = some = 0u;
  }
  group_barrier();
  // Changes before each word of 32 marks; there are at most 256 such words, two for an item.
  const u32 words = some ? (rest + 31u) / 32u : 0u;
  u32 own = 0, first_word = 0, all;
  for (u32 k = 0; k < 2u; k++) {
    const u32 w = 2u * t + k;
    const u32 word = w < words ? decode_marks(file, length, marks, rest, w) : 0u;
    // A mark where no value is.
    if (w + 1u == words && rest % 32u != 0u && word >> (rest % 32u) != 0u) wrong = 1u;
    if (k == 1u) first_word = own;
    own += popcount_u32(word);
  }
  const u32 before = decode_before(own, sums, &all);
  ranks[2u * t] = before;
  ranks[2u * t + 1u] = before + first_word;
  if (some && all != changes) wrong = 1u;
  // Windows are looked at first, BLOCK at a time.
  u32 runs = 0, sum = 0;
  for (u32 w = 0; w < windows && runs <= changes; w += BLOCK) {
    const u32 is = w + t < windows;
    const u32 form = is ? (u32)decode_number(file, length, table + 4u * (u64)(w + t), 4u) : 0u;
    const u32 shift = form & 255u, width = form >> 8 & 255u, run = form >> 16;
    if (is && (width == 0u || shift + width > 64u || run == 0u)) wrong = 1u;
    u32 all_runs, all_bits;
    decode_before(run, sums, &all_runs);
    decode_before(run * width, sums, &all_bits);
    runs += all_runs;
    sum += all_bits;
  }
  if (runs != changes) wrong = 1u;
  u32 any = decode_agreed(wrong, &shared);
  const u64 payload = decode_take(&c, any ? 0u : (sum + 7u) / 8u) * 8u;
  any = any || c.fault || c.at != c.end;
  if (any) rest = changes = windows = some = 0u;
  if (t == 0u) {
    if (any) atomic_fetch_or_u32(bad, 1u); else out[0] = first;
  }
  u64 carry = first;
  u32 batch = 0, batch_runs = 0, batch_bits = 0;     // the first window of those at hand, and what is before it
  for (u32 from = 0; from < rest; from += PIECE) {
    const u32 to = rest - from < PIECE ? rest : from + PIECE;
    for (u32 i = t; i < PIECE; i += BLOCK) piece[PAD(i)] = 0;
    // Changes up to the piece's end.
    u32 last = changes > 0u ? to : 0u;
    if (some) {
      const u32 w = to / 32u;
      last = to == rest ? changes : ranks[w];        // a piece that is not the last ends with a word
    }
    u32 more = batch < windows;
    while (more) {
      const u32 is = batch + t < windows;
      const u32 form = is ? (u32)decode_number(file, length, table + 4u * (u64)(batch + t), 4u) : 0u;
      u32 all_runs, all_bits;
      const u32 run = form >> 16;
      starts[t] = batch_runs + decode_before(run, sums, &all_runs);
      bits[t] = batch_bits + decode_before(run * (form >> 8 & 255u), sums, &all_bits);
      forms[t] = form;
      group_barrier();
      const u32 has = windows - batch < BLOCK ? windows - batch : BLOCK, end = batch_runs + all_runs;
      for (u32 i = from + t; i < to; i += BLOCK) {
        u32 rank = i, is_change = 1u;
        if (some) {
          const u32 word = decode_marks(file, length, marks, rest, i / 32u);
          is_change = word >> (i % 32u) & 1u;
          rank = ranks[i / 32u] + popcount_u32(word & ((1u << (i % 32u)) - 1u));
        }
        if (is_change && rank >= batch_runs && rank < end) {
          u32 low = 0, high = has;                   // the last window that starts at the rank or before
          while (high - low > 1u) {
            const u32 middle = (low + high) / 2u;
            if (starts[middle] <= rank) low = middle; else high = middle;
          }
          const u32 of = forms[low], size = of >> 8 & 255u;
          const u64 bit = payload + bits[low] + (u64)(rank - starts[low]) * size;
          piece[PAD(i - from)] = decode_bits(file, length, bit, size) << (of & 255u);
        }
      }
      group_barrier();
      if (end >= last) {
        more = 0u;                                   // the next piece may begin in these windows
      } else {
        batch += BLOCK;
        batch_runs = end;
        batch_bits += all_bits;
        more = batch < windows;
      }
    }
    carry = decode_scan(piece, ends, 1u, carry);
    for (u32 i = from + t; i < to; i += BLOCK) out[1u + i] = piece[PAD(i - from)];
    group_barrier();
  }
}

// Integers by differences, and decimals as such.
KERNEL decode_integers(u64 length, GLOBAL const u8 *RESTRICT file, GLOBAL const u64 *RESTRICT jobs, GLOBAL u64 *RESTRICT values,
                       GLOBAL u32 *RESTRICT bad) {
  SHARED u64 piece[PIECE + BLOCK];
  SHARED u64 ends[BLOCK];
  SHARED u32 sums[BLOCK];
  SHARED u32 starts[BLOCK];
  SHARED u32 sizes[BLOCK];
  SHARED u32 shared;
  const u32 t = local_id();
  GLOBAL const u64 *job = jobs + (u64)group_id() * 4u;
  decode_cursor c = decode_open(job, length);
  GLOBAL u64 *out = values + job[2];
  u32 count = (u32)job[3];
  const u32 real = (u32)(job[3] >> 32), coding = (u32)decode_next(file, length, &c, 1u);
  if (t == 0u) shared = 0u;
  const u32 decimal = coding == 4u, what = decimal ? DECIMAL : real ? ORDERED : AS_IT_IS;
  u32 wrong = coding != 3u && !(decimal && real);
  const u32 e = (u32)decode_next(file, length, &c, decimal ? 1u : 0u);
  const u32 f = (u32)decode_next(file, length, &c, decimal ? 1u : 0u);
  u32 outside = (u32)decode_next(file, length, &c, decimal ? 2u : 0u);
  const u32 form = (u32)decode_next(file, length, &c, 1u), uniform = form & 4u;
  u32 order = form & 3u;
  if (e > 18u || f > e || order > 2u || form > 7u || order > count) wrong = 1u;
  const u64 first = decode_next(file, length, &c, order > 0u ? 8u : 0u);
  const u64 second = decode_next(file, length, &c, order > 1u ? 8u : 0u);
  const u64 base = decode_next(file, length, &c, 8u);
  u32 exceptions = (u32)decode_next(file, length, &c, 2u);
  const u32 groups = order <= count ? (count - order + GROUP_OF - 1u) / GROUP_OF : 0u;
  const u64 widths = decode_take(&c, uniform ? 1u : groups);
  if (c.fault) wrong = 1u;
  if (wrong) count = order = exceptions = outside = 0u;
  const u32 rest = count - order;
  // An item for each group of numbers: there are at most 128.
  const u32 has = t * GROUP_OF >= rest ? 0u : rest - t * GROUP_OF < GROUP_OF ? rest - t * GROUP_OF : GROUP_OF;
  const u32 width = has > 0u ? (u32)decode_number(file, length, widths + (uniform ? 0u : t), 1u) : 0u;
  if (width > 64u) wrong = 1u;
  group_barrier();
  u32 all;
  starts[t] = decode_before((has * width + 7u) / 8u, sums, &all);
  sizes[t] = width;
  const u64 packed = decode_take(&c, all), places = decode_take(&c, 2u * (u64)exceptions);
  const u64 numbers = decode_take(&c, 8u * (u64)exceptions);
  const u64 outsiders = decode_take(&c, 2u * (u64)outside), words = decode_take(&c, 8u * (u64)outside);
  if (!c.fault) {
    if (decode_are_no_places(file, length, places, exceptions, rest)) wrong = 1u;
    if (decode_are_no_places(file, length, outsiders, outside, count)) wrong = 1u;
  }
  const u32 any = decode_agreed(wrong || c.fault || c.at != c.end, &shared);
  if (any && t == 0u) atomic_fetch_or_u32(bad, 1u);
  if (t < (any ? 0u : order)) out[t] = decode_value(t == 0u ? first : second, what, e, f);
  u64 step = second - first, x = order == 2u ? second : first;
  for (u32 from = 0; from < (any ? 0u : rest); from += PIECE) {
    const u32 to = rest - from < PIECE ? rest : from + PIECE;
    for (u32 i = t; i < PIECE; i += BLOCK) {
      const u32 n = from + i, g = n / GROUP_OF;
      u64 z = 0;
      if (n < to) z = decode_bits(file, length, (packed + starts[g]) * 8u + (u64)(n % GROUP_OF) * sizes[g], sizes[g]);
      piece[PAD(i)] = z;
    }
    group_barrier();
    for (u32 k = t; k < exceptions; k += BLOCK) {
      const u32 place = (u32)decode_number(file, length, places + 2u * (u64)k, 2u);
      if (place >= from && place < to) piece[PAD(place - from)] = decode_number(file, length, numbers + 8u * (u64)k, 8u);
    }
    group_barrier();
    for (u32 i = t; i < to - from; i += BLOCK) {
      const u64 z = piece[PAD(i)];
      piece[PAD(i)] = (z >> 1 ^ ((u64)0 - (z & 1u))) + base;
    }
    if (order == 2u) {
      step = decode_scan(piece, ends, 0u, step);
      // What is behind the last step is no step.
      for (u32 i = to - from + t; i < PIECE; i += BLOCK) piece[PAD(i)] = 0;
    }
    if (order > 0u) x = decode_scan(piece, ends, 0u, x);
    group_barrier();
    for (u32 i = from + t; i < to; i += BLOCK) out[order + i] = decode_value(piece[PAD(i - from)], what, e, f);
    group_barrier();
  }
  group_barrier();
  for (u32 k = t; k < (any ? 0u : outside); k += BLOCK) {
    const u32 place = (u32)decode_number(file, length, outsiders + 2u * (u64)k, 2u);
    out[place] = decode_number(file, length, words + 8u * (u64)k, 8u);
  }
}
