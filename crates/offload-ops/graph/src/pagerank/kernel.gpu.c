// The power method, pulling: every node sums what arrives along its row. What a node sends along an arc of weight 1 is its
// score times its share. Sums have one order, whatever the device's scheduler does: a row of at most SHORT arcs is one
// item's, one of at most LONG a sub-group's, and longer ones are cut into parts of LONG arcs that go round the groups.
// After the step that ends it, all do nothing, so that the host may start some steps before it looks.

// Words of `sums`.
#define DANGLING 0u     // what nodes without edges have
#define RESIDUAL 1u
#define DONE 2u         // not 0 once the walk has ended
#define TAKEN 3u        // steps

DEVICE T rank_arriving(GLOBAL const u32 *targets, GLOBAL const T *weights, GLOBAL const T *sent, u32 weighted, u32 from,
                       u32 to, u32 by) {
  T sum = (T)0;
  if (weighted) {
    for (u32 a = from; a < to; a += by) sum += sent[targets[a]] * weights[a];
  } else {
    for (u32 a = from; a < to; a += by) sum += sent[targets[a]];
  }
  return sum;
}

#if SUBGROUP > 1
DEVICE T rank_shuffle_xor(T v, u32 mask) {
  const u64 bits = AS_U64(v);
  const u32 low = shuffle_xor_u32((u32)bits, mask), high = shuffle_xor_u32((u32)(bits >> 32), mask);
  return AS_F64((u64)high << 32 | low);
}
#endif

// A node's new score, of what arrives and what falls from everywhere; adds to the group's change and to what dangles.
#define RANK_TAKE(v, arrived)                                                      \
  do {                                                                             \
    const T next = damping * (arrived) + falls * (personal ? jump[v] : everywhere), share = shares[v]; \
    change += abs_t(next - scores[v]);                                             \
    if (share == (T)0) dangling += next;                                           \
    send[v] = next * share;                                                        \
    scores[v] = next;                                                              \
  } while (0)

// Equal scores.
KERNEL graph_rank_begin(u64 n, T everywhere, GLOBAL const T *RESTRICT shares, GLOBAL T *RESTRICT scores,
                        GLOBAL T *RESTRICT send, GLOBAL T *RESTRICT lost) {
  SHARED T scratch[BLOCK];
  T dangling = (T)0;
  FOR_EACH(v, n) {
    scores[v] = everywhere;
    send[v] = everywhere * shares[v];
    if (shares[v] == (T)0) dangling += everywhere;
  }
  dangling = group_sum_t(dangling, scratch);
  if (local_id() == 0u) lost[group_id()] = dangling;
}

// One group: what the groups found, and whether step number `step` was the last; 0 is before the first.
KERNEL graph_rank_settle(u32 slots, u32 step, T limit, GLOBAL const T *RESTRICT changes, GLOBAL const T *RESTRICT lost,
                         GLOBAL T *RESTRICT sums) {
  SHARED T scratch[BLOCK];
  if (sums[DONE] != (T)0) return;
  T change = (T)0, dangling = (T)0;
  for (u32 i = local_id(); i < slots; i += BLOCK) {
    change += changes[i];
    dangling += lost[i];
  }
  change = group_sum_t(change, scratch);
  dangling = group_sum_t(dangling, scratch);
  if (local_id() == 0u) {
    sums[DANGLING] = dangling;
    if (step > 0u) {
      sums[RESIDUAL] = change;
      sums[TAKEN] = (T)step;
      sums[DONE] = change < limit ? (T)1 : (T)0;
    }
  }
}

// A step for all nodes but those with long rows.
KERNEL graph_rank_pull(u64 n, T damping, T everywhere, u32 personal, u32 weighted, GLOBAL const u32 *RESTRICT offsets,
                       GLOBAL const u32 *RESTRICT targets, GLOBAL const T *RESTRICT weights,
                       GLOBAL const T *RESTRICT shares, GLOBAL const T *RESTRICT jump, GLOBAL const T *RESTRICT sent,
                       GLOBAL T *RESTRICT send, GLOBAL T *RESTRICT scores, GLOBAL T *RESTRICT changes,
                       GLOBAL T *RESTRICT lost, GLOBAL const T *RESTRICT sums) {
  SHARED T scratch[BLOCK];
  SHARED T arrived[BLOCK];
  SHARED u32 rows[BLOCK];
  SHARED u32 listed[1];
  if (sums[DONE] != (T)0) return;
  const u32 t = local_id();
  const T falls = damping * sums[DANGLING] + (T)1 - damping;
  T change = (T)0, dangling = (T)0;
  for (u64 tile = (u64)group_id() * BLOCK; tile < n; tile += (u64)group_count() * BLOCK) {
    const u64 v = tile + t;
    const u32 from = v < n ? offsets[v] : 0u, to = v < n ? offsets[v + 1u] : 0u, degree = to - from;
    if (t == 0u) listed[0] = 0u;
    group_barrier();
    T sum = (T)0;
    if (degree <= SHORT) sum = rank_arriving(targets, weights, sent, weighted, from, to, 1u);
    else if (degree <= LONG) rows[shared_fetch_add_u32(listed, 1u)] = t;
    group_barrier();
    const u32 count = listed[0];
    for (u32 r = t / SUBGROUP; r < count; r += BLOCK / SUBGROUP) {
      const u64 row = tile + rows[r];
      T part = rank_arriving(targets, weights, sent, weighted, offsets[row] + t % SUBGROUP, offsets[row + 1u], SUBGROUP);
#if SUBGROUP > 1
      for (u32 mask = SUBGROUP / 2u; mask > 0u; mask >>= 1) part += rank_shuffle_xor(part, mask);
#endif
      if (t % SUBGROUP == 0u) arrived[rows[r]] = part;
    }
    group_barrier();
    if (v < n && degree <= LONG) RANK_TAKE(v, degree <= SHORT ? sum : arrived[t]);
  }
  change = group_sum_t(change, scratch);
  dangling = group_sum_t(dangling, scratch);
  if (t == 0u) {
    changes[group_id()] = change;
    lost[group_id()] = dangling;
  }
}

// What arrives along the parts of long rows, a part a group at a time. `far` says how many rows there are, then each with
// the number of its first part, then none with the number of all parts.
KERNEL graph_rank_long(u32 weighted, GLOBAL const u32 *RESTRICT offsets, GLOBAL const u32 *RESTRICT targets,
                       GLOBAL const T *RESTRICT weights, GLOBAL const T *RESTRICT sent, GLOBAL const u32 *RESTRICT far,
                       GLOBAL T *RESTRICT parts, GLOBAL const T *RESTRICT sums) {
  SHARED T scratch[BLOCK];
  if (sums[DONE] != (T)0) return;
  const u32 count = far[2u + 2u * far[0]];
  u32 r = 0u;
  for (u32 p = group_id(); p < count; p += group_count()) {
    while (far[4u + 2u * r] <= p) r++;
    const u32 u = far[1u + 2u * r], from = offsets[u] + (p - far[2u + 2u * r]) * LONG, end = offsets[u + 1u];
    const u32 to = end - from < LONG ? end : from + LONG;
    T sum = rank_arriving(targets, weights, sent, weighted, from + local_id(), to, BLOCK);
    sum = group_sum_t(sum, scratch);
    if (local_id() == 0u) parts[p] = sum;
  }
}

// One group: the step for the nodes with long rows.
KERNEL graph_rank_join(u32 slot, T damping, T everywhere, u32 personal, GLOBAL const u32 *RESTRICT offsets,
                       GLOBAL const u32 *RESTRICT far, GLOBAL const T *RESTRICT parts, GLOBAL const T *RESTRICT shares,
                       GLOBAL const T *RESTRICT jump, GLOBAL T *RESTRICT send, GLOBAL T *RESTRICT scores,
                       GLOBAL T *RESTRICT changes, GLOBAL T *RESTRICT lost, GLOBAL const T *RESTRICT sums) {
  SHARED T scratch[BLOCK];
  if (sums[DONE] != (T)0) return;
  const T falls = damping * sums[DANGLING] + (T)1 - damping;
  T change = (T)0, dangling = (T)0;
  for (u32 r = local_id(); r < far[0]; r += BLOCK) {
    const u32 u = far[1u + 2u * r], first = far[2u + 2u * r];
    const u32 count = (offsets[u + 1u] - offsets[u] + LONG - 1u) / LONG;
    T sum = (T)0;
    for (u32 p = 0u; p < count; p++) sum += parts[first + p];
    RANK_TAKE(u, sum);
  }
  change = group_sum_t(change, scratch);
  dangling = group_sum_t(dangling, scratch);
  if (local_id() == 0u) {
    changes[slot] = change;
    lost[slot] = dangling;
  }
}
