// The matrix profile, diagonal by diagonal, in the arithmetic of the CPU: a covariance follows from the one before it on its
// diagonal, and is summed anew where a segment of ANEW rows begins. So the diagonals of a segment are independent, and a
// group has BLOCK * SIDE of them, an item SIDE neighbours: SIDE pairs of windows a row, for which it reads one column.
//
// An item keeps the best of its row, and of the columns that it is at, in registers. Both also have to be held against what
// other items of the group found. Item t is one phase (PHASE rows) ahead of item t - 1: then no two of them are at one row or
// column in a phase, so the bests lie in shared memory without atomics, in rings as long as the group is wide, and item 0,
// which comes last, takes them out. About 30 operations a pair, of which 12 in f64; bound by those.
#define SIDE 4u
#define PHASE 8u
#define ROW_RING 512u                                // PHASE * BLOCK: what the group is at
#define COLUMN_RING 1024u                            // at least (PHASE + SIDE) * BLOCK + PHASE
#define NOBODY 0xffffffffu
#define LOWEST (-AS_F64((u64)0x7ff00000u << 32))
#define DIAGONALS (BLOCK * SIDE)
#define REACH (ANEW + DIAGONALS)                     // columns that a group is at in all
// And those that it is at where so many rows are left.
#define REACHED(left) (((left) < ANEW ? (left) + PHASE - 1u : ANEW) / PHASE * PHASE + DIAGONALS)

// Keeps the larger correlation, of equals the earlier window.
#define TAKE(best, at, correlation, window) \
  if ((correlation) > (best) || ((correlation) == (best) && (window) < (at))) { (best) = (correlation); (at) = (window); }

// Groups: segments of rows, by blocks of diagonals from `first` on. Of each block `row_best` has `windows` places, and
// `column_best` REACH for each segment.
KERNEL profile_diagonals(u32 windows, u32 m, u32 first, GLOBAL const f64 *RESTRICT x, GLOBAL const f64 *RESTRICT mean,
                         GLOBAL const f64 *RESTRICT scale, GLOBAL const f64 *RESTRICT half_step,
                         GLOBAL const f64 *RESTRICT both, GLOBAL f64 *RESTRICT row_best, GLOBAL u32 *RESTRICT row_at,
                         GLOBAL f64 *RESTRICT column_best, GLOBAL u32 *RESTRICT column_at) {
  SHARED f64 rows[ROW_RING];
  SHARED f64 columns[COLUMN_RING];
  SHARED u32 rows_at[ROW_RING];
  SHARED u32 columns_at[COLUMN_RING];
  const u32 t = local_id(), top = group_id() * ANEW, apart = first + group_id_y() * DIAGONALS;
  const u64 row_base = (u64)group_id_y() * windows;
  const u64 column_base = ((u64)group_id_y() * group_count() + group_id()) * REACH;
  if (top + apart >= windows) return;                // not a pair; nor is this looked at later
  const u32 left = windows - top - apart, height = left < ANEW ? left : ANEW;
  const u32 phases = (height + PHASE - 1u) / PHASE;
  for (u32 i = t; i < ROW_RING; i += BLOCK) { rows[i] = LOWEST; rows_at[i] = NOBODY; }
  for (u32 i = t; i < COLUMN_RING; i += BLOCK) { columns[i] = LOWEST; columns_at[i] = NOBODY; }
  const u32 own = apart + SIDE * t;                  // the first of the item's diagonals
  f64 covariance[SIDE], c_half[SIDE], c_both[SIDE], c_scale[SIDE], c_best[SIDE];
  u32 c_at[SIDE];
  {
    f64 c_mean[SIDE], value[SIDE];
    const f64 r_mean = mean[top];
    #pragma unroll
    for (u32 r = 0; r < SIDE; r++) {
      const u32 j = top + own + r, in = j < windows;
      c_half[r] = in ? half_step[j] : 0.0;
      c_both[r] = in ? both[j] : 0.0;
      c_scale[r] = in ? scale[j] : 0.0;
      c_mean[r] = in ? mean[j] : 0.0;
      c_best[r] = LOWEST;
      c_at[r] = NOBODY;
      covariance[r] = 0.0;
      value[r] = j < windows + m - 1u ? x[j] : 0.0;
    }
    for (u32 k = 0; k < m; k++) {
      const f64 a = x[top + k] - r_mean;
      const u32 next = top + own + SIDE + k;
      #pragma unroll
      for (u32 r = 0; r < SIDE; r++) covariance[r] += a * (value[r] - c_mean[r]);
      #pragma unroll
      for (u32 r = 0; r + 1u < SIDE; r++) value[r] = value[r + 1u];
      value[SIDE - 1u] = next < windows + m - 1u ? x[next] : 0.0;
    }
  }
  group_barrier();
  for (u32 phase = 0; phase < phases + BLOCK - 1u; phase++) {
    const u32 ahead = phase + t;                     // the item's phase is this less BLOCK - 1
    if (ahead >= BLOCK - 1u && ahead - (BLOCK - 1u) < phases) {
      const u32 begin = (ahead - (BLOCK - 1u)) * PHASE;
      #pragma unroll
      for (u32 k = 0; k < PHASE; k++) {
        const u32 row = begin + k, i = top + row;    // rows beyond the windows have no columns either
        const u32 in = i < windows;
        const f64 r_half = in ? half_step[i] : 0.0, r_both = in ? both[i] : 0.0, r_scale = in ? scale[i] : 0.0;
        f64 best = LOWEST;
        u32 at = NOBODY;
        #pragma unroll
        for (u32 r = 0; r < SIDE; r++) {
          const u32 c = (k + r) % SIDE, j = i + own + r;
          if (row > 0u) covariance[r] += r_half * c_both[c] + c_half[c] * r_both;
          const f64 product = covariance[r] * r_scale * c_scale[c];
          f64 correlation = product < 1.0 ? product : 1.0;
          // Constant windows are alike, and half alike to others.
          if (r_scale == 0.0 || c_scale[c] == 0.0) correlation = r_scale == c_scale[c] ? 1.0 : 0.5;
          if (j < windows) {
            // In a row columns rise, and in a column rows do: the first of equals stays.
            if (correlation > best) { best = correlation; at = j; }
            if (correlation > c_best[c]) { c_best[c] = correlation; c_at[c] = i; }
          }
        }
        const u32 slot = row % ROW_RING;
        f64 r_best = rows[slot];
        u32 r_at = rows_at[slot];
        TAKE(r_best, r_at, best, at)
        if (t == 0u && in) { row_best[row_base + i] = r_best; row_at[row_base + i] = r_at; }
        rows[slot] = t == 0u ? LOWEST : r_best;
        rows_at[slot] = t == 0u ? NOBODY : r_at;
        // The first column is left, and the one behind the last comes in.
        const u32 c = k % SIDE, column = row + SIDE * t, place = column % COLUMN_RING, next = i + own + SIDE;
        f64 l_best = columns[place];
        u32 l_at = columns_at[place];
        TAKE(l_best, l_at, c_best[c], c_at[c])
        if (t == 0u) { column_best[column_base + column] = l_best; column_at[column_base + column] = l_at; }
        columns[place] = t == 0u ? LOWEST : l_best;
        columns_at[place] = t == 0u ? NOBODY : l_at;
        c_best[c] = LOWEST;
        c_at[c] = NOBODY;
        c_half[c] = next < windows ? half_step[next] : 0.0;
        c_both[c] = next < windows ? both[next] : 0.0;
        c_scale[c] = next < windows ? scale[next] : 0.0;
      }
      if (ahead - (BLOCK - 1u) == phases - 1u) {
        // Those that the item is still at.
        #pragma unroll
        for (u32 r = 0; r < SIDE; r++) {
          const u32 place = (phases * PHASE + SIDE * t + r) % COLUMN_RING;
          f64 l_best = columns[place];
          u32 l_at = columns_at[place];
          TAKE(l_best, l_at, c_best[r], c_at[r])
          columns[place] = l_best;
          columns_at[place] = l_at;
        }
      }
    }
    group_barrier();
  }
  for (u32 i = t; i < DIAGONALS; i += BLOCK) {
    const u32 column = phases * PHASE + i;
    column_best[column_base + column] = columns[column % COLUMN_RING];
    column_at[column_base + column] = columns_at[column % COLUMN_RING];
  }
}

// The best of all that `blocks` blocks of diagonals from `first` on say of each window, and of what was known.
KERNEL profile_join(u32 windows, u32 first, u32 blocks, GLOBAL const f64 *RESTRICT row_best, GLOBAL const u32 *RESTRICT row_at,
                    GLOBAL const f64 *RESTRICT column_best, GLOBAL const u32 *RESTRICT column_at, u32 known,
                    GLOBAL f64 *RESTRICT best, GLOBAL u32 *RESTRICT at) {
  const u32 segments = (windows + ANEW - 1u) / ANEW;
  FOR_EACH(w, windows) {
    f64 b = known ? best[w] : LOWEST;
    u32 a = known ? at[w] : NOBODY;
    for (u32 g = 0; g < blocks; g++) {
      const u32 apart = first + g * DIAGONALS, top = (u32)w / ANEW * ANEW;
      if (apart >= windows) break;
      // Rows of the window's own segment.
      if ((u32)w + apart < windows) TAKE(b, a, row_best[(u64)g * windows + w], row_at[(u64)g * windows + w])
      // Columns of the segment whose first diagonal is at it, and of the one before.
      if ((u32)w >= apart) {
        const u32 s = ((u32)w - apart) / ANEW;
        for (u32 back = 0; back < 2u && back <= s; back++) {
          const u32 from = (s - back) * ANEW, column = (u32)w - apart - from;
          if (from + apart < windows && column < REACHED(windows - from - apart)) {
            const u64 place = ((u64)g * segments + (s - back)) * REACH + column;
            TAKE(b, a, column_best[place], column_at[place])
          }
        }
      }
    }
    best[w] = b;
    at[w] = a;
  }
}
