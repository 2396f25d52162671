// NVIDIA's compiler as far as it is called: whatever the text, its code is four bytes.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// It knows the card, or with FAKE_NVRTC_OLD it is older.
int nvrtcGetNumSupportedArchs(int *n) { *n = 2; return 0; }
int nvrtcGetSupportedArchs(int *known) { known[0] = 52; known[1] = getenv("FAKE_NVRTC_OLD") ? 86 : 90; return 0; }
int nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 0; return 0; }
int nvrtcCreateProgram(void **p, const char *s, const char *n, int k, const char *const *h, const char *const *i) { *p = (void *)1; return 0; }
int nvrtcCompileProgram(void *p, int n, const char *const *options) { return 0; }
int nvrtcGetProgramLogSize(void *p, size_t *n) { *n = 1; return 0; }
int nvrtcGetProgramLog(void *p, char *log) { *log = 0; return 0; }
int nvrtcGetCUBINSize(void *p, size_t *n) { *n = 4; return 0; }
int nvrtcGetCUBIN(void *p, char *code) { memcpy(code, "code", 4); return 0; }
int nvrtcDestroyProgram(void **p) { return 0; }
