// How far values are from the middle of their series. What is known of a series is in USUAL words: the middle as two
// numbers (the two values there, or a value near the mean and the rest), the deviation, between what the values lie that are
// held for usual, and how many do. Sums are made by lanes, as on the CPU: a group has RUN values of a series, an item each
// BLOCK-th of them. A round of clipping reads the values twice; bound by memory.
#define USUAL 8u
#define ONE 0u
#define OTHER 1u
#define DEVIATION 2u
#define LOW 3u
#define HIGH 4u
#define COUNT 5u
#define SIZE 6u
#define CLOSED 7u
// What is joined: sums of usual values, of their squares, or of the distances of all values where more than half are one, or
// the largest magnitude.
#define VALUES 0u
#define SQUARES 1u
#define SPREAD 2u
#define LARGEST 3u
#define INFINITE AS_F64((u64)0x7ff00000u << 32)

typedef struct { f64 sum, count; } global_sums;

// How far a value is above the middle, which is the mean of two where `paired`.
DEVICE f64 global_above(f64 v, f64 one, f64 other, u32 paired) {
  return paired ? scores_above(v, one, other) : v - one - other;
}

DEVICE f64 global_larger(f64 a, f64 b) { return a > b ? a : b; }

// Lanes joined; every item of a group calls it, and gets their sum, or the largest.
DEVICE f64 global_joined(f64 v, u32 what, LOCAL f64 *scratch) {
  const u32 t = local_id();
  scratch[t] = v;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s) scratch[t] = what == LARGEST ? global_larger(scratch[t], scratch[t + s]) : scratch[t] + scratch[t + s];
    group_barrier();
  }
  const f64 joined = scratch[0];
  group_barrier();
  return joined;
}

// What a lane has of the values at `from` up to `to`.
DEVICE global_sums global_lane(GLOBAL const f64 *x, u32 from, u32 to, u32 what, f64 one, f64 other, f64 low, f64 high,
                               u32 paired) {
  global_sums own;
  own.sum = 0.0;
  own.count = 0.0;
  for (u32 i = from + local_id(); i < to; i += BLOCK) {
    const f64 v = x[i];
    const u32 usual = low <= v && v <= high;
    if (what == LARGEST) {
      own.sum = global_larger(own.sum, abs_f64(v));
    } else if (what == SPREAD) {
      own.sum += abs_f64(global_above(v, one, other, paired));
    } else if (usual && what == VALUES) {
      own.sum += v - (one + other);
      own.count += 1.0;
    } else if (usual) {
      const f64 apart = v - one - other;
      own.sum += apart * apart;
    }
  }
  return own;
}

// From which distances on values are not usual any more; what has gone does not come back.
DEVICE f64 global_low(f64 low, f64 middle, f64 deviation) { return global_larger(middle - 3.0 * deviation, low); }
DEVICE f64 global_high(f64 high, f64 middle, f64 deviation) {
  const f64 v = middle + 3.0 * deviation;
  return v < high ? v : high;
}

// Before the first round all values are usual.
KERNEL global_begin(u32 series, u32 n, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT usual) {
  FOR_EACH(i, (u64)series * USUAL) {
    const u32 word = (u32)i % USUAL;
    usual[i] = word == ONE ? x[i / USUAL * n] : word == LOW ? -INFINITE : word == HIGH ? INFINITE : 0.0;
  }
}

// Medians as what is known.
KERNEL global_medians(u32 series, GLOBAL const f64 *RESTRICT middles, GLOBAL const f64 *RESTRICT deviations,
                      GLOBAL f64 *RESTRICT usual) {
  FOR_EACH(s, series) {
    GLOBAL f64 *own = usual + s * USUAL;
    own[ONE] = middles[2u * s];
    own[OTHER] = middles[2u * s + 1u];
    own[DEVIATION] = OF_MEDIAN * ((deviations[2u * s] + deviations[2u * s + 1u]) / 2.0);
  }
}

// Whether nothing is to be summed of a series any more.
DEVICE u32 global_done(GLOBAL const f64 *own, u32 what) {
  if (what == LARGEST) return 0u;
  return what == SPREAD ? own[DEVIATION] != 0.0 : own[CLOSED] != 0.0;
}

// The sums of each run of a series.
KERNEL global_runs(u32 n, u32 runs, u32 what, u32 paired, GLOBAL const f64 *RESTRICT x, GLOBAL const f64 *RESTRICT usual,
                   GLOBAL f64 *RESTRICT sums) {
  SHARED f64 scratch[BLOCK];
  const u32 series = group_id() / runs, from = group_id() % runs * RUN, to = n - from < RUN ? n : from + RUN;
  GLOBAL const f64 *own = usual + (u64)series * USUAL;
  const u32 done = global_done(own, what);
  const global_sums lane =
    global_lane(x + (u64)series * n, from, done ? from : to, what, own[ONE], own[OTHER], own[LOW], own[HIGH], paired);
  const f64 sum = global_joined(lane.sum, what, scratch), count = global_joined(lane.count, VALUES, scratch);
  if (local_id() == 0u && !done) {
    sums[2u * (u64)group_id()] = sum;
    sums[2u * (u64)group_id() + 1u] = count;
  }
}

// Runs joined to what they say of their series. A group has a series; `open` becomes 1 when one of them goes on.
KERNEL global_join(u32 n, u32 runs, u32 what, GLOBAL const f64 *RESTRICT sums, GLOBAL f64 *RESTRICT usual,
                   GLOBAL u32 *RESTRICT open) {
  SHARED f64 scratch[BLOCK];
  const u32 t = local_id(), series = group_id();
  GLOBAL f64 *own = usual + (u64)series * USUAL;
  const u32 done = global_done(own, what);
  f64 lane = 0.0, counts = 0.0;
  for (u32 r = t; r < runs && !done; r += BLOCK) {
    const f64 of_run = sums[2u * ((u64)series * runs + r)];
    lane = what == LARGEST ? global_larger(lane, of_run) : lane + of_run;
    counts += sums[2u * ((u64)series * runs + r) + 1u];
  }
  const f64 sum = global_joined(lane, what, scratch), count = global_joined(counts, VALUES, scratch);
  if (t == 0u && !done) {
    if (what == LARGEST) {
      own[SIZE] = sum;
    } else if (what == SPREAD) {
      own[DEVIATION] = OF_MEAN * (sum / (f64)n);
    } else if (what == SQUARES) {
      const f64 deviation = sqrt_f64(sum / own[COUNT]), middle = own[ONE] + own[OTHER];
      own[DEVIATION] = deviation;
      own[LOW] = global_low(own[LOW], middle, deviation);
      own[HIGH] = global_high(own[HIGH], middle, deviation);
    } else if (count == own[COUNT] || count == 0.0) {
      own[CLOSED] = 1.0;
    } else {
      own[COUNT] = count;
      own[ONE] += own[OTHER];
      own[OTHER] = sum / count;
      atomic_fetch_or_u32(open, 1u);
    }
  }
}

// All rounds of series of one run; a group has one at a time.
KERNEL global_clip(u32 series, u32 n, u32 rounds, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT usual) {
  SHARED f64 scratch[BLOCK];
  for (u32 s = group_id(); s < series; s += group_count()) {
    GLOBAL const f64 *own = x + (u64)s * n;
    f64 one = own[0], other = 0.0, deviation = 0.0, low = -INFINITE, high = INFINITE, count = 0.0;
    for (u32 round = 0u; round < rounds; round++) {
      const global_sums values = global_lane(own, 0u, n, VALUES, one, other, low, high, 0u);
      const f64 here = global_joined(values.count, VALUES, scratch), sum = global_joined(values.sum, VALUES, scratch);
      if (here == count || here == 0.0) break;       // of all items alike
      count = here;
      one += other;
      other = sum / here;
      const global_sums squares = global_lane(own, 0u, n, SQUARES, one, other, low, high, 0u);
      deviation = sqrt_f64(global_joined(squares.sum, SQUARES, scratch) / here);
      low = global_low(low, one + other, deviation);
      high = global_high(high, one + other, deviation);
    }
    if (local_id() == 0u) {
      usual[(u64)s * USUAL + ONE] = one;
      usual[(u64)s * USUAL + OTHER] = other;
      usual[(u64)s * USUAL + DEVIATION] = deviation;
    }
  }
}

// How far each value is from the mean of the two in the middle.
KERNEL global_apart(u64 count, u64 n, GLOBAL const f64 *RESTRICT middles, GLOBAL const f64 *RESTRICT x,
                    GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) out[i] = abs_f64(scores_above(x[i], middles[2u * (i / n)], middles[2u * (i / n) + 1u]));
}

KERNEL global_scores(u64 count, u64 n, u32 paired, GLOBAL const f64 *RESTRICT usual, GLOBAL const f64 *RESTRICT x,
                     GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    GLOBAL const f64 *own = usual + i / n * USUAL;
    const f64 one = own[ONE], other = own[OTHER];
    const f64 middle = abs_f64(paired ? (one + other) / 2.0 : one + other);
    out[i] = scores_far(global_above(x[i], one, other, paired), own[DEVIATION], global_larger(middle, own[SIZE]));
  }
}
