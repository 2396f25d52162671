// Union-find over edges as they come. What is above a node is never larger than it and only ever gets smaller, so the
// root of a component ends as its smallest node whatever the order. Of two ends only the larger one climbs (Rem's
// algorithm in Dijkstra, A Discipline of Programming, 1976), and hangs what it leaves below the other (Patwary, Blair and
// Manne, "Experiments on union-find algorithms for the disjoint-set data structure", 2010): nobody reads the root of a
// large component, for which all would wait.

KERNEL graph_components_begin(u64 n, GLOBAL u32 *above) {
  FOR_EACH(v, n) above[v] = (u32)v;
}

// Joins the ends of the edges of those runs of RUN edges whose numbers leave a remainder from `first` up to `last` by
// PERIOD; `mine` is how many runs these are.
KERNEL graph_components_join(u64 edges, u64 mine, u32 first, u32 last, GLOBAL const u32 *RESTRICT src,
                             GLOBAL const u32 *RESTRICT dst, GLOBAL u32 *above) {
  const u32 width = last - first;
  FOR_EACH(k, mine * RUN) {
    const u64 r = k / RUN;
    const u64 run = r / width * PERIOD + first + r % width;
    const u64 edge = run * RUN + k % RUN;
    if (edge < edges) {
      u32 a = atomic_load_u32(above + src[edge]), b = atomic_load_u32(above + dst[edge]);
      while (a != b) {
        const u32 low = a < b ? a : b, high = a < b ? b : a;
        u32 there = atomic_load_u32(above + high);
        if (there > low) {
          there = atomic_fetch_min_u32(above + high, low);
          // It was a root, and is none any more. Another node has left what it hung below, which is to be joined yet.
          if (there == high) break;
        }
        a = low;
        b = there;
      }
    }
  }
}

KERNEL graph_components_flatten(u64 n, GLOBAL u32 *above) {
  FOR_EACH(v, n) {
    u32 root = atomic_load_u32(above + v);
    for (u32 higher = atomic_load_u32(above + root); higher != root; higher = atomic_load_u32(above + root)) root = higher;
    atomic_exchange_u32(above + v, root);
  }
}
