// The value of any rank among values in a row, from a wavelet matrix: two look-ups a level, whatever their number.
#define LEVELS 64u

// Values in a row that begin alike: where they stand at their level, how many in that row are smaller than all of them, and
// the bits they begin with.
typedef struct { u32 from, to, smaller, level; u64 key; } ranks_node;

// Where the matrix is.
typedef struct { u32 words; GLOBAL const u32 *marks; GLOBAL const u32 *totals; } ranks_matrix;

DEVICE ranks_matrix ranks_of(u32 words, GLOBAL const u32 *marks, GLOBAL const u32 *totals) {
  ranks_matrix m;
  m.words = words;
  m.marks = marks;
  m.totals = totals;
  return m;
}

// All values at `from` up to `to`.
DEVICE ranks_node ranks_root(u32 from, u32 to) {
  ranks_node node;
  node.from = from;
  node.to = to;
  node.smaller = 0u;
  node.level = 0u;
  node.key = 0;
  return node;
}

// How many zeros stand before a place at a level.
DEVICE u32 ranks_zeros(ranks_matrix m, u32 level, u32 place) {
  GLOBAL const u32 *pair = m.marks + ((u64)level * m.words + place / 32u) * 2u;
  return pair[0] + popcount_u32(pair[1] & ((1u << (place % 32u)) - 1u));
}

// Those whose next bit is `bit`, when `a` and `b` zeros stand before the ends.
DEVICE ranks_node ranks_child(ranks_matrix m, ranks_node node, u32 bit, u32 a, u32 b) {
  if (bit) {
    const u32 total = m.totals[node.level];
    node.from = total + node.from - a;
    node.to = total + node.to - b;
    node.smaller += b - a;
    node.key |= (u64)1 << (LEVELS - 1u - node.level);
  } else {
    node.from = a;
    node.to = b;
  }
  node.level++;
  return node;
}

// All that equal the one of this rank, from 0, among those of a node.
DEVICE ranks_node ranks_find(ranks_matrix m, ranks_node node, u32 rank) {
  rank += node.smaller;
  while (node.level < LEVELS) {
    const u32 a = ranks_zeros(m, node.level, node.from), b = ranks_zeros(m, node.level, node.to);
    node = ranks_child(m, node, rank >= node.smaller + (b - a) ? 1u : 0u, a, b);
  }
  return node;
}

DEVICE f64 ranks_value(u64 key) { return AS_F64((key >> 63) != 0 ? key ^ (u64)1 << 63 : ~key); }
