// What searches over a graph share: numbers summed over a group, and finds on their way to a queue.
//
// A queue is a list in global memory and a count beside it. The items of a group put finds into a stash in shared memory
// first, and the group takes room in the queue for all of them by one addition. The order of a queue differs from run to
// run; what is made of it must not depend on that.

// Finds that an item may make between two looks at the stash.
#define EACH 4u
#define STASH (2u * BLOCK * EACH)

// Of a list of n, whole tiles of BLOCK for each group.
#define PART(n) (((n) + (u64)group_count() * BLOCK - 1u) / ((u64)group_count() * BLOCK) * BLOCK)

// The sum of the numbers of the items before this one; `sums` (BLOCK words) then holds those through each item, the last
// of them the total, until the items have met again. Every item must call it. BLOCK is a power of two.
DEVICE u32 group_before(u32 v, LOCAL u32 *sums) {
  const u32 t = local_id();
  sums[t] = v;
  group_barrier();
  for (u32 step = 1u; step < BLOCK; step <<= 1) {
    const u32 left = t >= step ? sums[t - step] : 0u;
    group_barrier();
    sums[t] += left;
    group_barrier();
  }
  return sums[t] - v;
}

// Of `size` parts laid one after another, a power of two, the one in which number `a` lies; `sums` are their ends.
DEVICE u32 part_of(LOCAL const u32 *sums, u32 size, u32 a) {
  u32 at = 0u;
  for (u32 step = size / 2u; step > 0u; step >>= 1) {
    if (sums[at + step - 1u] <= a) at += step;
  }
  return at;
}

// An empty stash; `finds` has two words. Every item must call it, as all of these.
DEVICE void stash_open(LOCAL u32 *finds) {
  if (local_id() == 0u) finds[0] = 0u;
  group_barrier();
}

// Puts a find into the stash; any item may, EACH times between two looks.
DEVICE void stash_put(LOCAL u32 *stash, LOCAL u32 *finds, u32 v) {
  stash[shared_fetch_add_u32(finds, 1u)] = v;
}

// Whether the stash must be taken out before items go on, the same for all of them.
DEVICE u32 stash_full(LOCAL const u32 *finds) {
  group_barrier();
  const u32 full = finds[0] > STASH - BLOCK * EACH;
  group_barrier();
  return full;
}

// Takes the finds of the stash to a queue. Items must have met since the last find.
DEVICE void stash_out(LOCAL const u32 *stash, LOCAL u32 *finds, GLOBAL u32 *queue, GLOBAL u32 *count) {
  const u32 total = finds[0];
  if (local_id() == 0u) finds[1] = total > 0u ? atomic_fetch_add_u32(count, total) : 0u;
  group_barrier();
  const u32 place = finds[1];
  for (u32 i = local_id(); i < total; i += BLOCK) queue[place + i] = stash[i];
  group_barrier();
  if (local_id() == 0u) finds[0] = 0u;
  group_barrier();
}
