// The least of 64 bits that many items find at once. What was seen may be old; then the exchange fails and brings the new.
#if defined(RACE_CHECK)                               // a real atomic, so that only true races show
DEVICE u64 atomic_load_u64(volatile GLOBAL u64 *p) { return atomic_fetch_add_u64(p, 0); }
#else
DEVICE u64 atomic_load_u64(volatile GLOBAL u64 *p) { return *p; }
#endif

// Whether `v` is below what was there, which it then replaces. Most are not, and only read.
DEVICE u32 lowered_u64(volatile GLOBAL u64 *p, u64 v) {
  u64 seen = atomic_load_u64(p);
  while (v < seen) {
    const u64 was = atomic_cas_u64(p, seen, v);
    if (was == seen) return 1u;
    seen = was;
  }
  return 0u;
}

// Bits that are ordered as numbers are; both zeros are one.
DEVICE u64 ordered_f64(f64 x) {
  const u64 bits = AS_U64(x == 0.0 ? 0.0 : x);
  return bits >> 63 ? ~bits : bits | (u64)1 << 63;
}

DEVICE f64 number_f64(u64 order) {
  return AS_F64(order >> 63 ? order & ~((u64)1 << 63) : ~order);
}
#define NOTHING (~(u64)0)                             // above every number
