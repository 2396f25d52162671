// The arcs of many rows, spread evenly over the items of a group however long each row is: a group sums the lengths of BLOCK
// rows and goes through all their arcs together. A row of a million arcs is a group's work, and not an item's.
//
// A queue has a list for each parity of a turn, and a count for each of three turns: what a turn reads, what it finds, and what
// it clears for the one after.

#define QUEUED(count, turn) (count)[(turn) % 3u]
#define FOUND(count, turn) ((count) + ((turn) + 1u) % 3u)
#define CLEAR_NEXT(count, turn) if (global_id() == 0u) (count)[((turn) + 2u) % 3u] = 0u

#define ARCS_SHARED       \
  SHARED u32 sums[BLOCK]; \
  SHARED u32 nodes[BLOCK]; \
  SHARED u32 starts[BLOCK]; \
  SHARED u32 stash[STASH]; \
  SHARED u32 finds[2]

// Between these two stands what is done with arc `k`, which leaves node `u`: of `total` nodes the rows, where `node` is the one
// of number `i`. Finds may be put into the stash.
#define ARCS_BEGIN(total, node, offsets)                                     \
  stash_open(finds);                                                         \
  for (u64 base = (u64)group_id() * BLOCK; base < (total); base += global_size()) { \
    const u64 i = base + local_id();                                         \
    u32 degree = 0u;                                                         \
    if (i < (total)) {                                                       \
      const u32 of = node;                                                   \
      nodes[local_id()] = of;                                                \
      starts[local_id()] = (offsets)[of];                                    \
      degree = (offsets)[of + 1u] - (offsets)[of];                           \
    }                                                                        \
    group_before(degree, sums);                                              \
    const u32 arcs = sums[BLOCK - 1u];                                       \
    for (u32 from = 0u; from < arcs; from += BLOCK * EACH) {                 \
      for (u32 each = 0u; each < EACH; each++) {                             \
        const u32 a = from + each * BLOCK + local_id();                      \
        if (a < arcs) {                                                      \
          const u32 part = part_of(sums, BLOCK, a), u = nodes[part];         \
          const u32 k = starts[part] + (a - (part > 0u ? sums[part - 1u] : 0u));

#define ARCS_END(queue, count)                                               \
        }                                                                    \
      }                                                                      \
      if (stash_full(finds)) stash_out(stash, finds, queue, count);          \
    }                                                                        \
    group_barrier();                                                         \
  }                                                                          \
  stash_out(stash, finds, queue, count)
