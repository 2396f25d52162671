// NVIDIA's driver as it must never be: what FAKE_CUDA says goes wrong, the rest is the fake driver of the drivers' tests.
#define cuInit good_cuInit
#define cuStreamSynchronize good_cuStreamSynchronize
#define cuMemcpyHtoDAsync_v2 good_cuMemcpyHtoDAsync_v2
#define cuMemAlloc_v2 good_cuMemAlloc_v2
#define cuModuleLoadData good_cuModuleLoadData
#define cuLaunchKernel good_cuLaunchKernel
#include FAKE_DRIVER
#undef cuInit
#undef cuStreamSynchronize
#undef cuMemcpyHtoDAsync_v2
#undef cuMemAlloc_v2
#undef cuModuleLoadData
#undef cuLaunchKernel
#include <unistd.h>

static int is(const char *wrong) {
  const char *set = getenv("FAKE_CUDA");
  return set && strcmp(set, wrong) == 0;
}
static void crash(void) { *(volatile int *)8 = 1; }
static void hang(void) { for (;;) pause(); }
static int uploads = 0, waits = 0, launches = 0;

R cuInit(unsigned f) {
  if (is("init_fails")) return 100;
  if (is("init_crashes")) crash();
  if (is("init_hangs")) hang();
  return good_cuInit(f);
}
R cuMemAlloc_v2(uint64_t *p, size_t n) { return is("alloc_fails") ? 2 : good_cuMemAlloc_v2(p, n); }
R cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, void *q) {
  uploads++;
  if (is("upload_fails")) return 700;
  if (is("upload_crashes_fiftieth") && uploads % 50 == 0) crash();
  return good_cuMemcpyHtoDAsync_v2(d, s, n, q);
}
R cuStreamSynchronize(void *s) {
  waits++;
  if (is("wait_hangs_tenth") && waits % 10 == 0) hang();
  return good_cuStreamSynchronize(s);
}
// There is code for a card that is none only where its starts are what goes wrong.
R cuModuleLoadData(void **m, const void *i) { return is("launch_crashes_fiftieth") ? good_cuModuleLoadData(m, i) : 209; }
// Out of resources, until it is worse.
R cuLaunchKernel(void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned h, void *s, void **p, void **x) {
  launches++;
  if (launches % 50 == 0) crash();
  return 701;
}
