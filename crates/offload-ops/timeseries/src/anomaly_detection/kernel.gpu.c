// How far values are from the median of their series, in deviations estimated by the median absolute deviation. Of each
// series there are two values in the middle, as the mean of both would lose their last digits. Bound by memory.
#define OF_MEDIAN 1.482602218505602
#define ROUNDINGS (4.0 * AS_F64((u64)0x3cb00000u << 32))
#define SMALLEST AS_F64((u64)0x00100000u << 32)

DEVICE f64 anomaly_above(f64 v, GLOBAL const f64 *middle) { return ((v - middle[0]) + (v - middle[1])) / 2.0; }

KERNEL anomaly_apart(u64 count, u64 n, GLOBAL const f64 *RESTRICT middles, GLOBAL const f64 *RESTRICT x,
                     GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) out[i] = abs_f64(anomaly_above(x[i], middles + 2u * (i / n)));
}

// A deviation is no smaller than the roundings of numbers of the middle's size; no score is infinite.
KERNEL anomaly_scores(u64 count, u64 n, GLOBAL const f64 *RESTRICT middles, GLOBAL const f64 *RESTRICT deviations,
                      GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    const u64 s = 2u * (i / n);
    const f64 middle = abs_f64((middles[s] + middles[s + 1u]) / 2.0);
    f64 deviation = OF_MEDIAN * ((deviations[s] + deviations[s + 1u]) / 2.0);
    if (deviation < ROUNDINGS * middle) deviation = ROUNDINGS * middle;
    if (deviation < SMALLEST) deviation = SMALLEST;
    const f64 score = abs_f64(anomaly_above(x[i], middles + s)) / deviation;
    out[i] = score < 1e300 ? score : 1e300;
  }
}
