// Sums of all counts before each, by one group: an item has a run of counts, which it reads twice.
KERNEL series_scan(u32 count, GLOBAL u32 *RESTRICT counts) {
  SHARED u32 sums[BLOCK];
  const u32 t = local_id(), each = (count + BLOCK - 1u) / BLOCK;
  const u32 from = t * each < count ? t * each : count;
  const u32 to = count - from < each ? count : from + each;
  u32 own = 0;
  for (u32 i = from; i < to; i++) own += counts[i];
  sums[t] = own;
  group_barrier();
  for (u32 s = 1u; s < BLOCK; s <<= 1) {
    const u32 before = t >= s ? sums[t - s] : 0u;
    group_barrier();
    sums[t] += before;
    group_barrier();
  }
  u32 sum = sums[t] - own;
  for (u32 i = from; i < to; i++) {
    const u32 c = counts[i];
    counts[i] = sum;
    sum += c;
  }
  if (t == BLOCK - 1u) counts[count] = sums[t];
}
