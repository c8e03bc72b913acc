// Barriers, shuffles and votes. A width below 32 splits the warp into parts that shuffle among themselves, and a lane
// whose source would lie outside of its part keeps its own value, as CUDA specifies.
#pragma once

static inline void __syncthreads() { emu_wait_for_block(); }
static inline void __syncwarp(unsigned mask = ~0u) { emu_wait_for_warp(mask); }

template <class T>
static inline T emu_shuffle(unsigned mask, T mine, int source) {
  static_assert(sizeof(T) <= 16, "a shuffle moves at most 16 bytes");
  T theirs;
  emu_exchange(mask, &mine, sizeof(T), source, &theirs);
  return theirs;
}

static inline int emu_part(int width) { return emu_lane() & ~(width - 1); }

template <class T>
static inline T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  return emu_shuffle(mask, v, emu_part(width) + (source & (width - 1)));
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int source = emu_lane() - int(delta);
  return emu_shuffle(mask, v, source < emu_part(width) ? emu_lane() : source);
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int source = emu_lane() + int(delta);
  return emu_shuffle(mask, v, source >= emu_part(width) + width ? emu_lane() : source);
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  const int source = emu_lane() ^ bits;
  return emu_shuffle(mask, v, source >= emu_part(width) + width ? emu_lane() : source);
}

static inline unsigned __ballot_sync(unsigned mask, int vote) { return emu_ballot(mask, vote); }
static inline int __any_sync(unsigned mask, int vote) { return emu_ballot(mask, vote) != 0; }
static inline int __all_sync(unsigned mask, int vote) { return emu_ballot(mask, !vote) == 0; }
