// Union-find over edges as they come. A root only ever hangs itself below a smaller one, so what is above a node only
// ever gets smaller, and the root of a component ends as its smallest node whatever the order.

// The root above a node, with every node on the way hung higher. Others do the same meanwhile: what is read may be old,
// but it is above the node all the same.
DEVICE u32 components_root(GLOBAL u32 *above, u32 v) {
  u32 p = atomic_load_u32(above + v);
  while (p != v) {
    const u32 higher = atomic_load_u32(above + p);
    if (higher == p) return p;
    atomic_fetch_min_u32(above + v, higher);
    v = higher;
    p = atomic_load_u32(above + v);
  }
  return v;
}

KERNEL graph_components_begin(u64 n, GLOBAL u32 *above) {
  FOR_EACH(v, n) above[v] = (u32)v;
}

// Joins the ends of the edges of every SAMPLE-th run of RUN edges, or of the others where `rest`. `runs` are all runs.
KERNEL graph_components_join(u64 edges, u64 runs, u32 rest, GLOBAL const u32 *RESTRICT src,
                             GLOBAL const u32 *RESTRICT dst, GLOBAL u32 *above) {
  const u64 sampled = (runs + SAMPLE - 1u) / SAMPLE, mine = rest ? runs - sampled : sampled;
  FOR_EACH(k, mine * RUN) {
    const u64 r = k / RUN;
    const u64 run = rest ? r / (SAMPLE - 1u) * SAMPLE + 1u + r % (SAMPLE - 1u) : r * SAMPLE;
    const u64 edge = run * RUN + k % RUN;
    if (edge < edges) {
      u32 a = atomic_load_u32(above + src[edge]), b = atomic_load_u32(above + dst[edge]);
      while (a != b) {
        a = components_root(above, a);
        b = components_root(above, b);
        if (a == b) break;
        const u32 low = a < b ? a : b, high = a < b ? b : a;
        // Where another was quicker, its root has a root above it now; that is progress, and not waited for.
        const u32 there = atomic_cas_u32(above + high, high, low);
        if (there == high) break;
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
