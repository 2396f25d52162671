// A driver of host memory with the names of NVIDIA's: what is above it can be tried on a machine without a card. Kernels
// load and start and do nothing, but for the transpose of PTX.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "slices.h"
typedef int R;
typedef struct { double at; } Event;
static size_t used = 0, limit = (size_t)3 << 30;
// Of a card in slices a process sees the one that is named, or the first.
static Slice *seen = 0;
R cuInit(unsigned f) {
  const char *set = getenv("CUDA_VISIBLE_DEVICES"), *name = set && !strncmp(set, "MIG-", 4) ? set : 0;
  int n = read_slices();
  seen = 0;
  for (int i = 0; i < n && !seen; i++)
    if (!name || strcmp(name, slices[i].uuid) == 0) seen = &slices[i];
  if (n >= 0 && !seen) return 100;
  if (seen) limit = seen->mib << 20;
  return 0;
}
R cuDeviceGetUuid_v2(unsigned char *u, int d) {
  const char *text = seen ? seen->uuid + 4 : "00000000-0000-0000-0000-000000000000";
  for (int i = 0; i < 16; i++, text += 2) {
    if (*text == '-') text++;
    unsigned byte;
    if (sscanf(text, "%2x", &byte) != 1) return 1;
    u[i] = byte;
  }
  return 0;
}
R cuDriverGetVersion(int *v) { *v = 13000; return 0; }
R cuDeviceGetCount(int *n) { *n = 1; return 0; }
R cuDeviceGet(int *d, int i) { *d = i; return 0; }
R cuDeviceGetName(char *s, int n, int d) { strncpy(s, "fake card", n); return 0; }
R cuDeviceTotalMem_v2(size_t *n, int d) { *n = limit; return 0; }
R cuDeviceGetPCIBusId(char *s, int n, int d) { strncpy(s, "00000000:3B:00.0", n); return 0; }
R cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 16 ? (seen ? seen->units : 132) : a == 75 ? 9 : 0; return 0; }
R cuDevicePrimaryCtxRetain(void **c, int d) { *c = (void *)1; return 0; }
R cuCtxSetCurrent(void *c) { return c == (void *)1 ? 0 : 201; }
R cuMemGetInfo_v2(size_t *f, size_t *t) { *f = limit - used; *t = limit; return 0; }
R cuMemAlloc_v2(uint64_t *p, size_t n) {
  if (n > limit - used) return 2;
  size_t *m = malloc(n + 512);
  if (!m) return 2;
  m[0] = n; used += n;
  memset(m + 64, 0xa5, n);
  *p = (uint64_t)(m + 64);
  return 0;
}
R cuMemFree_v2(uint64_t p) { size_t *m = (size_t *)p - 64; used -= m[0]; free(m); return 0; }
R cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, void *q) { memcpy((void *)d, s, n); return 0; }
R cuMemcpyDtoHAsync_v2(void *d, uint64_t s, size_t n, void *q) { memcpy(d, (void *)s, n); return 0; }
R cuMemcpyDtoDAsync_v2(uint64_t d, uint64_t s, size_t n, void *q) { memmove((void *)d, (void *)s, n); return 0; }
R cuMemsetD8Async(uint64_t d, unsigned char b, size_t n, void *q) { memset((void *)d, b, n); return 0; }
R cuMemHostRegister_v2(void *p, size_t n, unsigned f) { return 0; }
R cuMemHostUnregister(void *p) { return 0; }
R cuCtxGetStreamPriorityRange(int *l, int *g) { *l = 0; *g = -5; return 0; }
R cuStreamCreateWithPriority(void **s, unsigned f, int p) { *s = malloc(1); return 0; }
R cuStreamSynchronize(void *s) { return 0; }
R cuStreamDestroy_v2(void *s) { free(s); return 0; }
R cuEventCreate(void **e, unsigned f) { *e = calloc(1, sizeof(Event)); return 0; }
R cuEventRecord(void *e, void *s) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
  ((Event *)e)->at = t.tv_sec * 1e3 + t.tv_nsec / 1e6;
  return 0;
}
R cuEventElapsedTime(float *ms, void *a, void *b) { *ms = ((Event *)b)->at - ((Event *)a)->at; return 0; }
R cuEventDestroy_v2(void *e) { free(e); return 0; }
// Machine code is any; all of its entries are there.
#define CODE ((void *)2)
#define IDLE ((void *)3)
#define TRANSPOSE ((void *)4)
R cuModuleLoadData(void **m, const void *i) { *m = CODE; return 0; }
// PTX has to look like it, and to end with a zero; it is kept for its entries, and in the file FAKE_CUDA_PTX.
R cuModuleLoadDataEx(void **m, const void *i, unsigned n, int *options, void **values) {
  const char *wrong = strstr(i, ".version ") && strstr(i, ".target sm_70") ? getenv("FAKE_CUDA_JIT") : "no PTX for sm_70";
  for (unsigned k = 0; wrong && k + 1 < n; k++)
    if (options[k] == 5 && options[k + 1] == 6) {
      snprintf(values[k], (size_t)values[k + 1], "%s", wrong);
      values[k + 1] = (void *)strlen(wrong);
    }
  if (wrong) return strcmp(wrong, "too old") ? 218 : 222;
  const char *path = getenv("FAKE_CUDA_PTX");
  FILE *file = path ? fopen(path, "a") : 0;
  if (file) { fputs(i, file); fclose(file); }
  *m = strdup(i);
  return 0;
}
R cuModuleGetFunction(void **f, void *m, const char *n) {
  char entry[256];
  *f = IDLE;
  if (m == CODE) return 0;
  snprintf(entry, sizeof entry, ".entry %s(", n);
  if (!strstr(m, entry)) return 500;
  if (!strcmp(n, "matrix_transpose")) *f = TRANSPOSE;
  return 0;
}
// Of matrices of doubles, as many as there are groups for tiles of 32 x 32.
static R transpose(unsigned groups, void **p) {
  uint64_t rows = *(uint32_t *)p[0], columns = *(uint32_t *)p[1], tiles = (rows + 31) / 32 * ((columns + 31) / 32);
  double *from = *(double **)p[2] + *(uint64_t *)p[3], *to = *(double **)p[4] + *(uint64_t *)p[5];
  for (uint64_t k = 0; k < groups / tiles; k++)
    for (uint64_t i = 0; i < rows; i++)
      for (uint64_t j = 0; j < columns; j++) to[(k * columns + j) * rows + i] = from[(k * rows + i) * columns + j];
  return 0;
}
R cuLaunchKernel(void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned h, void *s, void **p, void **x) {
  return f == TRANSPOSE ? transpose(a, p) : 0;
}
R cuGetErrorName(int e, const char **s) { *s = "FAKE_ERROR"; return 0; }
