// The rest of cuBLAS that array code reaches: products with a vector, dot products, norms, scaled sums.
#include <cmath>

#include "blas.h"

static const char* refused = "";

extern "C" {
int emu_blas_refuse(const char* name) {
  refused = name;
  return BLAS_NOT_SUPPORTED;
}
const char* emu_blas_refused() { return refused; }

int cublasCreate_v2(Handle** h) { return *h = new Handle, BLAS_SUCCESS; }
int cublasDestroy_v2(Handle* h) { return delete h, BLAS_SUCCESS; }
int cublasGetVersion_v2(Handle*, int* version) { return *version = 120900, BLAS_SUCCESS; }
int cublasSetStream_v2(Handle* h, void* stream) { return h->stream = stream, BLAS_SUCCESS; }
int cublasGetStream_v2(Handle* h, void** stream) { return *stream = h->stream, BLAS_SUCCESS; }
int cublasSetPointerMode_v2(Handle* h, int mode) { return h->pointer_mode = mode, BLAS_SUCCESS; }
int cublasGetPointerMode_v2(Handle* h, int* mode) { return *mode = h->pointer_mode, BLAS_SUCCESS; }
int cublasSetMathMode(Handle* h, int mode) { return h->math_mode = mode, BLAS_SUCCESS; }
int cublasGetMathMode(Handle* h, int* mode) { return *mode = h->math_mode, BLAS_SUCCESS; }
}

#define OTHER(h, ...) return do_now(h, emu_counters.blas_others, [&] { __VA_ARGS__ })

template <class T>
static int gemv(Handle* h, int t, int m, int n, T alpha, const T* a, int64_t lda, const T* x, int64_t step_x, T beta,
                T* y, int64_t step_y) {
  OTHER(h, for (int i = 0; i < (t ? n : m); i++) {
    T sum(0);
    for (int p = 0; p < (t ? m : n); p++)
      sum += (t ? conjugate_if(a[p + i * lda], t == CONJUGATED) : a[i + p * lda]) * x[p * step_x];
    y[i * step_y] = beta == T(0) ? alpha * sum : alpha * sum + beta * y[i * step_y];
  });
}

template <class T>
static int geam(Handle* h, int ta, int tb, int m, int n, T alpha, const T* a, int64_t lda, T beta, const T* b,
                int64_t ldb, T* c, int64_t ldc) {
  auto at = [](const T* x, int64_t ld, int t, int64_t i, int64_t j) {
    return t ? conjugate_if(x[j + i * ld], t == CONJUGATED) : x[i + j * ld];
  };
  OTHER(h, for (int j = 0; j < n; j++) for (int i = 0; i < m; i++) {
    T sum(0);  // what has the factor 0 is not read
    if (alpha != T(0)) sum += alpha * at(a, lda, ta, i, j);
    if (beta != T(0)) sum += beta * at(b, ldb, tb, i, j);
    c[i + j * ldc] = sum;
  });
}

template <class T>
static int dot(Handle* h, bool conjugated, int n, const T* x, int64_t step_x, const T* y, int64_t step_y, T* result) {
  OTHER(h, T sum(0); for (int i = 0; i < n; i++) sum += conjugate_if(x[i * step_x], conjugated) * y[i * step_y];
        *result = sum;);
}

template <class T>
static int ger(Handle* h, bool conjugated, int m, int n, T alpha, const T* x, int64_t step_x, const T* y,
               int64_t step_y, T* a, int64_t lda) {
  OTHER(h, for (int j = 0; j < n; j++) for (int i = 0; i < m; i++)
    a[i + j * lda] += alpha * x[i * step_x] * conjugate_if(y[j * step_y], conjugated););
}

template <class T, class Real>
static int norm(Handle* h, int n, const T* x, int64_t step, Real* result) {
  OTHER(h, double sum = 0; for (int i = 0; i < n; i++) sum += std::norm(x[i * step]);
        *result = static_cast<Real>(std::sqrt(sum)););
}

#define LEVEL_1_AND_2(letter, T)                                                                                      \
  extern "C" int cublas##letter##gemv_v2(Handle* h, int t, int m, int n, const T* alpha, const T* a, int lda,         \
                                         const T* x, int sx, const T* beta, T* y, int sy) {                           \
    return gemv<T>(h, t, m, n, *alpha, a, lda, x, sx, *beta, y, sy);                                                  \
  }                                                                                                                   \
  extern "C" int cublas##letter##geam(Handle* h, int ta, int tb, int m, int n, const T* alpha, const T* a, int lda,   \
                                      const T* beta, const T* b, int ldb, T* c, int ldc) {                            \
    return geam<T>(h, ta, tb, m, n, *alpha, a, lda, *beta, b, ldb, c, ldc);                                           \
  }                                                                                                                   \
  extern "C" int cublas##letter##scal_v2(Handle* h, int n, const T* alpha, T* x, int sx) {                            \
    OTHER(h, for (int64_t i = 0; i < n; i++) x[i * sx] *= *alpha;);                                                   \
  }                                                                                                                   \
  extern "C" int cublas##letter##axpy_v2(Handle* h, int n, const T* alpha, const T* x, int sx, T* y, int sy) {        \
    OTHER(h, for (int64_t i = 0; i < n; i++) y[i * sy] += *alpha * x[i * sx];);                                       \
  }
LEVEL_1_AND_2(S, float)
LEVEL_1_AND_2(D, double)
LEVEL_1_AND_2(C, complex64)
LEVEL_1_AND_2(Z, complex128)

#define DOT(name, T, conjugated)                                                                                \
  extern "C" int cublas##name##_v2(Handle* h, int n, const T* x, int sx, const T* y, int sy, T* result) {       \
    return dot<T>(h, conjugated, n, x, sx, y, sy, result);                                                      \
  }
DOT(Sdot, float, false)
DOT(Ddot, double, false)
DOT(Cdotu, complex64, false)
DOT(Cdotc, complex64, true)
DOT(Zdotu, complex128, false)
DOT(Zdotc, complex128, true)

#define GER(name, T, conjugated)                                                                                  \
  extern "C" int cublas##name##_v2(Handle* h, int m, int n, const T* alpha, const T* x, int sx, const T* y, int sy, \
                                   T* a, int lda) {                                                               \
    return ger<T>(h, conjugated, m, n, *alpha, x, sx, y, sy, a, lda);                                             \
  }
GER(Sger, float, false)
GER(Dger, double, false)
GER(Cgeru, complex64, false)
GER(Cgerc, complex64, true)
GER(Zgeru, complex128, false)
GER(Zgerc, complex128, true)

#define NORM(name, T, Real)                                                                    \
  extern "C" int cublas##name##_v2(Handle* h, int n, const T* x, int step, Real* result) {     \
    return norm<T, Real>(h, n, x, step, result);                                               \
  }
NORM(Snrm2, float, float)
NORM(Dnrm2, double, double)
NORM(Scnrm2, complex64, float)
NORM(Dznrm2, complex128, double)
