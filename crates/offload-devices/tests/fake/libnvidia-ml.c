// NVIDIA's management library for the card of libcuda.c: one card, whole or in slices.
#include "slices.h"
typedef int R;
typedef void *Handle;
#define CARD ((Handle)1)
static int count = -1;
static Slice *of(Handle h) { return h == CARD ? 0 : (Slice *)h; }
static R give(char *to, unsigned n, const char *text) {
  if (strlen(text) >= n) return 7;
  strcpy(to, text);
  return 0;
}
R nvmlInit_v2(void) { count = read_slices(); return 0; }
R nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
R nvmlDeviceGetHandleByIndex_v2(unsigned i, Handle *h) { *h = CARD; return i ? 2 : 0; }
R nvmlDeviceGetHandleByPciBusId_v2(const char *s, Handle *h) { *h = CARD; return 0; }
R nvmlDeviceGetName(Handle h, char *s, unsigned n) { return give(s, n, "fake card"); }
R nvmlDeviceGetUUID(Handle h, char *s, unsigned n) {
  return give(s, n, of(h) ? of(h)->uuid : "GPU-00000000-0000-0000-0000-000000000000");
}
R nvmlDeviceGetPciInfo_v3(Handle h, char *p) {
  memset(p, 0, 68);
  strcpy(p + 36, "00000000:3B:00.0");
  return 0;
}
R nvmlDeviceGetCudaComputeCapability(Handle h, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
R nvmlDeviceGetMemoryInfo(Handle h, unsigned long long *m) {
  m[0] = m[1] = (of(h) ? of(h)->mib : 3072) << 20;
  m[2] = 0;
  return 0;
}
R nvmlDeviceGetMigMode(Handle h, unsigned *now, unsigned *next) { *now = *next = count >= 0; return of(h) ? 2 : 0; }
// As many as there can be: some of them are not.
R nvmlDeviceGetMaxMigDeviceCount(Handle h, unsigned *n) { *n = count < 0 ? 0 : 7; return 0; }
R nvmlDeviceGetMigDeviceHandleByIndex(Handle h, unsigned i, Handle *s) {
  if (h != CARD || (int)i >= count) return 6;
  *s = &slices[i];
  return 0;
}
R nvmlDeviceGetGpuInstanceId(Handle h, unsigned *id) { return of(h) ? (*id = of(h)->part, 0) : 2; }
R nvmlDeviceGetAttributes_v2(Handle h, unsigned *a) {
  if (!of(h)) return 3;
  memset(a, 0, 40);
  a[0] = of(h)->units;
  *(unsigned long long *)(a + 8) = of(h)->mib;
  return 0;
}
// A card in slices does not tell how busy it is.
R nvmlDeviceGetUtilizationRates(Handle h, unsigned *u) { u[0] = 12; u[1] = 3; return count < 0 ? 0 : 3; }
R nvmlDeviceGetTemperature(Handle h, int sensor, unsigned *t) { *t = 41; return 0; }
R nvmlDeviceGetPowerUsage(Handle h, unsigned *p) { *p = 99000; return 0; }
R nvmlDeviceGetTotalEccErrors(Handle h, int kind, int counter, unsigned long long *n) { *n = 0; return 0; }
