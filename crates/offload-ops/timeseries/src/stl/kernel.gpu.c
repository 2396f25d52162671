// Series as season, trend and remainder by local regressions, many at once and with the arithmetic of the CPU. A place is fitted
// by one item, from a span of values close to each other; where fits are made at every tenth of a span, each value is in ten of
// them. Averages read a season for each value. Bound by arithmetic and the cache.

typedef struct { f64 value; u32 known; } stl_fitted;

// Values to be fitted: every `step`-th of a series, less those of another where `minus`, with weights where `weighted`.
typedef struct {
  GLOBAL const f64 *y;
  GLOBAL const f64 *less;
  GLOBAL const f64 *weights;
  u32 minus, weighted, step;
} stl_values;

DEVICE f64 stl_value(stl_values v, u32 j) {
  const u64 at = (u64)j * v.step;
  return v.minus ? v.y[at] - v.less[at] : v.y[at];
}

// The fit at `place`, which may lie one beyond the `n` values, to those at `from` up to `to`; unknown when none of them has weight.
DEVICE stl_fitted stl_at(stl_values v, u32 n, u32 span, i32 place, u32 from, u32 to) {
  const i32 before = place - (i32)from, after = (i32)to - 1 - place;
  // Spans beyond the series reach as far as if it went on.
  const f64 reach = (f64)(before > after ? before : after) + (f64)(span > n ? (span - n) / 2u : 0u);
  f64 sum = 0.0, first = 0.0, second = 0.0, level = 0.0, product = 0.0;
  for (u32 j = from; j < to; j++) {
    const f64 apart = (f64)((i32)j - place), r = abs_f64(apart);
    if (r > 0.999 * reach) continue;
    f64 w = 1.0;
    if (r > 0.001 * reach) {
      f64 u = r / reach;
      u = 1.0 - u * u * u;
      w = u * u * u;
    }
    if (v.weighted) w *= v.weights[(u64)j * v.step];
    const f64 y = stl_value(v, j);
    sum += w;
    first += w * apart;
    second += w * apart * apart;
    level += w * y;
    product += w * apart * y;
  }
  stl_fitted fit;
  fit.value = 0.0;
  fit.known = sum > 0.0 ? 1u : 0u;
  if (!fit.known) return fit;
  const f64 mean = first / sum, height = level / sum;
  const f64 spread = second / sum - mean * mean;
  fit.value = height;
  if (reach > 0.0 && sqrt_f64(spread > 0.0 ? spread : 0.0) > 0.001 * (f64)(n - 1u)) {
    const f64 slope = (product / sum - mean * height) / spread;
    fit.value = height - slope * mean;
  }
  return fit;
}

// The fit at `i`, which sees as many values on both sides, and as many in all at the ends.
DEVICE f64 stl_smooth(stl_values v, u32 n, u32 span, u32 i) {
  const u32 seen = span < n ? span : n, shift = (seen + 1u) / 2u;
  u32 from = i + 1u > shift ? i + 1u - shift : 0u;
  if (from > n - seen) from = n - seen;
  const stl_fitted fit = stl_at(v, n, span, (i32)i, from, from + seen);
  return fit.known ? fit.value : stl_value(v, i);
}

// Fits are the same wherever zero is; near the values they keep their digits.
KERNEL stl_begin(u64 count, u64 n, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT y) {
  FOR_EACH(i, count) y[i] = x[i] - x[i - i % n];
}

// The values of each place of the period smoothed on their own, and one more at each end of them: of each series `n` and two
// periods.
KERNEL stl_seasons(u64 count, u32 n, u32 period, u32 span, u32 weighted, GLOBAL const f64 *RESTRICT y,
                   GLOBAL const f64 *RESTRICT trend, GLOBAL const f64 *RESTRICT weights, GLOBAL f64 *RESTRICT seasons) {
  const u32 stride = n + 2u * period;
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % stride), place = at % period, number = at / period;
    const u64 start = i / stride * n + place;
    const u32 k = (n - place + period - 1u) / period;
    stl_values v;
    v.y = y + start;
    v.less = trend + start;
    v.weights = weights + start;
    v.minus = 1u;
    v.weighted = weighted;
    v.step = period;
    const u32 seen = span < k ? span : k;
    stl_fitted fit;
    fit.value = 0.0;
    fit.known = 0u;
    if (number == 0u) fit = stl_at(v, k, span, -1, 0u, seen);
    else if (number > k) fit = stl_at(v, k, span, (i32)k, k - seen, k);
    const u32 nearest = number == 0u ? 0u : number > k ? k - 1u : number - 1u;
    seasons[i] = fit.known ? fit.value : stl_smooth(v, k, span, nearest);
  }
}

// The means of `width` values in a row, of which each series has `has` and gets `gets`. Each is summed from the end of its own
// block back, and on from the next.
KERNEL stl_average(u64 count, u32 has, u32 gets, u32 width, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const u32 at = (u32)(i % gets), within = at % width;
    GLOBAL const f64 *here = x + i / gets * has + (at - within);
    f64 end = 0.0, head = 0.0;
    for (u32 k = width; k > within; k--) end += here[k - 1u];
    for (u32 k = width; k < width + within; k++) head += here[k];
    out[i] = (end + head) / (f64)width;
  }
}

// Fits at every `jump`-th value of each series, and at its last.
KERNEL stl_fit(u64 count, u32 n, u32 span, u32 jump, u32 fits, u32 weighted, GLOBAL const f64 *RESTRICT y,
               GLOBAL const f64 *RESTRICT weights, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const u32 fit = (u32)(i % fits), at = fit * jump < n - 1u ? fit * jump : n - 1u;
    stl_values v;
    v.y = y + i / fits * n;
    v.less = v.y;
    v.weights = weights + i / fits * n;
    v.minus = 0u;
    v.weighted = weighted;
    v.step = 1u;
    out[i] = stl_smooth(v, n, span, at);
  }
}

// What lines between fits are at a place.
DEVICE f64 stl_line(GLOBAL const f64 *fits, u32 n, u32 jump, u32 at) {
  const u32 fit = at / jump, from = fit * jump;
  if (from == at) return fits[fit];
  const u32 next = n - 1u - from < jump ? n - 1u : from + jump;
  if (next == at) return fits[fit + 1u];
  const f64 left = fits[fit], slope = (fits[fit + 1u] - left) / (f64)(next - from);
  return left + slope * (f64)(at - from);
}

// The season is what was smoothed less what of it is trend; and the values without it.
KERNEL stl_season(u64 count, u32 n, u32 period, u32 jump, u32 fits, GLOBAL const f64 *RESTRICT lows,
                  GLOBAL const f64 *RESTRICT seasons, GLOBAL const f64 *RESTRICT y, GLOBAL f64 *RESTRICT season,
                  GLOBAL f64 *RESTRICT rest) {
  FOR_EACH(i, count) {
    const u64 series = i / n;
    const u32 at = (u32)(i % n);
    const f64 s = seasons[series * (n + 2u * period) + period + at] - stl_line(lows + series * fits, n, jump, at);
    season[i] = s;
    rest[i] = y[i] - s;
  }
}

KERNEL stl_trend(u64 count, u32 n, u32 jump, u32 fits, GLOBAL const f64 *RESTRICT in, GLOBAL f64 *RESTRICT trend) {
  FOR_EACH(i, count) trend[i] = stl_line(in + i / n * fits, n, jump, (u32)(i % n));
}

// What is left, or how much.
KERNEL stl_remainder(u64 count, u32 much, GLOBAL const f64 *RESTRICT y, GLOBAL const f64 *RESTRICT season,
                     GLOBAL const f64 *RESTRICT trend, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const f64 v = y[i] - season[i] - trend[i];
    out[i] = much ? abs_f64(v) : v;
  }
}

// Weights from distances: none beyond six times their median.
KERNEL stl_weights(u64 count, u64 n, GLOBAL const f64 *RESTRICT middles, GLOBAL f64 *RESTRICT weights) {
  FOR_EACH(i, count) {
    const u64 s = i / n;
    const f64 far = 6.0 * ((middles[2u * s] + middles[2u * s + 1u]) / 2.0), r = weights[i];
    const f64 u = r / far;
    f64 w = 0.0;
    if (r <= 0.001 * far) w = 1.0;
    else if (r <= 0.999 * far) w = (1.0 - u * u) * (1.0 - u * u);
    weights[i] = w;
  }
}
