// Matrix products, C = alpha op(A) op(B) + beta C in column-major order, by plain loops: right, and not fast.
#include <cstring>
#include <vector>

#include "blas.h"

struct Half {
  _Float16 v;
  Half(float f) : v(static_cast<_Float16>(f)) {}
  operator float() const { return static_cast<float>(v); }
};

struct BFloat16 {
  uint16_t v;
  BFloat16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    const uint32_t to_nearest_even = 0x7fff + (bits >> 16 & 1);
    v = f != f ? 0x7fc0 : (bits + to_nearest_even) >> 16;
  }
  operator float() const {
    const uint32_t bits = uint32_t(v) << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
  }
};

struct Shape {
  int transpose_a, transpose_b, m, n, k;
  int64_t lda, ldb, ldc;
};

// In: the type of A and B. Out: of C. Sum: of alpha, beta and the accumulation.
template <class In, class Out, class Sum>
static void multiply(const Shape& s, Sum alpha, const In* a, const In* b, Sum beta, Out* c) {
  std::vector<Sum> packed(size_t(s.m) * s.k), column(s.m);  // op(A), column-major, so that the inner loop is contiguous
  for (int p = 0; p < s.k; p++)
    for (int i = 0; i < s.m; i++)
      packed[i + int64_t(p) * s.m] = s.transpose_a ? conjugate_if(Sum(a[p + i * s.lda]), s.transpose_a == CONJUGATED)
                                                   : Sum(a[i + p * s.lda]);
  for (int j = 0; j < s.n; j++) {
    std::fill(column.begin(), column.end(), Sum(0));
    for (int p = 0; p < s.k; p++) {
      const Sum factor = s.transpose_b ? conjugate_if(Sum(b[j + p * s.ldb]), s.transpose_b == CONJUGATED)
                                       : Sum(b[p + j * s.ldb]);
      const Sum* from = &packed[int64_t(p) * s.m];
      for (int i = 0; i < s.m; i++) column[i] += from[i] * factor;
    }
    for (int i = 0; i < s.m; i++) {
      Out& out = c[i + j * s.ldc];  // with beta = 0 it is not read: it may hold anything
      out = Out(beta == Sum(0) ? alpha * column[i] : alpha * column[i] + beta * Sum(out));
    }
  }
}

#define GEMMS(letter, T)                                                                                               \
  extern "C" int cublas##letter##gemm_v2(Handle* h, int ta, int tb, int m, int n, int k, const T* alpha, const T* a,   \
                                         int lda, const T* b, int ldb, const T* beta, T* c, int ldc) {                 \
    const Shape shape{ta, tb, m, n, k, lda, ldb, ldc};                                                                 \
    return do_now(h, emu_counters.gemms, [&] { multiply<T, T, T>(shape, *alpha, a, b, *beta, c); });                   \
  }                                                                                                                    \
  extern "C" int cublas##letter##gemmBatched(Handle* h, int ta, int tb, int m, int n, int k, const T* alpha,           \
                                             const T* const* a, int lda, const T* const* b, int ldb, const T* beta,    \
                                             T* const* c, int ldc, int batch) {                                        \
    const Shape shape{ta, tb, m, n, k, lda, ldb, ldc};                                                                 \
    return do_now(h, emu_counters.gemms, [&] {                                                                         \
      for (int i = 0; i < batch; i++) multiply<T, T, T>(shape, *alpha, a[i], b[i], *beta, c[i]);                       \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" int cublas##letter##gemmStridedBatched(                                                                   \
      Handle* h, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda, long long step_a,           \
      const T* b, int ldb, long long step_b, const T* beta, T* c, int ldc, long long step_c, int batch) {              \
    const Shape shape{ta, tb, m, n, k, lda, ldb, ldc};                                                                 \
    return do_now(h, emu_counters.gemms, [&] {                                                                         \
      for (int i = 0; i < batch; i++)                                                                                  \
        multiply<T, T, T>(shape, *alpha, a + i * step_a, b + i * step_b, *beta, c + i * step_c);                       \
    });                                                                                                                \
  }
GEMMS(S, float)
GEMMS(D, double)
GEMMS(C, complex64)
GEMMS(Z, complex128)

// The routines that are told their types at run time (cudaDataType_t, cublasComputeType_t).
enum DataType { F32 = 0, F64 = 1, F16 = 2, C64 = 4, C128 = 5, BF16 = 14 };
enum ComputeType { IN_F16 = 64, IN_F16_PEDANTIC = 65, IN_I32 = 72, IN_I32_PEDANTIC = 73 };

struct Typed {
  const void *alpha, *a, *b, *beta;
  void* c;
  int64_t step_a, step_b, step_c;
  int batch;
};

template <class In, class Out, class Sum>
static int typed(Handle* h, const Shape& shape, const Typed& t, bool half_scalars) {
  auto scalar = [&](const void* p) {
    if constexpr (std::is_same_v<Sum, float>)
      if (half_scalars) return Sum(*static_cast<const Half*>(p));
    return *static_cast<const Sum*>(p);
  };
  const Sum alpha = scalar(t.alpha), beta = scalar(t.beta);
  return do_now(h, emu_counters.gemms, [&] {
    for (int64_t i = 0; i < t.batch; i++)
      multiply<In, Out, Sum>(shape, alpha, static_cast<const In*>(t.a) + i * t.step_a,
                             static_cast<const In*>(t.b) + i * t.step_b, beta, static_cast<Out*>(t.c) + i * t.step_c);
  });
}

static int dispatch(Handle* h, const Shape& shape, const Typed& t, int a, int b, int c, int compute) {
  const bool half = compute == IN_F16 || compute == IN_F16_PEDANTIC;
  const bool integers = compute == IN_I32 || compute == IN_I32_PEDANTIC;
  if (a != b || integers) return emu_blas_refuse("GemmEx with these types");
  if (a == F16 && c == F16) return typed<Half, Half, float>(h, shape, t, half);
  if (a == F16 && c == F32) return typed<Half, float, float>(h, shape, t, half);
  if (a == BF16 && c == BF16) return typed<BFloat16, BFloat16, float>(h, shape, t, half);
  if (a == BF16 && c == F32) return typed<BFloat16, float, float>(h, shape, t, half);
  if (a == F32 && c == F32) return typed<float, float, float>(h, shape, t, half);
  if (a == F64 && c == F64) return typed<double, double, double>(h, shape, t, half);
  if (a == C64 && c == C64) return typed<complex64, complex64, complex64>(h, shape, t, half);
  if (a == C128 && c == C128) return typed<complex128, complex128, complex128>(h, shape, t, half);
  return emu_blas_refuse("GemmEx with these types");
}

extern "C" {
int cublasSgemmEx(Handle* h, int ta, int tb, int m, int n, int k, const float* alpha, const void* a, int type_a,
                  int lda, const void* b, int type_b, int ldb, const float* beta, void* c, int type_c, int ldc) {
  const int in_f32 = 68;
  return dispatch(h, {ta, tb, m, n, k, lda, ldb, ldc}, {alpha, a, b, beta, c, 0, 0, 0, 1}, type_a, type_b, type_c,
                  in_f32);
}
int cublasGemmEx(Handle* h, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int type_a, int lda,
                 const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc, int compute, int) {
  return dispatch(h, {ta, tb, m, n, k, lda, ldb, ldc}, {alpha, a, b, beta, c, 0, 0, 0, 1}, type_a, type_b, type_c,
                  compute);
}
int cublasGemmStridedBatchedEx(Handle* h, int ta, int tb, int m, int n, int k, const void* alpha, const void* a,
                               int type_a, int lda, long long step_a, const void* b, int type_b, int ldb,
                               long long step_b, const void* beta, void* c, int type_c, int ldc, long long step_c,
                               int batch, int compute, int) {
  return dispatch(h, {ta, tb, m, n, k, lda, ldb, ldc}, {alpha, a, b, beta, c, step_a, step_b, step_c, batch}, type_a,
                  type_b, type_c, compute);
}
}
