// The slices of the fake card, from the file FAKE_SLICES: a line for each with its UUID, part, MiB and multiprocessors.
// Without the variable the card is whole; with an empty file it is in MIG mode and has none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { char uuid[64]; unsigned part; unsigned long long mib; unsigned units; } Slice;
static Slice slices[8];

// How many there are; -1 when the card is whole.
static int read_slices(void) {
  const char *path = getenv("FAKE_SLICES");
  FILE *file = path ? fopen(path, "r") : 0;
  if (!file) return -1;
  int n = 0;
  while (n < 8 && fscanf(file, "%63s %u %llu %u", slices[n].uuid, &slices[n].part, &slices[n].mib, &slices[n].units) == 4) n++;
  fclose(file);
  return n;
}
