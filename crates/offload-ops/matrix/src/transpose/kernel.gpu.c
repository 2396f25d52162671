// Transposes of row-major matrices one after another, in tiles of TILE x TILE. A group moves one tile; both its reads and
// its writes run along memory, and the padding keeps the columns of a tile in different banks.
KERNEL matrix_transpose(u32 rows, u32 columns, GLOBAL const T *RESTRICT from, u64 from_at, GLOBAL T *RESTRICT to,
                        u64 to_at) {
  SHARED T tile[TILE * (TILE + 1)];
  const u32 down = (rows + TILE - 1u) / TILE, across = (columns + TILE - 1u) / TILE;
  const u32 tiles = down * across, matrix = group_id() / tiles, place = group_id() % tiles;
  const u32 row = place / across * TILE, column = place % across * TILE;
  const u32 x = local_id() % TILE, y = local_id() / TILE;
  const u64 base = (u64)matrix * rows * columns;
  for (u32 i = y; i < TILE; i += BLOCK / TILE)
    if (row + i < rows && column + x < columns)
      tile[i * (TILE + 1) + x] = from[from_at + base + (u64)(row + i) * columns + column + x];
  group_barrier();
  for (u32 i = y; i < TILE; i += BLOCK / TILE)
    if (column + i < columns && row + x < rows)
      to[to_at + base + (u64)(column + i) * rows + row + x] = tile[x * (TILE + 1) + i];
}
