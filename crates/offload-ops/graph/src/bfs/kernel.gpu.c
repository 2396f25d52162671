// Breadth-first search by levels. `levels` holds 1 + the level of a node, `parents` the complement of its parent; 0 is none
// in both, so that memory begins as zero. The least parent of a level is the largest complement.
//
// `state` says where the search stands between two steps. A step begins with what the last one found:
#define FOUND 0u        // nodes that the last step found
#define FOUND_ARCS 1u   // their arcs; counted only where arcs lead both ways
#define SIDE 2u         // which half of `queues` the last step read; what it found is in the other
#define LEVEL 3u        // 1 + the level of the nodes that the last step read
#define LEFT 4u         // arcs of the nodes that no step has read
#define BACKWARD 5u     // whether the step looks from the nodes that are left
#define FRONTIER 6u     // nodes that the step reads
#define LONG_ROWS 7u    // of those, the ones whose rows all groups share
#define WIDE 8u         // whether one group is too few

#define DEGREE(u) (offsets[(u) + 1u] - offsets[u])

// An arc from u, of the level before `level`, to v; whether it is the first that finds v.
DEVICE u32 bfs_visit(GLOBAL u32 *levels, GLOBAL u32 *parents, u32 u, u32 v, u32 level) {
  u32 seen = atomic_load_u32(levels + v);
  if (seen == 0u) seen = atomic_cas_u32(levels + v, 0u, level);
  if (seen != 0u && seen != level) return 0u;
  // A read first: most finds come after a smaller one.
  if (atomic_load_u32(parents + v) < ~u) atomic_fetch_max_u32(parents + v, ~u);
  return seen == 0u;
}

// Takes finds to the queue, and counts their arcs.
DEVICE void bfs_out(LOCAL const u32 *stash, LOCAL u32 *finds, GLOBAL const u32 *offsets, u32 both_ways,
                    GLOBAL u32 *queue, GLOBAL u32 *state) {
  if (both_ways) {
    u32 arcs = 0u;
    for (u32 i = local_id(); i < finds[0]; i += BLOCK) arcs += DEGREE(stash[i]);
    if (arcs > 0u) atomic_fetch_add_u32(state + FOUND_ARCS, arcs);
  }
  stash_out(stash, finds, queue, state + FOUND);
}

// Many small levels by one group, whose frontier lies in shared memory: a level costs some microseconds, not some starts.
// It ends when nothing is left, when the frontier has more than NEAR nodes or MOST_ARCS arcs, or after ROUNDS levels.
// With `begin` the search begins at `start`.
KERNEL graph_bfs_near(u32 n, u32 arcs_in_all, u32 begin, u32 start, GLOBAL const u32 *RESTRICT offsets,
                      GLOBAL const u32 *RESTRICT targets, GLOBAL u32 *levels, GLOBAL u32 *parents, GLOBAL u32 *queues,
                      GLOBAL u32 *state) {
  SHARED u32 nodes[2u * NEAR];                        // the frontier and the next one, taking turns
  SHARED u32 ends[NEAR];                              // where the arcs of each of its nodes end, laid in a row
  SHARED u32 sums[BLOCK];
  SHARED u32 finds[1];
  const u32 t = local_id(), each = NEAR / BLOCK;
  const u32 side = begin ? 0u : 1u - state[SIDE];
  u32 count = begin ? 1u : state[FOUND], level = begin ? 1u : state[LEVEL] + 1u;
  u32 left = begin ? arcs_in_all : state[LEFT];
  if (count == 0u || count > NEAR) {                  // nothing to do, or too much, as the host sees
    if (t == 0u) state[WIDE] = count > NEAR;
    return;
  }
  for (u32 i = t; i < count; i += BLOCK) nodes[i] = begin ? start : queues[(u64)side * n + i];
  if (begin && t == 0u) levels[start] = 1u;
  group_barrier();

  u32 turn = 0u, wide = 0u, going = 1u;
  for (u32 round = 0u; round < ROUNDS && going; round++) {
    u32 own = 0u;
    for (u32 j = 0u; j < each; j++) {
      const u32 i = t * each + j;
      if (i < count) own += DEGREE(nodes[turn + i]);
      ends[i] = own;
    }
    const u32 before = group_before(own, sums);
    for (u32 j = 0u; j < each; j++) ends[t * each + j] += before;
    if (t == 0u) finds[0] = 0u;
    group_barrier();
    const u32 arcs = sums[BLOCK - 1u];
    wide = arcs > MOST_ARCS;
    if (!wide) {
      for (u32 a = t; a < arcs; a += BLOCK) {
        const u32 i = part_of(ends, NEAR, a), u = nodes[turn + i];
        const u32 v = targets[offsets[u + 1u] - (ends[i] - a)];
        if (bfs_visit(levels, parents, u, v, level + 1u)) {
          const u32 place = shared_fetch_add_u32(finds, 1u);
          // What finds no place here is where the wide steps look for it.
          if (place < NEAR) nodes[(turn ^ NEAR) + place] = v;
          else queues[place] = v;
        }
      }
      group_barrier();
      count = finds[0];
      level++;
      turn ^= NEAR;
      left -= arcs < left ? arcs : left;
      wide = count > NEAR;
    }
    going = !wide && count > 0u;
    group_barrier();
  }

  // As if a wide step had read the other half.
  u32 own = 0u;
  for (u32 i = t; i < count; i += BLOCK) {
    const u32 u = i < NEAR ? nodes[turn + i] : queues[i];
    if (i < NEAR) queues[i] = u;
    own += DEGREE(u);
  }
  group_before(own, sums);
  if (t == 0u) {
    state[FOUND] = count;
    state[FOUND_ARCS] = sums[BLOCK - 1u];
    state[SIDE] = 1u;
    state[LEVEL] = level - 1u;
    state[LEFT] = left;
    state[BACKWARD] = 0u;
    state[WIDE] = wide;
  }
}

// Begins a wide step: what was found is the frontier, and whether to turn around is decided.
KERNEL graph_bfs_turn(u32 n, u32 both_ways, GLOBAL u32 *state) {
  if (global_id() != 0u) return;
  const u32 frontier = state[FOUND], arcs = state[FOUND_ARCS];
  const u32 left = state[LEFT] - (arcs < state[LEFT] ? arcs : state[LEFT]);
  state[BACKWARD] = both_ways && (state[BACKWARD] ? frontier > n / FEW : arcs > left / CHEAPER);
  state[FRONTIER] = frontier;
  state[LEFT] = left;
  state[SIDE] = 1u - state[SIDE];
  state[LEVEL] += 1u;
  state[FOUND] = 0u;
  state[FOUND_ARCS] = 0u;
  state[LONG_ROWS] = 0u;
}

// The frontier looks for new nodes: a group takes BLOCK of its nodes at a time, and each item an arc of theirs. Rows of
// more than LONG arcs are left to all groups.
KERNEL graph_bfs_forward(u32 n, u32 both_ways, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                         GLOBAL u32 *levels, GLOBAL u32 *parents, GLOBAL u32 *queues, GLOBAL u32 *far,
                         GLOBAL u32 *state) {
  SHARED u32 nodes[BLOCK];
  SHARED u32 ends[BLOCK];                             // where the row of each ends, less its number of the last arc
  SHARED u32 sums[BLOCK];
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  const u32 t = local_id(), level = state[LEVEL] + 1u;
  const u32 frontier = state[BACKWARD] ? 0u : state[FRONTIER];
  GLOBAL const u32 *from = queues + (u64)state[SIDE] * n;
  GLOBAL u32 *to = queues + (u64)(1u - state[SIDE]) * n;
  stash_open(finds);
  for (u64 tile = (u64)group_id() * BLOCK; tile < frontier; tile += (u64)group_count() * BLOCK) {
    u32 u = 0u, end = 0u, degree = 0u;
    if (tile + t < frontier) {
      u = from[tile + t];
      end = offsets[u + 1u];
      degree = end - offsets[u];
      if (degree > LONG) {
        far[atomic_fetch_add_u32(state + LONG_ROWS, 1u)] = u;
        degree = 0u;
      }
    }
    group_before(degree, sums);
    nodes[t] = u;
    ends[t] = end - sums[t];
    group_barrier();
    const u32 arcs = sums[BLOCK - 1u];
    for (u32 first = 0u; first < arcs; first += BLOCK * EACH) {
      for (u32 j = 0u; j < EACH; j++) {
        const u32 a = first + j * BLOCK + t;
        if (a < arcs) {
          const u32 i = part_of(sums, BLOCK, a), v = targets[ends[i] + a];
          if (bfs_visit(levels, parents, nodes[i], v, level)) stash_put(stash, finds, v);
        }
      }
      if (stash_full(finds)) bfs_out(stash, finds, offsets, both_ways, to, state);
    }
    group_barrier();
  }
  bfs_out(stash, finds, offsets, both_ways, to, state);
}

// The long rows: their parts of BLOCK * EACH arcs go round the groups.
KERNEL graph_bfs_long(u32 n, u32 both_ways, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                      GLOBAL u32 *levels, GLOBAL u32 *parents, GLOBAL u32 *queues, GLOBAL const u32 *far,
                      GLOBAL u32 *state) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  const u32 t = local_id(), level = state[LEVEL] + 1u, rows = state[LONG_ROWS], all = group_count();
  GLOBAL u32 *to = queues + (u64)(1u - state[SIDE]) * n;
  if (rows == 0u) return;
  stash_open(finds);
  u32 before = 0u;                                    // parts of the rows before, round the groups
  for (u32 r = 0u; r < rows; r++) {
    const u32 u = far[r], end = offsets[u + 1u], parts = (DEGREE(u) + BLOCK * EACH - 1u) / (BLOCK * EACH);
    for (u32 p = (group_id() + all - before) % all; p < parts; p += all) {
      for (u32 j = 0u; j < EACH; j++) {
        const u32 arc = offsets[u] + p * BLOCK * EACH + j * BLOCK + t;
        if (arc < end) {
          const u32 v = targets[arc];
          if (bfs_visit(levels, parents, u, v, level)) stash_put(stash, finds, v);
        }
      }
      if (stash_full(finds)) bfs_out(stash, finds, offsets, both_ways, to, state);
    }
    before = (before + parts) % all;
  }
  bfs_out(stash, finds, offsets, both_ways, to, state);
}

// Nodes that are left look for a neighbour in the frontier. Rows are in the order of the ids, so the first is the least.
KERNEL graph_bfs_backward(u32 n, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                          GLOBAL u32 *levels, GLOBAL u32 *parents, GLOBAL u32 *queues, GLOBAL u32 *state) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  if (!state[BACKWARD] || state[FRONTIER] == 0u) return;
  const u32 level = state[LEVEL];
  GLOBAL u32 *to = queues + (u64)(1u - state[SIDE]) * n;
  stash_open(finds);
  for (u64 tile = (u64)group_id() * BLOCK; tile < n; tile += (u64)group_count() * BLOCK) {
    const u64 v = tile + local_id();
    if (v < n && atomic_load_u32(levels + v) == 0u) {
      const u32 end = offsets[v + 1u];
      for (u32 arc = offsets[v]; arc < end; arc++) {
        const u32 u = targets[arc];
        if (atomic_load_u32(levels + u) == level) {
          parents[v] = ~u;
          atomic_exchange_u32(levels + v, level + 1u);
          stash_put(stash, finds, (u32)v);
          break;
        }
      }
    }
    if (stash_full(finds)) bfs_out(stash, finds, offsets, 1u, to, state);
  }
  bfs_out(stash, finds, offsets, 1u, to, state);
}
