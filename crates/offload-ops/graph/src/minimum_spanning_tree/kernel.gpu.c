// Borůvka's algorithm (1926) in rounds. Every tree finds the lightest edge that leaves it: first the least weight, then of the
// edges with that weight the least ends. Edges are ordered by these two, so that no cycle of choices is possible but that of
// two trees that choose the same edge. Then trees are joined, and edges within a tree fall out. An edge takes 16 bytes, and
// a round reads it twice and writes it once if it stays; what trees have found lies in the cache.

// `wanted` items of a group get places after one another in the list that `count` counts; the place of an item.
#define PLACED(place, wanted, count)                                                                     \
  if (local_id() == 0u) found = 0u;                                                                      \
  group_barrier();                                                                                       \
  const u32 place##_within = (wanted) ? shared_fetch_add_u32(&found, 1u) : 0u;                           \
  group_barrier();                                                                                       \
  if (local_id() == 0u) begin = found > 0u ? atomic_fetch_add_u32(count, found) : 0u;                    \
  group_barrier();                                                                                       \
  const u32 place = begin + place##_within

// Every node is a tree of its own, and no tree has found an edge.
KERNEL graph_forest_begin(u32 n, GLOBAL u32 *RESTRICT tree, GLOBAL u64 *RESTRICT weight, GLOBAL u64 *RESTRICT ends) {
  FOR_EACH(v, n) {
    tree[v] = (u32)v;
    weight[v] = NOTHING;
    ends[v] = NOTHING;
  }
}

// The edges of the request, loops left out, and the least weight at each node.
KERNEL graph_forest_edges(u32 edges, u32 weighted, GLOBAL const u32 *RESTRICT src, GLOBAL const u32 *RESTRICT dst,
                          GLOBAL const f64 *RESTRICT weights, GLOBAL u64 *RESTRICT to_weight, GLOBAL u64 *RESTRICT to_ends,
                          GLOBAL u32 *RESTRICT count, u32 round, GLOBAL u64 *RESTRICT weight) {
  SHARED u32 found;
  SHARED u32 begin;
  for (u64 base = (u64)group_id() * BLOCK; base < edges; base += global_size()) {
    const u64 e = base + local_id();
    const u32 u = e < edges ? src[e] : 0u, v = e < edges ? dst[e] : 0u;
    PLACED(place, u != v, count + round);
    if (u != v) {
      const u64 order = ordered_f64(weighted ? weights[e] : 1.0);
      to_weight[place] = order;
      to_ends[place] = (u64)(u < v ? u : v) << 32 | (u < v ? v : u);
      lowered_u64(weight + u, order);
      lowered_u64(weight + v, order);
    }
  }
}

// The edges whose ends are in different trees, and the least weight at each tree.
KERNEL graph_forest_keep(u32 edges, GLOBAL const u64 *RESTRICT from_weight, GLOBAL const u64 *RESTRICT from_ends,
                         GLOBAL const u32 *RESTRICT tree, GLOBAL u64 *RESTRICT to_weight, GLOBAL u64 *RESTRICT to_ends,
                         GLOBAL u32 *RESTRICT count, u32 round, GLOBAL u64 *RESTRICT weight) {
  SHARED u32 found;
  SHARED u32 begin;
  for (u64 base = (u64)group_id() * BLOCK; base < edges; base += global_size()) {
    const u64 e = base + local_id();
    const u64 pair = e < edges ? from_ends[e] : 0u;
    const u32 a = tree[(u32)(pair >> 32)], b = tree[(u32)pair];
    PLACED(place, a != b, count + round);
    if (a != b) {
      const u64 order = from_weight[e];
      to_weight[place] = order;
      to_ends[place] = pair;
      lowered_u64(weight + a, order);
      lowered_u64(weight + b, order);
    }
  }
}

// Of the edges with the least weight at a tree, the least ends.
KERNEL graph_forest_ends(u32 edges, GLOBAL const u64 *RESTRICT edge_weight, GLOBAL const u64 *RESTRICT edge_ends,
                         GLOBAL const u32 *RESTRICT tree, GLOBAL const u64 *RESTRICT weight, GLOBAL u64 *RESTRICT ends) {
  FOR_EACH(e, edges) {
    const u64 order = edge_weight[e], pair = edge_ends[e];
    const u32 a = tree[(u32)(pair >> 32)], b = tree[(u32)pair];
    if (order == weight[a]) lowered_u64(ends + a, pair);
    if (order == weight[b]) lowered_u64(ends + b, pair);
  }
}

// Every tree is hung below the one at the other end of its edge, which is taken; of two that chose the same, the smaller one
// stays. What is hung below what is in `above`.
KERNEL graph_forest_join(u32 n, GLOBAL const u32 *RESTRICT tree, GLOBAL const u64 *RESTRICT weight,
                         GLOBAL const u64 *RESTRICT ends, GLOBAL u32 *RESTRICT above, GLOBAL u64 *RESTRICT taken_weight,
                         GLOBAL u64 *RESTRICT taken_ends, GLOBAL u32 *RESTRICT count) {
  SHARED u32 found;
  SHARED u32 begin;
  for (u64 base = (u64)group_id() * BLOCK; base < n; base += global_size()) {
    const u64 v = base + local_id();
    u32 to = v < n ? tree[v] : 0u, is_taken = 0u;
    u64 order = NOTHING, pair = 0u;
    if (v < n && to == v) {
      order = weight[v];
      if (order != NOTHING) {
        pair = ends[v];
        const u32 a = tree[(u32)(pair >> 32)], b = tree[(u32)pair];
        const u32 other = a == to ? b : a;
        is_taken = !(weight[other] == order && ends[other] == pair && v < other);
        if (is_taken) to = other;
      }
    }
    if (v < n) above[v] = to;
    PLACED(place, is_taken, count);
    if (is_taken) {
      taken_weight[place] = order;
      taken_ends[place] = pair;
    }
  }
}

// Every node goes up as far as STEPS more trees hang below one another. Nothing of what is read changes. The last time, what
// trees have found is forgotten as well.
KERNEL graph_forest_climb(u32 n, u32 last, GLOBAL const u32 *RESTRICT from, GLOBAL u32 *RESTRICT to,
                          GLOBAL u64 *RESTRICT weight, GLOBAL u64 *RESTRICT ends) {
  FOR_EACH(v, n) {
    u32 at = from[v];
    for (u32 s = 0; s < STEPS; s++) {
      const u32 above = from[at];
      if (above == at) break;
      at = above;
    }
    to[v] = at;
    if (last) {
      weight[v] = NOTHING;
      ends[v] = NOTHING;
    }
  }
}
