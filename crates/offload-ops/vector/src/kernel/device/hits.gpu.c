// What a sift is cut into, and how it takes rows in: a group holds SPAN queries against strips of STRIP rows. Queries
// come in panels of PANEL, of which CHUNK columns lie next to one another: panel, chunk, query, column.
#define NONE (~(u64)0)
#define SPAN 256u
#define PANEL 64u
#define STRIP 64u
#define CHUNK 16u
#define PIECE (PANEL * CHUNK)
#define LEAST_BOUND AS_F32(0xff800000u)
#define NOT_A_NUMBER AS_F32(0x7fc00000u)

// Takes a row in while there is room. The set is the same in each run though its order is not; of a list that runs over
// only that counts.
DEVICE void sift_take(LOCAL u32 *taken, u32 capacity, f32 bound, u32 row, GLOBAL u64 *keys, GLOBAL u32 *rows) {
  const u32 place = shared_fetch_add_u32(taken, 1u);
  if (place < capacity) { keys[place] = bound_key(bound); rows[place] = row; }
}

