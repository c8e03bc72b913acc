// What a program costs a GPU, counted exactly. The list below is the only place where a counter is named: the
// struct, the reset and the Python side are all made from it.
#pragma once
#include <atomic>

#define EMU_COUNTERS(X)                                                                                  \
  X(launches)           /* kernels that the host launched                                             */ \
  X(graph_launches)     /* replays of a captured graph                                                */ \
  X(graph_kernels)      /* kernels that those replays ran                                             */ \
  X(gemms)              /* matrix products by cuBLAS, a batched one counted once                      */ \
  X(blas_others)        /* any other cuBLAS routine                                                   */ \
  X(library_calls)      /* cuRAND and Thrust, each of which runs kernels of its own                   */ \
  X(h2d)                /* copies host to device                                                      */ \
  X(d2h)                /* copies device to host                                                      */ \
  X(d2d)                /* copies device to device                                                    */ \
  X(h2d_bytes)                                                                                           \
  X(d2h_bytes)                                                                                           \
  X(d2d_bytes)                                                                                           \
  X(memsets)                                                                                             \
  X(stream_syncs)                                                                                        \
  X(device_syncs)                                                                                        \
  X(event_syncs)                                                                                         \
  X(event_records)                                                                                       \
  X(mallocs)            /* device allocations that reached CUDA: those of CuPy's pool, not of arrays   */ \
  X(frees)                                                                                               \
  X(pinned_mallocs)                                                                                      \
  X(capture_violations) /* calls that CUDA forbids while a stream is being captured                   */ \
  X(current_bytes)      /* a level, not a count: never reset                                          */ \
  X(peak_bytes)         /* the highest level since the last reset                                     */

struct Counters {
#define EMU_DECLARE(name) std::atomic<long long> name{0};
  EMU_COUNTERS(EMU_DECLARE)
#undef EMU_DECLARE
};
extern Counters emu_counters;
