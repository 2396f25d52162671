// Sums of all numbers before each, over a whole list: each group sums a part of it, one group sums the groups, and each
// group goes through its part again. No group waits for another within a launch.

KERNEL graph_scan_parts(u64 n, GLOBAL const u32 *RESTRICT values, GLOBAL u32 *RESTRICT totals) {
  SHARED u32 sums[BLOCK];
  const u64 part = PART(n), from = group_id() * part, to = from + part < n ? from + part : n;
  u32 own = 0u;
  for (u64 i = from + local_id(); i < to; i += BLOCK) own += values[i];
  group_before(own, sums);
  if (local_id() == 0u) totals[group_id()] = sums[BLOCK - 1u];
}

// `totals` of `groups` groups become the sums before each; the sum of all follows them.
KERNEL graph_scan_totals(u32 groups, GLOBAL u32 *RESTRICT totals) {
  SHARED u32 sums[BLOCK];
  u32 carry = 0u;
  for (u32 from = 0u; from < groups; from += BLOCK) {
    const u32 i = from + local_id();
    const u32 before = group_before(i < groups ? totals[i] : 0u, sums);
    if (i < groups) totals[i] = carry + before;
    carry += sums[BLOCK - 1u];
    group_barrier();
  }
  if (local_id() == 0u) totals[groups] = carry;
}

// Started with as many groups as `graph_scan_parts` was.
KERNEL graph_scan_places(u64 n, GLOBAL const u32 *RESTRICT totals, GLOBAL u32 *RESTRICT values) {
  SHARED u32 sums[BLOCK];
  const u64 part = PART(n), from = group_id() * part, to = from + part < n ? from + part : n;
  u32 carry = totals[group_id()];
  for (u64 tile = from; tile < to; tile += BLOCK) {
    const u64 i = tile + local_id();
    const u32 before = group_before(i < to ? values[i] : 0u, sums);
    if (i < to) values[i] = carry + before;
    carry += sums[BLOCK - 1u];
    group_barrier();
  }
}
