// Running lists of the least of what tiles of scores hold, one list for each query (second direction of the launch) and
// each part of the tile (first direction). After the first tile a list's limit lets little through, so that a tile costs
// reading it once: 4 bytes a score, coalesced, EACH independent loads an item under way, one barrier for all of them.
// Where there is no such reading ahead, one row an item at a time (see LIST_CUT_WHERE).
#if defined(__OPENCL_C_VERSION__)
  #define EACH 1u
#else
  #define EACH 16u
  #define SKIMS
#endif

#define BOUND(i) bound_of(cosine, own, weights[first + (i)], scores[i])

// Products of `width` rows from `first` on with each query, as f32.
KERNEL vector_select_bounds(u32 first, u32 width, u32 part, u32 keep, u32 cosine, GLOBAL const u64 *RESTRICT products,
                            GLOBAL const f32 *RESTRICT owns, GLOBAL const f32 *RESTRICT weights,
                            GLOBAL u64 *RESTRICT list_keys, GLOBAL u32 *RESTRICT list_rows, GLOBAL u32 *RESTRICT counts,
                            GLOBAL u64 *RESTRICT cuts) {
  SHARED u64 keys[LIST];
  SHARED u32 rows[LIST];
  SHARED u32 added[3];
  LIST_OPEN();
  GLOBAL const f32 *scores = (GLOBAL const f32 *)products + (u64)group_id_y() * width;
  const f32 own = owns[group_id_y()];
  const u32 from = group_id() * part < width ? group_id() * part : width;
  const u32 to = width - from < part ? width : from + part;
  f32 most = limit == NONE ? AS_F32(0x7f800000u) : key_bound(limit);
  for (u32 at = from; at < to; at += BLOCK * EACH) {
#if defined(SKIMS)
    f32 bound[EACH];
    u32 hits = 0;
    #pragma unroll
    for (u32 j = 0; j < EACH; j++) {
      const u32 i = at + j * BLOCK + local_id();
      bound[j] = i < to ? BOUND(i) : most;
    }
    #pragma unroll
    for (u32 j = 0; j < EACH; j++) hits += bound[j] < most;
    u32 place = list_places(added, turn, hits);
    const u32 total = added[turn];
    turn = NEXT(turn);
    if (total == 0) continue;
    if (count + total <= LIST) {
      if (hits > 0) {
        #pragma unroll
        for (u32 j = 0; j < EACH; j++) {
          if (bound[j] < most) {
            keys[count + place] = bound_key(bound[j]);
            rows[count + place] = first + at + j * BLOCK + local_id();
            place++;
          }
        }
      }
      count += total;
      continue;
    }
#endif
    for (u32 j = 0; j < EACH; j++) {                  // too many at once: one row an item at a time
      LIST_CUT_WHERE(count + BLOCK > LIST);
      most = limit == NONE ? most : key_bound(limit);
      const u32 i = at + j * BLOCK + local_id();
      const f32 b = i < to ? BOUND(i) : most;
      const u32 hit = b < most;
      const u32 there = list_places(added, turn, hit);
      if (hit) { keys[count + there] = bound_key(b); rows[count + there] = first + i; }
      count += added[turn];
      turn = NEXT(turn);
    }
  }
  LIST_CLOSE(0)
}

// Keys of `width` rows with each query: rows from `first` on, or those that `named` names for each of them where
// `is_named`. `limits` of lists that the keys come from bound what is left out of them. Sorted where `sorted`.
KERNEL vector_select_keys(u32 first, u32 width, u32 part, u32 keep, u32 is_named, u32 sorted, u32 limits,
                          GLOBAL const u64 *RESTRICT offered, GLOBAL const u32 *RESTRICT named,
                          GLOBAL const u64 *RESTRICT offered_cuts, GLOBAL u64 *RESTRICT list_keys,
                          GLOBAL u32 *RESTRICT list_rows, GLOBAL u32 *RESTRICT counts, GLOBAL u64 *RESTRICT cuts) {
  SHARED u64 keys[LIST];
  SHARED u32 rows[LIST];
  SHARED u32 added[3];
  LIST_OPEN();
  GLOBAL const u64 *from_keys = offered + (u64)group_id_y() * width;
  GLOBAL const u32 *from_rows = named + (is_named ? (u64)group_id_y() * width : (u64)0);
  const u32 from = group_id() * part < width ? group_id() * part : width;
  const u32 to = width - from < part ? width : from + part;
#if defined(SKIMS)
  if (count == 0 && limit == NONE && keep <= BLOCK) {
    // Each item's least of the first keys: `keep` keys at least are no greater than the one of that rank among these,
    // so that hardly any above it is listed only to be cut again.
    u64 least = NONE;
    #pragma unroll
    for (u32 j = 0; j < EACH; j++) {
      const u32 i = from + j * BLOCK + local_id();
      const u64 key = i < to ? from_keys[i] : NONE;
      if (key < least) least = key;
    }
    keys[local_id()] = least;
    rows[local_id()] = 0;
    group_barrier();
    list_sort(keys, rows, BLOCK);
    limit = keys[keep - 1u];
    limit_row = ~0u;
    group_barrier();
  }
#endif
  for (u32 at = from; at < to; at += BLOCK * EACH) {
#if defined(SKIMS)
    u32 hits = 0;
    #pragma unroll
    for (u32 j = 0; j < EACH; j++) {
      const u32 i = at + j * BLOCK + local_id();
      const u64 key = i < to ? from_keys[i] : NONE;
      hits += key < limit || (key == limit && key != NONE);
    }
    // At least one item has a key that may be in: those of a tie are told apart below.
    list_places(added, turn, hits);
    const u32 total = added[turn];
    turn = NEXT(turn);
    if (total == 0) continue;
#endif
    for (u32 j = 0; j < EACH; j++) {
      LIST_CUT_WHERE(count + BLOCK > LIST);
      const u32 i = at + j * BLOCK + local_id();
      const u64 key = i < to ? from_keys[i] : NONE;
      u32 hit = key < limit || (key == limit && key != NONE);
      u32 row = 0;
      if (hit) {
        row = is_named ? from_rows[i] : first + i;
        hit = key < limit || row < limit_row;
      }
      const u32 there = list_places(added, turn, hit);
      if (hit) { keys[count + there] = key; rows[count + there] = row; }
      count += added[turn];
      turn = NEXT(turn);
    }
  }
  // Cut first: a list that ran over left out rows below what is kept here, and its limit has to stand.
  group_barrier();
  LIST_CUT_WHERE(count > keep);
  for (u32 i = 0; i < limits; i++) {
    const u64 other = ~offered_cuts[(u64)group_id_y() * limits + i];
    // Only the limit is lowered: what the list holds below it stays good, and what it holds above it does no harm.
    if (other < limit) { limit = other; limit_row = 0; }
  }
  LIST_CLOSE(sorted)
}
