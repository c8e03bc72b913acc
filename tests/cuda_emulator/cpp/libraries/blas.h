// What the stand-in cuBLAS is made of: a handle that knows its stream, and column-major arrays. A routine that is not
// written here is linked as a stub that returns NOT_SUPPORTED and leaves its name (build.py).
#pragma once
#include <complex>
#include <cstdint>
#include <type_traits>

#include "../runtime/counters.h"

typedef std::complex<float> complex64;
typedef std::complex<double> complex128;

enum BlasStatus { BLAS_SUCCESS = 0, BLAS_NOT_SUPPORTED = 15 };
enum Transpose { AS_IT_IS = 0, TRANSPOSED = 1, CONJUGATED = 2 };

struct Handle {
  void* stream = nullptr;
  int pointer_mode = 0;
  int math_mode = 0;
};

extern "C" int emu_is_capturing(void* stream);
extern "C" int emu_blas_refuse(const char* name);  // leaves the name for the error message

template <class T>
static T conjugate_if(T v, bool condition) {
  if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>)
    return condition ? std::conj(v) : v;
  else
    return v;
}

// Does the work at once, and counts it. CuPy refuses to call cuBLAS during a capture, and so does this.
template <class Work>
static int do_now(const Handle* handle, std::atomic<long long>& counter, Work work) {
  if (emu_is_capturing(handle->stream)) return emu_blas_refuse("a routine in a captured stream");
  counter++;
  work();
  return BLAS_SUCCESS;
}
