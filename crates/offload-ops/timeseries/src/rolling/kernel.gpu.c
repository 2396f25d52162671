// Windows as pieces whose lengths are powers of eight, one for each digit of the window's width: of every value, the
// statistic of the last 1, 8, 64, … values is kept, and joined to the whole as often as the digit says. Nothing is ever
// taken out of a sum. One start for each digit; each reads up to 14 pieces, most of them from the cache, and moves some 64
// bytes of memory a value. Bound by memory. `have` values are in the whole when a digit starts.
#define PIECES 8u
#define NOT_A_NUMBER AS_F64((u64)0x7ff80000u << 32)

typedef struct { f64 high, low; } rolling_two;

DEVICE rolling_two rolling_pair(f64 high, f64 low) {
  rolling_two two;
  two.high = high;
  two.low = low;
  return two;
}

// Sums in two words, of which the second holds what the first cannot (Dekker 1971).
DEVICE rolling_two rolling_add(rolling_two a, rolling_two b) {
  const f64 sum = a.high + b.high;
  const f64 of_b = sum - a.high;
  const f64 lost = (a.high - (sum - of_b)) + (b.high - of_b);
  const f64 rest = lost + (a.low + b.low);
  const f64 high = sum + rest;
  return rolling_pair(high, rest - (high - sum));
}

// Mean and sum of squares around it of two runs joined (Chan, Golub and LeVeque 1983). A mean is a difference from the last
// value of its run, so that an offset takes no digits; `step` is the last value of the first run less that of the second.
// What varies never looks constant where `mark`, though its squares be too small to be numbers.
DEVICE rolling_two rolling_merge(rolling_two a, f64 count_a, f64 step, rolling_two b, f64 count_b, u32 mark) {
  const f64 mean = a.high + step;
  const f64 apart = b.high - mean;
  const f64 share = count_b / (count_a + count_b);
  f64 squares = a.low + b.low + apart * apart * count_a * share;
  if (mark && apart != 0.0 && squares == 0.0) squares = AS_F64((u64)1);
  return rolling_pair(mean + apart * share, squares);
}

DEVICE f64 rolling_extreme(f64 a, f64 b, u32 largest) { return largest ? (a > b ? a : b) : (a < b ? a : b); }

// How many of the `size` values that end at place `at` there are.
DEVICE f64 rolling_count(u32 size, u32 at) { return (f64)(at < size ? at + 1u : size); }

KERNEL rolling_extremes(u64 count, u32 n, u32 size, u32 digit, u32 have, u32 grow, u32 largest, GLOBAL const f64 *RESTRICT in,
                        GLOBAL f64 *RESTRICT out, GLOBAL f64 *RESTRICT whole) {
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % n);
    if (digit > 0u) {
      f64 w = have > 0u ? whole[i] : in[i];
      for (u32 d = 0u, back = have; d < digit && back <= at; d++, back += size) w = rolling_extreme(in[i - back], w, largest);
      whole[i] = w;
    }
    if (grow) {
      f64 p = in[i];
      for (u32 d = 1u, back = size; d < PIECES && back <= at; d++, back += size) p = rolling_extreme(in[i - back], p, largest);
      out[i] = p;
    }
  }
}

// The second words of single values are not read: they are 0.
#define TWO_AT(j) rolling_pair(in_high[j], size > 1u ? in_low[j] : 0.0)

KERNEL rolling_sums(u64 count, u32 n, u32 size, u32 digit, u32 have, u32 grow, GLOBAL const f64 *RESTRICT in_high,
                    GLOBAL const f64 *RESTRICT in_low, GLOBAL f64 *RESTRICT out_high, GLOBAL f64 *RESTRICT out_low,
                    GLOBAL f64 *RESTRICT whole_high, GLOBAL f64 *RESTRICT whole_low) {
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % n);
    if (digit > 0u) {
      rolling_two w = have > 0u ? rolling_pair(whole_high[i], whole_low[i]) : TWO_AT(i);
      for (u32 d = have > 0u ? 0u : 1u, back = have > 0u ? have : size; d < digit && back <= at; d++, back += size) {
        w = rolling_add(TWO_AT(i - back), w);
      }
      whole_high[i] = w.high;
      whole_low[i] = w.low;
    }
    if (grow) {
      rolling_two p = TWO_AT(i);
      for (u32 d = 1u, back = size; d < PIECES && back <= at; d++, back += size) p = rolling_add(TWO_AT(i - back), p);
      out_high[i] = p.high;
      out_low[i] = p.low;
    }
  }
}

// Single values are their own mean, and have no squares.
#define MOMENTS_AT(j) (size > 1u ? rolling_pair(in_mean[j], in_squares[j]) : rolling_pair(0.0, 0.0))

KERNEL rolling_moments(u64 count, u32 n, u32 size, u32 digit, u32 have, u32 grow, u32 mark, GLOBAL const f64 *RESTRICT x,
                       GLOBAL const f64 *RESTRICT in_mean, GLOBAL const f64 *RESTRICT in_squares,
                       GLOBAL f64 *RESTRICT out_mean, GLOBAL f64 *RESTRICT out_squares, GLOBAL f64 *RESTRICT whole_mean,
                       GLOBAL f64 *RESTRICT whole_squares) {
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % n);
    const f64 last = x[i];
    if (digit > 0u) {
      rolling_two w = have > 0u ? rolling_pair(whole_mean[i], whole_squares[i]) : MOMENTS_AT(i);
      for (u32 d = have > 0u ? 0u : 1u, back = have > 0u ? have : size; d < digit && back <= at; d++, back += size) {
        w = rolling_merge(MOMENTS_AT(i - back), rolling_count(size, at - back), x[i - back] - last, w, (f64)back, mark);
      }
      whole_mean[i] = w.high;
      whole_squares[i] = w.low;
    }
    if (grow) {
      rolling_two p = MOMENTS_AT(i);
      for (u32 d = 1u, back = size; d < PIECES && back <= at; d++, back += size) {
        p = rolling_merge(MOMENTS_AT(i - back), rolling_count(size, at - back), x[i - back] - last, p, (f64)back, mark);
      }
      out_mean[i] = p.high;
      out_squares[i] = p.low;
    }
  }
}

// What a window's two words say: 0 the first, 1 their sum, 2 the mean, 3 the variance, 4 its root. Windows of fewer than
// `fewest` values say nothing.
KERNEL rolling_finish(u64 count, u32 n, u32 width, u32 fewest, u32 ddof, u32 what, GLOBAL const f64 *RESTRICT high,
                      GLOBAL const f64 *RESTRICT low, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % n);
    const u32 has = at < width ? at + 1u : width;
    f64 v = NOT_A_NUMBER;
    if (has >= fewest) {
      if (what == 0u) v = high[i];
      else if (what == 1u) v = high[i] + low[i];
      else if (what == 2u) v = (high[i] + low[i]) / (f64)has;
      else if (has > ddof) {
        v = low[i] / (f64)(has - ddof);
        if (what == 4u) v = sqrt_f64(v);
      }
    }
    out[i] = v;
  }
}
