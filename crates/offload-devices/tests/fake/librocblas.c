// rocBLAS over host memory, by loops. Its own memory is of the driver until it is given other. What it leaves in a
// workspace is not zero, and a workspace that is not of the driver's memory is an internal error.
#ifndef T
#include "rocblas.h"
R hipMalloc(uint64_t *p, size_t n);
R hipFree(uint64_t p);
int fake_holds(uint64_t p, size_t n);
// Where the last workspace lay that was given, but for the one that a handle keeps, and how many bytes it had.
static size_t given;
size_t fake_given(void) { return given; }
R rocblas_create_handle(void **h) {
  Handle *made = calloc(1, sizeof(Handle));
  made->size = 1 << 20;
  if (hipMalloc((uint64_t *)&made->work, made->size)) return 5;
  *h = made;
  return 0;
}
R rocblas_destroy_handle(void *p) {
  Handle *h = p;
  if (!h->owned) hipFree((uint64_t)h->work);
  free(h);
  return 0;
}
R rocblas_set_stream(void *h, void *s) { ((Handle *)h)->stream = s; return 0; }
R rocblas_set_workspace(void *p, void *at, size_t bytes) {
  Handle *h = p;
  if (!h->owned) hipFree((uint64_t)h->work);
  h->work = at; h->size = bytes; h->owned = 1;
  if (bytes != 32 << 20) given = bytes;
  return 0;
}
R rocblas_start_device_memory_size_query(void *p) {
  Handle *h = p;
  if (h->query) return 8;
  h->query = 1; h->asked = 0;
  return 0;
}
R rocblas_stop_device_memory_size_query(void *p, size_t *bytes) {
  Handle *h = p;
  if (!h->query) return 8;
  h->query = 0; *bytes = h->asked;
  return 0;
}
R fake_work(Handle *h, size_t bytes) {
  if (h->query) {
    if (bytes <= h->asked) return 10;
    h->asked = bytes;
    return 9;
  }
  if (bytes > h->size) return 5;
  if (!fake_holds((uint64_t)h->work, h->size)) return 6;
  memset(h->work, 0x5a, bytes);
  return 0;
}
#define T float
#define N(name) rocblas_s##name
#include "librocblas.c"
#undef T
#undef N
#define T double
#define N(name) rocblas_d##name
#include "librocblas.c"
#else
// Column-major, as all of them: entry (i, j) of an operand that may be transposed.
#define OP(a, ld, t, i, j) ((t) == 112 ? (a)[(size_t)(i) * (ld) + (j)] : (a)[(size_t)(j) * (ld) + (i)])
R N(gemm_strided_batched)(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *a, int lda, int64_t sa,
                          const T *b, int ldb, int64_t sb, const T *beta, T *c, int ldc, int64_t sc, int batch) {
  R code = fake_work(h, 4096);
  if (code) return code;
  for (int i = 0; i < batch; i++, a += sa, b += sb, c += sc)
    for (int col = 0; col < n; col++)
      for (int row = 0; row < m; row++) {
        double sum = 0;
        for (int x = 0; x < k; x++) sum += (double)OP(a, lda, ta, row, x) * OP(b, ldb, tb, x, col);
        T *to = c + (size_t)col * ldc + row;
        *to = *alpha * sum + (*beta == 0 ? 0 : *beta * *to);
      }
  return 0;
}
R N(geam_strided_batched)(Handle *h, int ta, int tb, int m, int n, const T *alpha, const T *a, int lda, int64_t sa,
                          const T *beta, const T *b, int ldb, int64_t sb, T *c, int ldc, int64_t sc, int batch) {
  for (int i = 0; i < batch; i++, a += sa, b += sb, c += sc)
    for (int col = 0; col < n; col++)
      for (int row = 0; row < m; row++)
        c[(size_t)col * ldc + row] =
            *alpha * OP(a, lda, ta, row, col) + (*beta == 0 ? 0 : *beta * OP(b, ldb, tb, row, col));
  return 0;
}
#endif
