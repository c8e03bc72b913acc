// Atomics: one thread runs at a time, so the plain operation is atomic. (A missing atomic is not seen, either.)
#pragma once
#include <type_traits>

// Of CUDA's own numbers only: for 16-bit floats CuPy brings a loop around atomicCAS.
#define EMU_ATOMIC(name, update)                                                          \
  template <class T>                                                                      \
  static inline std::enable_if_t<std::is_arithmetic<T>::value, T> name(T* address, T v) { \
    T old = *address;                                                                     \
    *address = (update);                                                                  \
    return old;                                                                           \
  }
EMU_ATOMIC(atomicAdd, old + v)
EMU_ATOMIC(atomicSub, old - v)
EMU_ATOMIC(atomicMax, v > old ? v : old)
EMU_ATOMIC(atomicMin, v < old ? v : old)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicOr, old | v)
EMU_ATOMIC(atomicAnd, old & v)
EMU_ATOMIC(atomicXor, old ^ v)
#undef EMU_ATOMIC

// CuPy calls it with a signed addend for its 64-bit integers.
static inline unsigned long long atomicAdd(unsigned long long* address, long long v) {
  return atomicAdd<unsigned long long>(address, static_cast<unsigned long long>(v));
}

template <class T>
static inline T atomicCAS(T* address, T expected, T v) {
  T old = *address;
  if (old == expected) *address = v;
  return old;
}

static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}
