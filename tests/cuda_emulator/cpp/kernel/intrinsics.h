// Device functions that the C++ library has under another name or not at all. What is missing here is a compile error,
// never a wrong value.
#pragma once

template <class To, class From>
static inline To emu_bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "");
  To out;
  memcpy(&out, &v, sizeof out);
  return out;
}
static inline int __float_as_int(float v) { return emu_bits<int>(v); }
static inline unsigned __float_as_uint(float v) { return emu_bits<unsigned>(v); }
static inline float __int_as_float(int v) { return emu_bits<float>(v); }
static inline float __uint_as_float(unsigned v) { return emu_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return emu_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return emu_bits<double>(v); }

template <class T>
static inline T __ldg(const T* p) { return *p; }

static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __ffsll(long long v) { return __builtin_ffsll(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return uint64_t(a) * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned __int128>(a) * b >> 64;
}

static inline float rsqrt(float v) { return 1.0f / std::sqrt(v); }
static inline double rsqrt(double v) { return 1.0 / std::sqrt(v); }
static inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
static inline float rcbrt(float v) { return 1.0f / std::cbrt(v); }
static inline double rcbrt(double v) { return 1.0 / std::cbrt(v); }
static inline float exp10(float v) { return std::pow(10.0f, v); }
static inline float sinpi(float v) { return std::sin(float(M_PI) * v); }
static inline float cospi(float v) { return std::cos(float(M_PI) * v); }
static inline float normcdf(float v) { return 0.5f * std::erfc(-v * float(M_SQRT1_2)); }
static inline double normcdf(double v) { return 0.5 * std::erfc(-v * M_SQRT1_2); }

// The fast forms are rounded like the exact ones here, which a GPU's are not.
static inline float __expf(float v) { return std::exp(v); }
static inline float __logf(float v) { return std::log(v); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __frsqrt_rn(float a) { return 1 / std::sqrt(a); }
static inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }

// CUDA's max and min take two types; std's do not.
template <class A, class B>
static inline std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) > T(b) ? T(a) : T(b);
}
template <class A, class B>
static inline std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) ? T(a) : T(b);
}
