// A list of the least keys and their rows, made by a group in shared memory: at least the least `keep` of what it was
// offered, with room for LIST, so that it is sorted rarely. Ties go to the lower row. LIST is a power of two and at
// least keep + BLOCK.
#define NONE (~(u64)0)

DEVICE u32 is_after(u64 a, u32 a_row, u64 b, u32 b_row) { return a > b || (a == b && a_row > b_row); }

// Sorts the first `count` (bitonic network over the next power of two, padded with none). One loop with one barrier:
// compilers for CPUs copy what stands around each.
DEVICE void list_sort(LOCAL u64 *keys, LOCAL u32 *rows, u32 count) {
  u32 size = 2;
  while (size < count) size <<= 1;
  if (count < 2) size = 0;
  for (u32 i = count + local_id(); i < size; i += BLOCK) { keys[i] = NONE; rows[i] = ~0u; }
  group_barrier();
  u32 gap = 1;
  for (u32 run = 2; run <= size;) {
    for (u32 p = local_id(); p < size / 2; p += BLOCK) {
      const u32 a = 2 * p - (p & (gap - 1));
      const u32 b = a + gap;
      const u64 ka = keys[a], kb = keys[b];
      const u32 ra = rows[a], rb = rows[b];
      if (is_after(ka, ra, kb, rb) == ((a & run) == 0)) {
        keys[a] = kb; rows[a] = rb;
        keys[b] = ka; rows[b] = ra;
      }
    }
    group_barrier();
    gap >>= 1;
    if (gap == 0) { gap = run; run <<= 1; }
  }
}

// Takes places for `hits` of each item; gives the item's first, counted from the list's end. `added[turn]` then holds
// how many all took. Three counters in turn, so that one barrier is enough: the next one is cleared while nobody reads
// or adds to it.
DEVICE u32 list_places(LOCAL u32 *added, u32 turn, u32 hits) {
  u32 at = 0;
  if (hits > 0) at = shared_fetch_add_u32(&added[turn], hits);
  if (local_id() == 0) added[turn == 2u ? 0u : turn + 1u] = 0;
  group_barrier();
  return at;
}
#define NEXT(turn) ((turn) == 2u ? 0u : (turn) + 1u)

// Where `must`, sorts the list and keeps the least `keep`; what is dropped, and what is not taken in from now on, is at or
// above the limit. `must`, `limit`, `limit_row`, `count` are the same in every item. OpenCL's compilers for CPUs double
// all that follows a barrier under a condition, and take minutes over a few: there nothing is sorted instead.
#if defined(__OPENCL_C_VERSION__)
  #define LIST_SORT_WHERE(must) list_sort(keys, rows, (must) ? count : 0)
#else
  #define LIST_SORT_WHERE(must) do { if (must) list_sort(keys, rows, count); } while (0)
#endif
#define LIST_CUT_WHERE(must)                                                                                    \
  do {                                                                                                          \
    const u32 is_cut = (must);                                                                                  \
    LIST_SORT_WHERE(is_cut);                                                                                    \
    if (is_cut && count > keep) { count = keep; limit = keys[keep - 1u]; limit_row = rows[keep - 1u]; }         \
  } while (0)

// Begins with the list that was left in memory. `cut` is the complement of the limit, so that cleared memory is an empty
// list without one.
#define LIST_OPEN()                                                                                   \
  const u32 list = group_id_y() * group_count() + group_id();                                         \
  u32 count = counts[list];                                                                           \
  u64 limit = ~cuts[list];                                                                            \
  u32 limit_row = 0;                                                                                  \
  u32 turn = 0;                                                                                       \
  for (u32 i = local_id(); i < count; i += BLOCK) {                                                   \
    keys[i] = list_keys[(u64)list * keep + i];                                                        \
    rows[i] = list_rows[(u64)list * keep + i];                                                        \
  }                                                                                                   \
  if (local_id() == 0) added[0] = 0;                                                                  \
  group_barrier()

// Leaves it there, the least first where `sorted`, and none in the places that are left.
#define LIST_CLOSE(sorted)                                                                            \
  group_barrier();                                                                                    \
  LIST_CUT_WHERE(count > keep || (sorted));                                                           \
  for (u32 i = local_id(); i < keep; i += BLOCK) {                                                    \
    list_keys[(u64)list * keep + i] = i < count ? keys[i] : NONE;                                     \
    list_rows[(u64)list * keep + i] = i < count ? rows[i] : ~0u;                                      \
  }                                                                                                   \
  if (local_id() == 0) { counts[list] = count; cuts[list] = ~limit; }
