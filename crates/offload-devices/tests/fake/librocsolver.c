// rocSOLVER over host memory, by the textbook's loops: what is above it is held against right answers, not this.
#ifndef T
#include "rocblas.h"
#define A(i, j) a[(size_t)(j) * lda + (i)]
#define BEGIN(bytes) do { R code = fake_work(h, (bytes)); if (code) return code; } while (0)
#define T float
#define N(name) rocsolver_s##name
#include "librocsolver.c"
#undef T
#undef N
#define T double
#define N(name) rocsolver_d##name
#include "librocsolver.c"
#else
static void N(swap)(T *x, T *y) { T z = *x; *x = *y; *y = z; }
static void N(factor)(int n, T *a, int lda, int *pivots, int *info) {
  *info = 0;
  for (int j = 0; j < n; j++) {
    int p = j;
    for (int i = j; i < n; i++) if (fabs(A(i, j)) > fabs(A(p, j))) p = i;
    pivots[j] = p + 1;
    if (A(p, j) == 0) { if (!*info) *info = j + 1; continue; }
    for (int c = 0; c < n; c++) N(swap)(&A(j, c), &A(p, c));
    for (int i = j + 1; i < n; i++) A(i, j) /= A(j, j);
    for (int c = j + 1; c < n; c++) for (int i = j + 1; i < n; i++) A(i, c) -= A(i, j) * A(j, c);
  }
}
static void N(apply)(int transposed, int n, const T *a, int lda, const int *pivots, T *x) {
  if (!transposed) for (int i = 0; i < n; i++) N(swap)(x + i, x + pivots[i] - 1);
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < i; k++) x[i] -= (transposed ? A(k, i) : A(i, k)) * x[k];
    if (transposed) x[i] /= A(i, i);
  }
  for (int i = n - 1; i >= 0; i--) {
    for (int k = i + 1; k < n; k++) x[i] -= (transposed ? A(k, i) : A(i, k)) * x[k];
    if (!transposed) x[i] /= A(i, i);
  }
  if (transposed) for (int i = n - 1; i >= 0; i--) N(swap)(x + i, x + pivots[i] - 1);
}
R N(getrf)(Handle *h, int m, int n, T *a, int lda, int *pivots, int *info) {
  BEGIN(sizeof(T) * n * n);
  N(factor)(n, a, lda, pivots, info);
  return 0;
}
R N(getrs)(Handle *h, int op, int n, int columns, T *a, int lda, const int *pivots, T *b, int ldb) {
  BEGIN(sizeof(T) * n + 64);
  for (int c = 0; c < columns; c++) N(apply)(op == 112, n, a, lda, pivots, b + (size_t)c * ldb);
  return 0;
}
R N(getrf_strided_batched)(Handle *h, int m, int n, T *a, int lda, int64_t sa, int *pivots, int64_t sp, int *info, int batch) {
  BEGIN(sizeof(T) * n * n * batch);
  for (int i = 0; i < batch; i++) N(factor)(n, a + i * sa, lda, pivots + i * sp, info + i);
  return 0;
}
R N(getri_strided_batched)(Handle *h, int n, T *a, int lda, int64_t sa, int *pivots, int64_t sp, int *info, int batch) {
  BEGIN(sizeof(T) * n * n * batch);
  T *x = calloc((size_t)n * n, sizeof(T));
  for (int k = 0; k < batch; k++, a += sa, pivots += sp) {
    info[k] = 0;
    memset(x, 0, sizeof(T) * n * n);
    for (int j = n - 1; j >= 0; j--) if (A(j, j) == 0) info[k] = j + 1;
    for (int j = 0; j < n; j++) {
      x[(size_t)j * n + j] = 1;
      N(apply)(0, n, a, lda, pivots, x + (size_t)j * n);
    }
    for (int j = 0; j < n; j++) memcpy(&A(0, j), x + (size_t)j * n, sizeof(T) * n);
  }
  free(x);
  return 0;
}
R N(potrf)(Handle *h, int side, int n, T *a, int lda, int *info) {
  BEGIN(sizeof(T) * n);
#define L(i, j) (*(side == 122 ? &A(i, j) : &A(j, i)))
  *info = 0;
  for (int j = 0; j < n; j++)
    for (int i = j; i < n; i++) {
      double rest = L(i, j);
      for (int k = 0; k < j; k++) rest -= (double)L(i, k) * L(j, k);
      if (i == j && !(rest > 0)) { *info = j + 1; return 0; }
      L(i, j) = i == j ? sqrt(rest) : rest / L(j, j);
    }
#undef L
  return 0;
}
// Applies I - tau v v' to a column, where v begins with 1.
static void N(reflect)(int m, const T *v, double tau, T *x) {
  double inner = x[0];
  for (int i = 1; i < m; i++) inner += (double)v[i] * x[i];
  x[0] -= tau * inner;
  for (int i = 1; i < m; i++) x[i] -= tau * inner * v[i];
}
R N(geqrf)(Handle *h, int m, int n, T *a, int lda, T *tau) {
  BEGIN(sizeof(T) * n);
  for (int j = 0; j < m && j < n; j++) {
    double below = 0, alpha = A(j, j);
    for (int i = j + 1; i < m; i++) below += (double)A(i, j) * A(i, j);
    tau[j] = 0;
    if (below == 0) continue;
    double beta = -copysign(sqrt(alpha * alpha + below), alpha);
    tau[j] = (beta - alpha) / beta;
    for (int i = j + 1; i < m; i++) A(i, j) /= alpha - beta;
    for (int c = j + 1; c < n; c++) N(reflect)(m - j, &A(j, j), tau[j], &A(j, c));
    A(j, j) = beta;
  }
  return 0;
}
R N(orgqr)(Handle *h, int m, int n, int k, T *a, int lda, T *tau) {
  BEGIN(sizeof(T) * n);
  for (int j = n - 1; j >= 0; j--) {
    T *v = calloc(m, sizeof(T));
    if (j < k) memcpy(v + j, &A(j, j), sizeof(T) * (m - j));
    for (int i = 0; i < m; i++) A(i, j) = i == j;
    if (j < k) for (int c = j; c < n; c++) N(reflect)(m - j, v + j, tau[j], &A(j, c));
    free(v);
  }
  return 0;
}
// Turns the columns of x, of m rows, until they are orthogonal, and those of v, of n rows, along; in doubles.
static void N(turn)(int m, int n, double *x, double *v) {
  for (int sweep = 0, turned = 1; turned && sweep < 60; sweep++) {
    turned = 0;
    for (int p = 0; p < n; p++)
      for (int q = p + 1; q < n; q++) {
        double *a = x + (size_t)p * m, *b = x + (size_t)q * m, aa = 0, bb = 0, ab = 0;
        for (int i = 0; i < m; i++) { aa += a[i] * a[i]; bb += b[i] * b[i]; ab += a[i] * b[i]; }
        if (fabs(ab) <= 1e-16 * sqrt(aa * bb) || ab == 0) continue;
        turned = 1;
        double z = (bb - aa) / (2 * ab), t = (z < 0 ? -1 : 1) / (fabs(z) + sqrt(1 + z * z));
        double c = 1 / sqrt(1 + t * t), s = c * t;
        for (int i = 0; i < m; i++) { double y = a[i]; a[i] = c * y - s * b[i]; b[i] = s * y + c * b[i]; }
        a = v + (size_t)p * n; b = v + (size_t)q * n;
        for (int i = 0; i < n; i++) { double y = a[i]; a[i] = c * y - s * b[i]; b[i] = s * y + c * b[i]; }
      }
  }
}
static double *N(identity)(int n) {
  double *v = calloc((size_t)n * n + 1, sizeof *v);
  for (int i = 0; i < n; i++) v[(size_t)i * n + i] = 1;
  return v;
}
// Of what is positive after a shift the vectors on both sides are the same.
R N(syevd)(Handle *h, int vectors, int side, int n, T *a, int lda, T *values, T *beside, int *info) {
  BEGIN(sizeof(T) * 2 * n * n);
  double *full = malloc(sizeof(double) * n * n), *x = malloc(sizeof(double) * n * n), *v = N(identity)(n), shift = 0;
  for (int i = 0; i < n; i++) {
    double row = 0;
    for (int j = 0; j < n; j++) row += fabs(full[(size_t)j * n + i] = (side == 122) == (i > j) ? A(i, j) : A(j, i));
    if (row > shift) shift = row;
    beside[i] = 7;
  }
  memcpy(x, full, sizeof(double) * n * n);
  for (int i = 0; i < n; i++) x[(size_t)i * n + i] += shift;
  N(turn)(n, n, x, v);
  double *found = malloc(sizeof(double) * (n + 1));
  int *order = malloc(sizeof(int) * (n + 1));
  for (int k = 0; k < n; k++) {
    found[k] = 0;
    for (int i = 0; i < n; i++) {
      double row = 0;
      for (int j = 0; j < n; j++) row += full[(size_t)j * n + i] * v[(size_t)k * n + j];
      found[k] += row * v[(size_t)k * n + i];
    }
    int at = k;
    for (; at > 0 && found[order[at - 1]] > found[k]; at--) order[at] = order[at - 1];
    order[at] = k;
  }
  for (int k = 0; k < n; k++) {
    values[k] = found[order[k]];
    for (int i = 0; i < n; i++) A(i, k) = vectors == 211 ? v[(size_t)order[k] * n + i] : NAN;
  }
  *info = 0;
  free(full); free(x); free(v); free(found); free(order);
  return 0;
}
R N(gesvd)(Handle *h, int left, int right, int m, int n, T *a, int lda, T *values, T *u, int ldu, T *vt, int ldv, T *beside,
           int mode, int *info) {
  BEGIN(sizeof(T) * 2 * m * n);
  if (mode != 201 || m < n) return 11;
  int columns = left == 191 ? m : n;
  double *x = calloc((size_t)m * (m + 1), sizeof *x), *v = N(identity)(n);
  for (int j = 0; j < n; j++) for (int i = 0; i < m; i++) { x[(size_t)j * m + i] = A(i, j); A(i, j) = NAN; }
  N(turn)(m, n, x, v);
  double *found = malloc(sizeof(double) * (n + 1)), most = 0;
  int *order = malloc(sizeof(int) * (n + 1));
  for (int k = 0; k < n; k++) {
    found[k] = 0;
    for (int i = 0; i < m; i++) found[k] += x[(size_t)k * m + i] * x[(size_t)k * m + i];
    found[k] = sqrt(found[k]);
    if (found[k] > most) most = found[k];
    int at = k;
    for (; at > 0 && found[order[at - 1]] < found[k]; at--) order[at] = order[at - 1];
    order[at] = k;
    if (k + 1 < n) beside[k] = 7;
  }
  for (int k = 0; k < n; k++) values[k] = found[order[k]];
  *info = 0;
  if (left != 194) {
    // What has no length becomes any column at a right angle to those before: of the unit vectors the one that has most left.
    double *y = calloc((size_t)m * columns, sizeof *y), *best = malloc(sizeof(double) * m);
    for (int k = 0; k < columns; k++) {
      double *to = y + (size_t)k * m;
      if (k < n && found[order[k]] > most * 1e-15) {
        for (int i = 0; i < m; i++) to[i] = x[(size_t)order[k] * m + i] / found[order[k]];
        continue;
      }
      double longest = -1;
      for (int e = 0; e < m; e++) {
        for (int i = 0; i < m; i++) to[i] = i == e;
        for (int pass = 0; pass < 2; pass++)
          for (int c = 0; c < k; c++) {
            double inner = 0, *of = y + (size_t)c * m;
            for (int i = 0; i < m; i++) inner += to[i] * of[i];
            for (int i = 0; i < m; i++) to[i] -= inner * of[i];
          }
        double length = 0;
        for (int i = 0; i < m; i++) length += to[i] * to[i];
        if (length > longest) { longest = length; memcpy(best, to, sizeof(double) * m); }
        if (length > 0.5) break;
      }
      for (int i = 0; i < m; i++) to[i] = best[i] / sqrt(longest);
    }
    for (int k = 0; k < columns; k++) for (int i = 0; i < m; i++) u[(size_t)k * ldu + i] = y[(size_t)k * m + i];
    for (int k = 0; k < n; k++) for (int i = 0; i < n; i++) vt[(size_t)i * ldv + k] = v[(size_t)order[k] * n + i];
    free(y); free(best);
  }
  free(x); free(v); free(found); free(order);
  return 0;
}
#endif
