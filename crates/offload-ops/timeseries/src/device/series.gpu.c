// Values as f64 (16 bytes moved for each at most; bound by memory), and whether all of them are in range.
KERNEL series_take(u64 count, u64 n, u32 apart, f64 largest, GLOBAL const T *RESTRICT x, GLOBAL f64 *RESTRICT out,
                   GLOBAL u32 *RESTRICT bad) {
  FOR_EACH(i, count) {
    const f64 v = (f64)x[i];
    out[i] = apart ? v - (f64)x[i - i % n] : v;
    if (!(v >= -largest && v <= largest)) atomic_fetch_or_u32(bad, 1u);  // NaN is in no range
  }
}
