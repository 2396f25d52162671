// Distances from one node: nodes whose distance fell are near, below a bound, or far. The near ones wait in a queue and are
// relaxed in turns, all at once; when none is left the bound moves on past the nearest of the far ones (Davidson, Baxter,
// Garland and Owens, 2014). Sums are those of the CPU, and a distance is the least of them over all ways, so the order in
// which nodes are relaxed does not show. Distances are kept as bits that are ordered as they are.
#define FAR ordered_f64(AS_F64((u64)0x7ff << 52))

KERNEL graph_near_begin(u32 n, u32 start, u64 bound, GLOBAL u64 *RESTRICT distance, GLOBAL u64 *RESTRICT window,
                        GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  FOR_EACH(v, n) distance[v] = v == start ? ordered_f64(0.0) : FAR;
  if (global_id() == 0u) {
    window[0] = bound;
    window[1] = NOTHING;
    queue[0] = start;
    count[0] = 1u;
  }
}

// Relaxes the arcs of all nodes of a turn. A distance below the bound that fell is queued for the next turn, once.
KERNEL graph_near_relax(u32 turn, u32 weighted, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                        GLOBAL const f64 *RESTRICT weights, GLOBAL const u64 *RESTRICT window, GLOBAL u64 *distance,
                        GLOBAL u32 *queued, GLOBAL u32 *far, GLOBAL const u32 *RESTRICT now, GLOBAL u32 *RESTRICT next,
                        GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  const u64 bound = window[0];
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k];
    const f64 through = number_f64(atomic_load_u64(distance + u)) + (weighted ? weights[k] : 1.0);
    const u64 order = ordered_f64(through);
    if (lowered_u64(distance + v, order)) {
      if (order >= bound) {
        atomic_exchange_u32(far + v, 1u);
      } else if (atomic_exchange_u32(queued + v, turn + 1u) != turn + 1u) {
        stash_put(stash, finds, v);
      }
    }
  ARCS_END(next, FOUND(count, turn));
}

// The nearest of the far nodes, where no near one waits for this turn. One that has come near was relaxed as such.
KERNEL graph_near_least(u32 n, u32 turn, GLOBAL const u64 *RESTRICT distance, GLOBAL u32 *RESTRICT far,
                        GLOBAL const u32 *RESTRICT count, GLOBAL u64 *window) {
  SHARED u64 least[BLOCK];
  const u32 t = local_id();
  const u64 bound = window[0];
  u64 own = NOTHING;
  if (QUEUED(count, turn) == 0u) {
    FOR_EACH(v, n) {
      if (far[v]) {
        const u64 there = distance[v];
        if (there < bound) far[v] = 0u;
        else if (there < own) own = there;
      }
    }
  }
  least[t] = own;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s && least[t + s] < least[t]) least[t] = least[t + s];
    group_barrier();
  }
  if (t == 0u) lowered_u64(window + 1, least[0]);
}

// The bound beyond the nearest of the far nodes: `delta` farther, and past that node whatever rounding makes of it.
DEVICE u64 moved(u64 least, f64 delta) {
  const u64 on = ordered_f64(number_f64(least) + delta);
  return on > least ? on : least + 1u;
}

// Far nodes below the bound that comes are near.
KERNEL graph_near_open(u32 n, u32 turn, f64 delta, GLOBAL const u64 *RESTRICT distance, GLOBAL u32 *RESTRICT far,
                       GLOBAL const u64 *RESTRICT window, GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  const u64 least = window[1], bound = moved(least, delta);
  const u64 end = least == NOTHING ? 0u : n;
  stash_open(finds);
  for (u64 base = (u64)group_id() * BLOCK; base < end; base += global_size()) {
    const u64 v = base + local_id();
    if (v < end && far[v] && distance[v] < bound) {
      far[v] = 0u;
      stash_put(stash, finds, (u32)v);
    }
    if (stash_full(finds)) stash_out(stash, finds, queue, count + turn % 3u);
  }
  group_barrier();
  stash_out(stash, finds, queue, count + turn % 3u);
}

// The bound moves.
KERNEL graph_near_move(f64 delta, GLOBAL u64 *RESTRICT window) {
  if (global_id() == 0u && window[1] != NOTHING) {
    window[0] = moved(window[1], delta);
    window[1] = NOTHING;
  }
}

// The tree: of all nodes nearer to the start from which a shortest path leads on, the smallest.
KERNEL graph_near_parents(u32 n, u32 start, u32 weighted, GLOBAL const u32 *RESTRICT offsets,
                          GLOBAL const u32 *RESTRICT targets, GLOBAL const f64 *RESTRICT weights,
                          GLOBAL const u64 *RESTRICT distance, GLOBAL u32 *parents, GLOBAL u32 *RESTRICT queue,
                          GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  ARCS_BEGIN(n, (u32)i, offsets)
    const u32 v = targets[k];
    const u64 here = distance[u], there = distance[v];
    if (here < there && there < FAR && v != start && u < atomic_load_u32(parents + v)) {
      const f64 through = number_f64(here) + (weighted ? weights[k] : 1.0);
      if (ordered_f64(through) == there) atomic_fetch_min_u32(parents + v, u);
    }
  ARCS_END(queue, count);
}

// The nodes whose place in the tree is known are queued for turn 0; what is left is counted.
KERNEL graph_near_known(u32 n, u32 start, GLOBAL const u64 *RESTRICT distance, GLOBAL const u32 *RESTRICT parents,
                        GLOBAL u32 *RESTRICT level, GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  stash_open(finds);
  for (u64 base = (u64)group_id() * BLOCK; base < n; base += global_size()) {
    const u64 v = base + local_id();
    if (v < n) {
      const u32 known = v == start || parents[v] != UNKNOWN;
      level[v] = known ? 0u : UNKNOWN;
      if (known) stash_put(stash, finds, (u32)v);
      else if (distance[v] < FAR) atomic_fetch_add_u32(count + 3, 1u);
    }
    if (stash_full(finds)) stash_out(stash, finds, queue, count);
  }
  group_barrier();
  stash_out(stash, finds, queue, count);
}

// A turn of the tree, for nodes to which only arcs lead that make no path longer (or any, with negative weights): the fewest
// arcs, and then the smallest node. A node's level is the turn that found it, counted from 1.
KERNEL graph_near_tree(u32 turn, u32 weighted, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                       GLOBAL const f64 *RESTRICT weights, GLOBAL const u64 *RESTRICT distance, GLOBAL u32 *parents,
                       GLOBAL u32 *level, GLOBAL const u32 *RESTRICT now, GLOBAL u32 *RESTRICT next,
                       GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k];
    const u64 there = distance[v];
    const f64 through = number_f64(distance[u]) + (weighted ? weights[k] : 1.0);
    if (there < FAR && ordered_f64(through) == there) {
      const u32 was = atomic_cas_u32(level + v, UNKNOWN, turn + 1u);
      if (was == UNKNOWN || was == turn + 1u) atomic_fetch_min_u32(parents + v, u);
      if (was == UNKNOWN) stash_put(stash, finds, v);
    }
  ARCS_END(next, FOUND(count, turn));
}

KERNEL graph_near_orphans(u32 n, GLOBAL u32 *RESTRICT parents) {
  FOR_EACH(v, n) parents[v] = UNKNOWN;
}
