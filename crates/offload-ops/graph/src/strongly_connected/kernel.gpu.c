// Strongly connected components in three steps (after Slota, Rajamanickam and Madduri, 2014): nodes without an arc in or out
// fall off, again and again; a node with many of both finds its component, which in most graphs is most of what is left, by
// a search forward and one backward; and colours find the rest: every node takes the smallest that reaches it, and what
// reaches that one backwards among nodes of its colour is its component. A node that has its label is out of the graph.
// Nodes are numbered in the order of their ids, and a label is the smallest node of the component.

// Of every node the arcs out and in that are no loops, and no label.
KERNEL graph_strong_begin(u32 n, GLOBAL const u32 *RESTRICT out_offsets, GLOBAL const u32 *RESTRICT in_offsets,
                          GLOBAL u32 *RESTRICT outward, GLOBAL u32 *RESTRICT inward, GLOBAL u32 *RESTRICT label,
                          GLOBAL u64 *RESTRICT best) {
  FOR_EACH(v, n) {
    outward[v] = out_offsets[v + 1u] - out_offsets[v];
    inward[v] = in_offsets[v + 1u] - in_offsets[v];
    label[v] = OPEN;
  }
  if (global_id() == 0u) best[0] = NOTHING;
}

KERNEL graph_strong_loops(u32 n, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                          GLOBAL u32 *outward, GLOBAL u32 *inward, GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  ARCS_BEGIN(n, (u32)i, offsets)
    if (targets[k] == u) {
      atomic_fetch_add_u32(outward + u, 0xffffffffu);
      atomic_fetch_add_u32(inward + u, 0xffffffffu);
    }
  ARCS_END(queue, count);
}

// The nodes that no cycle passes because nothing leads on or to them: each is its own component, and queued.
KERNEL graph_strong_bare(u32 n, u32 turn, GLOBAL const u32 *RESTRICT outward, GLOBAL const u32 *RESTRICT inward,
                         GLOBAL u32 *RESTRICT label, GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  stash_open(finds);
  for (u64 base = (u64)group_id() * BLOCK; base < n; base += global_size()) {
    const u64 v = base + local_id();
    if (v < n && (outward[v] == 0u || inward[v] == 0u)) {
      label[v] = (u32)v;
      stash_put(stash, finds, (u32)v);
    }
    if (stash_full(finds)) stash_out(stash, finds, queue, count + turn % 3u);
  }
  group_barrier();
  stash_out(stash, finds, queue, count + turn % 3u);
}

// The arcs of nodes that fell off fall off with them; `left` counts them at their other ends, which may be bare then. Started
// for the arcs out and for those in.
KERNEL graph_strong_trim(u32 turn, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets, GLOBAL u32 *left,
                         GLOBAL u32 *label, GLOBAL const u32 *RESTRICT now, GLOBAL u32 *RESTRICT next,
                         GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k];
    if (v != u && atomic_fetch_add_u32(left + v, 0xffffffffu) == 1u && atomic_cas_u32(label + v, OPEN, v) == OPEN) {
      stash_put(stash, finds, v);
    }
  ARCS_END(next, FOUND(count, turn));
}

// The open node with most arcs out and in, of several the smallest: the least of ~arcs, node.
KERNEL graph_strong_pivot(u32 n, GLOBAL const u32 *RESTRICT label, GLOBAL const u32 *RESTRICT outward,
                          GLOBAL const u32 *RESTRICT inward, GLOBAL u64 *best) {
  SHARED u64 least[BLOCK];
  const u32 t = local_id();
  u64 own = NOTHING;
  FOR_EACH(v, n) {
    if (label[v] == OPEN) {
      const u32 fewer = outward[v] < inward[v] ? outward[v] : inward[v];
      const u64 rank = (u64)~fewer << 32 | v;
      if (rank < own) own = rank;
    }
  }
  least[t] = own;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s && least[t + s] < least[t]) least[t] = least[t + s];
    group_barrier();
  }
  if (t == 0u) lowered_u64(best, least[0]);
}

// The pivot is queued, and counts as seen in both directions.
KERNEL graph_strong_seed(u32 turn, GLOBAL const u64 *RESTRICT best, GLOBAL u32 *RESTRICT seen, GLOBAL u32 *RESTRICT queue,
                         GLOBAL u32 *RESTRICT count) {
  if (global_id() == 0u && best[0] != NOTHING) {
    queue[0] = (u32)best[0];
    seen[queue[0]] = 3u;
    count[turn % 3u] = 1u;
  }
}

// A turn of a search over open nodes that were seen in the directions `needed`; `mark` is this one.
KERNEL graph_strong_reach(u32 turn, u32 mark, u32 needed, GLOBAL const u32 *RESTRICT offsets,
                          GLOBAL const u32 *RESTRICT targets, GLOBAL const u32 *RESTRICT label, GLOBAL u32 *seen,
                          GLOBAL const u32 *RESTRICT now, GLOBAL u32 *RESTRICT next, GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k];
    if (label[v] == OPEN) {
      const u32 had = atomic_load_u32(seen + v);
      if ((had & needed) == needed && !(had & mark) && !(atomic_fetch_or_u32(seen + v, mark) & mark)) {
        stash_put(stash, finds, v);
      }
    }
  ARCS_END(next, FOUND(count, turn));
}

// The smallest node that was seen in both directions, as its complement, so that memory begins as zero.
KERNEL graph_strong_least(u32 n, GLOBAL const u32 *RESTRICT seen, GLOBAL u32 *least) {
  SHARED u32 found[BLOCK];
  const u32 t = local_id();
  u32 own = OPEN;
  FOR_EACH(v, n) {
    if (seen[v] == 3u && v < own) own = (u32)v;
  }
  found[t] = own;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) {
    if (t < s && found[t + s] < found[t]) found[t] = found[t + s];
    group_barrier();
  }
  if (t == 0u) atomic_fetch_max_u32(least, ~found[0]);
}

// They are its component. Every node that is still open takes its own colour and is queued.
KERNEL graph_strong_paint(u32 n, u32 turn, GLOBAL const u32 *RESTRICT seen, GLOBAL const u32 *RESTRICT least,
                          GLOBAL u32 *RESTRICT label, GLOBAL u32 *RESTRICT color, GLOBAL u32 *RESTRICT queue,
                          GLOBAL u32 *RESTRICT count) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  stash_open(finds);
  for (u64 base = (u64)group_id() * BLOCK; base < n; base += global_size()) {
    const u64 v = base + local_id();
    if (v < n && label[v] == OPEN) {
      if (seen[v] == 3u) {
        label[v] = ~least[0];
      } else {
        color[v] = (u32)v;
        stash_put(stash, finds, (u32)v);
      }
    }
    if (stash_full(finds)) stash_out(stash, finds, queue, count + turn % 3u);
  }
  group_barrier();
  stash_out(stash, finds, queue, count + turn % 3u);
}

// Smaller colours spread along the arcs between open nodes; a node whose colour fell is queued for the next turn, once.
KERNEL graph_strong_spread(u32 turn, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                           GLOBAL const u32 *RESTRICT label, GLOBAL u32 *color, GLOBAL u32 *queued,
                           GLOBAL const u32 *RESTRICT now, GLOBAL u32 *RESTRICT next, GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k];
    if (label[v] == OPEN) {
      const u32 own = atomic_load_u32(color + u);
      if (own < atomic_load_u32(color + v) && own < atomic_fetch_min_u32(color + v, own) &&
          atomic_exchange_u32(queued + v, turn + 1u) != turn + 1u) {
        stash_put(stash, finds, v);
      }
    }
  ARCS_END(next, FOUND(count, turn));
}

// The nodes that kept their own colour: nothing smaller reaches them, so each is the smallest of its component.
KERNEL graph_strong_roots(u32 n, u32 turn, GLOBAL const u32 *RESTRICT color, GLOBAL u32 *RESTRICT label,
                          GLOBAL u32 *RESTRICT queue, GLOBAL u32 *RESTRICT count) {
  SHARED u32 stash[STASH];
  SHARED u32 finds[2];
  stash_open(finds);
  for (u64 base = (u64)group_id() * BLOCK; base < n; base += global_size()) {
    const u64 v = base + local_id();
    if (v < n && label[v] == OPEN && color[v] == v) {
      label[v] = (u32)v;
      stash_put(stash, finds, (u32)v);
    }
    if (stash_full(finds)) stash_out(stash, finds, queue, count + turn % 3u);
  }
  group_barrier();
  stash_out(stash, finds, queue, count + turn % 3u);
}

// A turn back from them among nodes of their colour.
KERNEL graph_strong_gather(u32 turn, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                           GLOBAL const u32 *RESTRICT color, GLOBAL u32 *label, GLOBAL const u32 *RESTRICT now,
                           GLOBAL u32 *RESTRICT next, GLOBAL u32 *RESTRICT count) {
  ARCS_SHARED;
  const u32 total = QUEUED(count, turn);
  CLEAR_NEXT(count, turn);
  ARCS_BEGIN(total, now[i], offsets)
    const u32 v = targets[k], own = color[u];
    if (color[v] == own && atomic_load_u32(label + v) == OPEN && atomic_cas_u32(label + v, OPEN, own) == OPEN) {
      stash_put(stash, finds, v);
    }
  ARCS_END(next, FOUND(count, turn));
}
