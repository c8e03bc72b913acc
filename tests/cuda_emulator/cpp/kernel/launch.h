// Running a grid: blocks one after another, and in a block the threads in a loop, or as fibers if they wait for each
// other. EMU_KERNEL exports a kernel under names that the stand-in driver looks up.
#pragma once
#include "../runtime/fibers.h"

struct EmuIndex {
  unsigned x, y, z;
};
static EmuIndex threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

template <class... A, size_t... I>
static void emu_call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

static void emu_enter(int i) {
  threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
}

template <class Body>
static const char* emu_run_loop(Body body) try {
  for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
    for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
      for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) body();
  return nullptr;
} catch (const char* why) {
  return why;
}

template <class Body>
static const char* emu_run_fibers(Body body) {
  const int threads = blockDim.x * blockDim.y * blockDim.z;
  EmuBlock block{threads, emu_enter, [](void* b) { (*static_cast<Body*>(b))(); }, &body};
  return emu_run_block(&block);
}

template <bool fibers, class... A>
static const char* emu_run_grid(void (*kernel)(A...), void** arguments, const unsigned* grid, const unsigned* block) {
  gridDim = dim3(grid[0], grid[1], grid[2]);
  blockDim = dim3(block[0], block[1], block[2]);
  auto body = [=] { emu_call(kernel, arguments, std::index_sequence_for<A...>{}); };
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        if (const char* error = fibers ? emu_run_fibers(body) : emu_run_loop(body)) return error;
  return nullptr;
}

template <class... A>
static size_t emu_argument_size(void (*)(A...), int index, int* count) {
  static const size_t sizes[] = {sizeof(A)..., 0};
  *count = sizeof...(A);
  return sizes[index];
}

// The kernel comes last: a template's name has commas in it. The parameters' names must not be those of a kernel.
#define EMU_KERNEL(fibers, name, ...)                                                                         \
  extern "C" const char* emu_run_##name(void** emu_a, const unsigned* emu_g, const unsigned* emu_b) {         \
    return emu_run_grid<fibers>(&__VA_ARGS__, emu_a, emu_g, emu_b);                                           \
  }                                                                                                           \
  extern "C" size_t emu_argument_size_##name(int emu_index, int* emu_count) {                                 \
    return emu_argument_size(&__VA_ARGS__, emu_index, emu_count);                                             \
  }
