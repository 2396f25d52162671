// How far values are from the middle of those before them. Against means two look-ups of memory a value. Against medians the
// values in the middle are found in a wavelet matrix, and then the deviation: distances ascend to both sides of the middle,
// so the one in the middle of them is found by halving, on both sides by turns, the values that it may be of. Each step goes
// one level down on one side, so it takes at most twice as many as to find a value, whatever the window's width. Bound by the cache.

// Values of a window on one side of its middle: a node whose both halves have some of them, or one of the last level.
typedef struct {
  ranks_node node;
  u32 a, b;                                           // zeros before its ends
  u32 near;                                           // how many are in the half that is nearer to the middle
} local_side;

// From this node down to where values part. Of a window `below` values lie below its middle; `above` says on which side we are.
DEVICE local_side local_part(ranks_matrix m, ranks_node node, u32 below, u32 above) {
  local_side side;
  side.a = 0u;
  side.b = 0u;
  for (;;) {
    // Places in the order of the window's values, held to this side.
    u32 start = node.smaller, end = start + (node.to - node.from);
    if (above ? start < below : start > below) start = below;
    if (above ? end < below : end > below) end = below;
    if (node.level == LEVELS) {
      side.near = end - start;
      break;
    }
    side.a = ranks_zeros(m, node.level, node.from);
    side.b = ranks_zeros(m, node.level, node.to);
    u32 cut = node.smaller + (side.b - side.a);
    if (above ? cut < below : cut > below) cut = below;
    side.near = above ? cut - start : end - cut;
    if (start < cut && cut < end) break;
    node = ranks_child(m, node, cut < end ? 1u : 0u, side.a, side.b);
  }
  side.node = node;
  return side;
}

// The half that is nearer to the middle, or the other.
DEVICE local_side local_half(ranks_matrix m, local_side side, u32 below, u32 above, u32 near) {
  return local_part(m, ranks_child(m, side.node, above == near ? 0u : 1u, side.a, side.b), below, above);
}

// The distance of this rank, from 0, from the middle of the window at `from` up to `to`.
DEVICE f64 local_nearest(ranks_matrix m, u32 from, u32 to, f64 one, f64 other, u32 below, u32 rank) {
  u32 count_up = to - from - below, count_down = below;
  local_side up = local_part(m, ranks_root(from, to), below, 1u);
  local_side down = below > 0u ? local_part(m, ranks_root(from, to), below, 0u) : up;
  while (count_up > 0u && count_down > 0u) {
    const u32 up_last = up.node.level == LEVELS, down_last = down.node.level == LEVELS;
    // The nearest that the farther half may hold, above and below: nothing of the nearer half is farther.
    const u64 up_key = up_last ? up.node.key : up.node.key | (u64)1 << (LEVELS - 1u - up.node.level);
    const u64 down_key = down_last ? down.node.key : down.node.key | (((u64)1 << (LEVELS - 1u - down.node.level)) - 1u);
    const f64 up_far = scores_above(ranks_value(up_key), one, other);
    const f64 down_far = -scores_above(ranks_value(down_key), one, other);
    if (up_last && down_last) {
      if (up_far <= down_far) return rank < count_up ? up_far : down_far;
      return rank < count_down ? down_far : up_far;
    }
    // Of equal values all are nearer than what is farther on the other side, or none.
    if (up_far <= down_far) {
      const u32 down_near = down_last ? 0u : down.near;
      if (up.near + down_near > rank) {
        count_down = down_near;
        if (count_down > 0u) down = local_half(m, down, below, 0u, 1u);
      } else {
        rank -= up.near;
        count_up -= up.near;
        if (count_up > 0u) up = local_half(m, up, below, 1u, 0u);
      }
    } else {
      const u32 up_near = up_last ? 0u : up.near;
      if (up_near + down.near > rank) {
        count_up = up_near;
        if (count_up > 0u) up = local_half(m, up, below, 1u, 1u);
      } else {
        rank -= down.near;
        count_down -= down.near;
        if (count_down > 0u) down = local_half(m, down, below, 0u, 0u);
      }
    }
  }
  // What is left is on one side.
  if (count_up > 0u) {
    const u32 first = up.node.smaller > below ? 0u : below - up.node.smaller;
    return scores_above(ranks_value(ranks_find(m, up.node, first + rank).key), one, other);
  }
  const u32 count = down.node.to - down.node.from;
  const u32 last = (below - down.node.smaller < count ? below - down.node.smaller : count) - 1u;
  return -scores_above(ranks_value(ranks_find(m, down.node, last - rank).key), one, other);
}

// Against medians, `count` values from `first` on.
KERNEL local_medians(u32 first, u32 count, u32 n, u32 width, u32 words, GLOBAL const u32 *RESTRICT marks,
                     GLOBAL const u32 *RESTRICT totals, GLOBAL const f64 *RESTRICT x, GLOBAL f64 *RESTRICT out) {
  const ranks_matrix m = ranks_of(words, marks, totals);
  FOR_EACH(j, count) {
    const u32 i = first + (u32)j, from = i - width;
    f64 score = 0.0;
    if (i % n >= width) {
      const ranks_node lower = ranks_find(m, ranks_root(from, i), (width - 1u) / 2u);
      ranks_node upper = lower;
      if (lower.smaller + (lower.to - lower.from) <= width / 2u) upper = ranks_find(m, ranks_root(from, i), width / 2u);
      const f64 one = ranks_value(lower.key), other = ranks_value(upper.key);
      // The lower one is the middle itself, or so near that they are not told apart, or below it.
      const u32 below = scores_above(one, one, other) < 0.0 ? width / 2u : lower.smaller;
      const f64 near = local_nearest(m, from, i, one, other, below, (width - 1u) / 2u);
      const f64 far = width % 2u == 0u ? local_nearest(m, from, i, one, other, below, width / 2u) : near;
      f64 deviation = OF_MEDIAN * ((near + far) / 2.0);
      if (deviation == 0.0) {
        f64 sum = 0.0;
        for (u32 k = from; k < i; k++) sum += abs_f64(scores_above(x[k], one, other));
        deviation = OF_MEAN * sum / (f64)width;
      }
      score = scores_far(scores_above(x[i], one, other), deviation, (one + other) / 2.0);
    }
    out[i] = score;
  }
}

// Against means, which are differences from the last value of their window, with the sums of squares around them.
KERNEL local_means(u64 count, u32 n, u32 width, GLOBAL const f64 *RESTRICT x, GLOBAL const f64 *RESTRICT means,
                   GLOBAL const f64 *RESTRICT squares, GLOBAL f64 *RESTRICT out) {
  FOR_EACH(i, count) {
    f64 score = 0.0;
    if (i % n >= width) {
      const f64 last = x[i - 1u], mean = means[i - 1u];
      score = scores_far(x[i] - last - mean, sqrt_f64(squares[i - 1u] / (f64)width), last + mean);
    }
    out[i] = score;
  }
}
