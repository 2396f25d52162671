// A driver of host memory with the names of NVIDIA's: what is above it can be tried on a machine without a card. Kernels
// load and start and do nothing, but for two of PTX. Launches can be recorded, unless NO_GRAPHS is defined.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "slices.h"
typedef int R;
typedef struct { double at; } Event;
static size_t used = 0, limit = (size_t)3 << 30;
// Memory that was given, each piece with its size and the next before it.
static size_t *blocks;
static pthread_mutex_t books = PTHREAD_MUTEX_INITIALIZER;

// What a test wants to know of graphs, and what it wants to go wrong: each call by its name, answering this code.
static char trace[1 << 16];
static const char *failing = "";
static int with, alive;
const char *fake_trace(void) { return trace; }
void fake_fail(const char *call, int code) { failing = strdup(call); with = code; }
int fake_alive(void) { return alive; }
static int fails(const char *call) {
  if (strlen(trace) + strlen(call) + 2 < sizeof trace) strcat(strcat(trace, call), " ");
  return strcmp(failing, call) ? 0 : with;
}

// Kernels take their arguments as numbers, so that they can be kept.
typedef struct { void *f; uint64_t p[6]; unsigned groups; } Node;
typedef struct { int count; Node *nodes; } Graph;
typedef struct { int recording, broken; Graph graph; } Stream;
#define ADD ((void *)5)
#define COPY ((void *)6)
#define SET ((void *)7)
static __thread int recordings;
static R run(Node *n);
static R start(Stream *s, Node n) {
  if (!s || !s->recording) return run(&n);
  R code = fails("noted");
  if (code) { s->broken = 1; return code; }
  s->graph.nodes = realloc(s->graph.nodes, (s->graph.count + 1) * sizeof n);
  s->graph.nodes[s->graph.count++] = n;
  return 0;
}
// What cannot be recorded ends the recording.
static R refuse(Stream *s) {
  if (!s || !s->recording) return 0;
  s->broken = 1;
  return 900;
}
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
  if (recordings) return 900;
  if (n > limit - used) return 2;
  size_t *m = malloc(n + 512);
  if (!m) return 2;
  pthread_mutex_lock(&books);
  m[0] = n; m[1] = (size_t)blocks; blocks = m; used += n;
  pthread_mutex_unlock(&books);
  memset(m + 64, 0xa5, n);
  *p = (uint64_t)(m + 64);
  return 0;
}
R cuMemFree_v2(uint64_t p) {
  size_t *m = (size_t *)p - 64, **at = &blocks;
  pthread_mutex_lock(&books);
  while (*at && *at != m) at = (size_t **)(*at + 1);
  if (*at) { *at = (size_t *)m[1]; used -= m[0]; free(m); m = 0; }
  pthread_mutex_unlock(&books);
  return m ? 1 : 0;
}
// Whether these bytes are of the driver's memory.
int fake_holds(uint64_t p, size_t n) {
  int held = 0;
  pthread_mutex_lock(&books);
  for (size_t *m = blocks; m && !held; m = (size_t *)m[1])
    held = p >= (uint64_t)(m + 64) && p + n <= (uint64_t)(m + 64) + m[0];
  pthread_mutex_unlock(&books);
  return held;
}
R cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, void *q) {
  if (refuse(q)) return 900;
  memcpy((void *)d, s, n);
  return 0;
}
R cuMemcpyDtoHAsync_v2(void *d, uint64_t s, size_t n, void *q) {
  if (refuse(q)) return 900;
  memcpy(d, (void *)s, n);
  return 0;
}
R cuMemcpyDtoDAsync_v2(uint64_t d, uint64_t s, size_t n, void *q) { return start(q, (Node){COPY, {d, s, n}}); }
R cuMemsetD8Async(uint64_t d, unsigned char b, size_t n, void *q) { return start(q, (Node){SET, {d, b, n}}); }
R cuMemHostRegister_v2(void *p, size_t n, unsigned f) { return 0; }
R cuMemHostUnregister(void *p) { return 0; }
R cuCtxGetStreamPriorityRange(int *l, int *g) { *l = 0; *g = -5; return 0; }
R cuStreamCreateWithPriority(void **s, unsigned f, int p) { *s = calloc(1, sizeof(Stream)); return 0; }
R cuStreamSynchronize(void *s) { return refuse(s); }
R cuStreamDestroy_v2(void *s) {
  if (((Stream *)s)->recording) recordings--, alive--;
  free(s);
  return 0;
}
R cuEventCreate(void **e, unsigned f) { *e = calloc(1, sizeof(Event)); return 0; }
R cuEventRecord(void *e, void *s) {
  if (refuse(s)) return 900;
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
  if (!strcmp(n, "test_add")) *f = ADD;
  return 0;
}
// Of matrices of doubles, as many as there are groups for tiles of 32 x 32.
static R transpose(unsigned groups, uint64_t *p) {
  uint64_t rows = p[0], columns = p[1], tiles = (rows + 31) / 32 * ((columns + 31) / 32);
  double *from = (double *)p[2] + p[3], *to = (double *)p[4] + p[5];
  for (uint64_t k = 0; k < groups / tiles; k++)
    for (uint64_t i = 0; i < rows; i++)
      for (uint64_t j = 0; j < columns; j++) to[(k * columns + j) * rows + i] = from[(k * rows + i) * columns + j];
  return 0;
}
static R run(Node *n) {
  uint64_t *p = n->p;
  if (n->f == TRANSPOSE) return transpose(n->groups, p);
  if (n->f == ADD) for (uint64_t i = 0; i < p[0]; i++) ((uint64_t *)p[2])[i] += p[1];
  if (n->f == COPY) memmove((void *)p[0], (void *)p[1], p[2]);
  if (n->f == SET) memset((void *)p[0], (int)p[1], p[2]);
  return 0;
}
R cuLaunchKernel(void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned h, void *s, void **p, void **x) {
  // Bytes of each argument.
  const char *sizes = f == TRANSPOSE ? "448888" : f == ADD ? "488" : "";
  Node n = {f, {0}, a};
  for (int i = 0; sizes[i]; i++) memcpy(n.p + i, p[i], sizes[i] - '0');
  return start(s, n);
}
#ifndef NO_GRAPHS
R cuStreamBeginCapture_v2(void *q, int mode) {
  Stream *s = q;
  R code = fails("begin");
  if (code || s->recording || mode != 1) return code ? code : 1;
  s->recording = 1; s->broken = 0; s->graph = (Graph){0};
  recordings++; alive++;
  return 0;
}
// A driver that answers 901 has left the recording, and one that answers anything else but 0 has not.
R cuStreamEndCapture(void *q, void **graph) {
  Stream *s = q;
  R code = fails("end");
  *graph = 0;
  if (!s->recording) return 1;
  if (!code && s->broken) code = 901;
  if (code && code != 901) return code;
  s->recording = 0; recordings--; alive--;
  if (code) { free(s->graph.nodes); return code; }
  *graph = memcpy(malloc(sizeof(Graph)), &s->graph, sizeof(Graph));
  alive++;
  return 0;
}
R cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  R code = fails("instantiate");
  if (code) return code;
  Graph *from = graph, *to = malloc(sizeof *to);
  *to = (Graph){from->count, malloc(from->count * sizeof(Node) + 1)};
  memcpy(to->nodes, from->nodes, from->count * sizeof(Node));
  *executable = to;
  alive++;
  return 0;
}
R cuGraphLaunch(void *executable, void *q) {
  R code = fails("start");
  if (code || refuse(q)) return code ? code : 900;
  Graph *g = executable;
  for (int i = 0; i < g->count; i++) run(g->nodes + i);
  return 0;
}
static R end(const char *call, Graph *g) {
  R code = fails(call);
  free(g->nodes); free(g);
  alive--;
  return code;
}
R cuGraphDestroy(void *graph) { return end("destroy", graph); }
R cuGraphExecDestroy(void *executable) { return end("destroy_executable", executable); }
#endif
R cuGetErrorName(int e, const char **s) { *s = "FAKE_ERROR"; return 0; }
