// The nodes that were reached, by level and then by id: each group counts the levels of its part of the nodes, all counts
// become places, level by level and group by group, and each group puts its nodes there, BLOCK of them at a time. There are
// at most BLOCK levels.

// `counts` of each level, one of each group beside the others.
KERNEL graph_order_count(u64 n, u32 depth, GLOBAL const u32 *RESTRICT levels, GLOBAL u32 *RESTRICT counts) {
  SHARED u32 bins[BLOCK];
  const u32 t = local_id();
  const u64 part = PART(n), from = group_id() * part, to = from + part < n ? from + part : n;
  bins[t] = 0u;
  group_barrier();
  for (u64 i = from + t; i < to; i += BLOCK) {
    const u32 level = levels[i];
    if (level != 0u) shared_fetch_add_u32(bins + (level - 1u), 1u);
  }
  group_barrier();
  if (t < depth) counts[t * group_count() + group_id()] = bins[t];
}

// Started with as many groups as `graph_order_count` was.
KERNEL graph_order_place(u64 n, u32 depth, GLOBAL const u32 *RESTRICT levels, GLOBAL const u32 *RESTRICT places,
                         GLOBAL u32 *RESTRICT order) {
  SHARED u32 bins[BLOCK];
  SHARED u32 tile[BLOCK];
  const u32 t = local_id();
  const u64 part = PART(n), from = group_id() * part, to = from + part < n ? from + part : n;
  bins[t] = t < depth ? places[t * group_count() + group_id()] : 0u;
  for (u64 first = from; first < to; first += BLOCK) {
    const u32 level = first + t < to ? levels[first + t] : 0u;
    tile[t] = level;
    group_barrier();
    if (level != 0u) {
      u32 before = 0u;
      for (u32 j = 0u; j < t; j++) before += tile[j] == level;
      order[bins[level - 1u] + before] = (u32)(first + t);
    }
    group_barrier();
    if (t < depth) {
      u32 more = 0u;
      for (u32 j = 0u; j < BLOCK; j++) more += tile[j] == t + 1u;
      bins[t] += more;
    }
    group_barrier();
  }
}
