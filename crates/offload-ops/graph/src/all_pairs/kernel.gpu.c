// All distances by Floyd and Warshall in blocks of SIDE nodes, with the sums of the CPU in their order. For each block: the
// paths within it (one group), from it to everywhere (a group for each SIDE columns), and then from everywhere to everywhere
// by way of it (a group for each tile), which is nearly all of the work: an addition and a comparison of f64 for each of
// n * n * SIDE ways, read from shared memory 8 at a time for 16 of them in registers.
#define SIDE 64u
#define STEP 16u                                      // columns of the left factor at a time
#define LEFT (STEP + 1u)                              // padded, so that two rows lie in different banks
#define EACH 4u                                       // rows and columns of an item: BLOCK is 16 x 16
#define ACROSS (SIDE / EACH)
#define FAR AS_F64(0x7ff0000000000000ul)

// A group for each row: nothing is reached, and then its arcs. Every item looks at all arcs of the row and takes those that
// lead to its own columns, so that the lightest of several stays without an atomic. What all read at once is read once.
KERNEL graph_pairs_fill(u32 n, u32 weighted, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                        GLOBAL const f64 *RESTRICT weights, GLOBAL f64 *RESTRICT distances) {
  for (u32 row = group_id(); row < n; row += group_count()) {
    GLOBAL f64 *to = distances + (u64)row * n;
    for (u32 j = local_id(); j < n; j += BLOCK) to[j] = j == row ? 0.0 : FAR;
    const u32 end = offsets[row + 1u];
    for (u32 a = offsets[row]; a < end; a++) {
      const u32 v = targets[a];
      if (v % BLOCK == local_id()) {
        const f64 w = weighted ? weights[a] : 1.0;
        if (w < to[v]) to[v] = w;
      }
    }
  }
}

// The paths within the block that begins at node `first`; what is beyond the last node is far. An item has SIDE * SIDE /
// BLOCK entries in registers. Row and column k are shown to all before anyone changes them, in two places in turn, so that
// one barrier is enough.
KERNEL graph_pairs_inner(u32 n, u32 first, GLOBAL const f64 *RESTRICT distances, GLOBAL f64 *RESTRICT inner) {
  SHARED f64 row[2u * SIDE];
  SHARED f64 column[2u * SIDE];
  const u32 j = local_id() % SIDE, top = local_id() / SIDE;
  f64 own[SIDE * SIDE / BLOCK];
  #pragma unroll
  for (u32 r = 0; r < SIDE * SIDE / BLOCK; r++) {
    const u32 i = top + r * (BLOCK / SIDE);
    own[r] = first + i < n && first + j < n ? distances[(u64)(first + i) * n + first + j] : FAR;
  }
  for (u32 k = 0; k < SIDE; k++) {
    const u32 turn = k % 2u * SIDE;
    #pragma unroll
    for (u32 r = 0; r < SIDE * SIDE / BLOCK; r++) {
      const u32 i = top + r * (BLOCK / SIDE);
      if (i == k) row[turn + j] = own[r];
      if (j == k) column[turn + i] = own[r];
    }
    group_barrier();
    const f64 on = row[turn + j];
    #pragma unroll
    for (u32 r = 0; r < SIDE * SIDE / BLOCK; r++) {
      const f64 through = column[turn + top + r * (BLOCK / SIDE)] + on;
      own[r] = through < own[r] ? through : own[r];
    }
  }
  #pragma unroll
  for (u32 r = 0; r < SIDE * SIDE / BLOCK; r++) inner[(top + r * (BLOCK / SIDE)) * SIDE + j] = own[r];
}

// A tile of to[i, j] = min(old[i, j], ways[i, k] + on[k, j]) over the nodes k of a block. `ways` has SIDE columns and lacks
// nothing; of `on` and `old`, whose rows are n long, rows from `deep` and `high` on and columns from `wide` on are far, and
// of `to` the rows up to `tall` are written.
DEVICE void relaxed(u32 n, u32 wide, GLOBAL const f64 *ways, GLOBAL const f64 *on, u32 deep, GLOBAL const f64 *old, u32 high,
                    GLOBAL f64 *to, u32 tall, LOCAL f64 *left, LOCAL f64 *right) {
  const u32 t = local_id(), x = t % ACROSS, y = t / ACROSS;
  f64 least[EACH][EACH];
  #pragma unroll
  for (u32 r = 0; r < EACH; r++) {
    #pragma unroll
    for (u32 c = 0; c < EACH; c++) {
      const u32 i = y + r * ACROSS, j = x + c * ACROSS;
      least[r][c] = i < high && j < wide ? old[(u64)i * n + j] : FAR;
    }
  }
  for (u32 from = 0; from < SIDE; from += STEP) {
    for (u32 e = t; e < SIDE * STEP; e += BLOCK) {
      left[e / STEP * LEFT + e % STEP] = ways[e / STEP * SIDE + from + e % STEP];
      const u32 k = from + e / SIDE, j = e % SIDE;
      right[e] = k < deep && j < wide ? on[(u64)k * n + j] : FAR;
    }
    group_barrier();
    #pragma unroll 4
    for (u32 k = 0; k < STEP; k++) {
      f64 way[EACH], beyond[EACH];
      #pragma unroll
      for (u32 r = 0; r < EACH; r++) {
        way[r] = left[(y + r * ACROSS) * LEFT + k];
        beyond[r] = right[k * SIDE + x + r * ACROSS];
      }
      #pragma unroll
      for (u32 r = 0; r < EACH; r++) {
        #pragma unroll
        for (u32 c = 0; c < EACH; c++) {
          const f64 through = way[r] + beyond[c];
          least[r][c] = through < least[r][c] ? through : least[r][c];
        }
      }
    }
    group_barrier();
  }
  #pragma unroll
  for (u32 r = 0; r < EACH; r++) {
    #pragma unroll
    for (u32 c = 0; c < EACH; c++) {
      const u32 i = y + r * ACROSS, j = x + c * ACROSS;
      if (i < tall && j < wide) to[(u64)i * n + j] = least[r][c];
    }
  }
}

// From the block to SIDE columns by way of the block, into `panel`, [SIDE, n]. And a copy of the block's columns of as many
// rows, `ways`, [n, SIDE], because those of the matrix change while others read them.
KERNEL graph_pairs_panel(u32 n, u32 first, GLOBAL const f64 *RESTRICT inner, GLOBAL const f64 *RESTRICT distances,
                         GLOBAL f64 *RESTRICT panel, GLOBAL f64 *RESTRICT ways) {
  SHARED f64 left[SIDE * LEFT];
  SHARED f64 right[STEP * SIDE];
  const u32 at = group_id() * SIDE;
  for (u32 e = local_id(); e < SIDE * SIDE; e += BLOCK) {
    const u32 i = at + e / SIDE, k = first + e % SIDE;
    ways[(u64)at * SIDE + e] = i < n && k < n ? distances[(u64)i * n + k] : FAR;
  }
  GLOBAL const f64 *rows = distances + (u64)first * n + at;
  relaxed(n, n - at, inner, rows, n - first, rows, n - first, panel + at, SIDE, left, right);
}

// From everywhere to everywhere by way of the block; the second direction of the launch goes over the rows.
KERNEL graph_pairs_relax(u32 n, GLOBAL const f64 *RESTRICT ways, GLOBAL const f64 *RESTRICT panel, GLOBAL f64 *distances) {
  SHARED f64 left[SIDE * LEFT];
  SHARED f64 right[STEP * SIDE];
  const u32 column = group_id() * SIDE, row = group_id_y() * SIDE;
  GLOBAL f64 *to = distances + (u64)row * n + column;
  relaxed(n, n - column, ways + (u64)row * SIDE, panel + column, SIDE, to, n - row, to, n - row, left, right);
}
