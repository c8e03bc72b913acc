// How a kernel whose threads wait for each other is run, seen from the kernel: each CUDA thread is a fiber, and the
// threads of a block take turns on one core, each running until it waits. Plain C, for it crosses a library boundary.
#pragma once
#include <cstddef>

extern "C" {
struct EmuBlock {
  int threads;
  void (*enter)(int thread);  // sets threadIdx before a fiber goes on
  void (*body)(void*);
  void* argument;
};
// Runs one block; null, or what went wrong.
const char* emu_run_block(const EmuBlock* block);

void emu_wait_for_block();
void emu_wait_for_warp(unsigned mask);
// Gives `mine` to the warp and takes what lane `source` gave. Lanes outside of [0, 32) are an error.
void emu_exchange(unsigned mask, const void* mine, size_t bytes, int source, void* theirs);
// A bit for each lane of the mask: did it give true?
unsigned emu_ballot(unsigned mask, int mine);
int emu_lane();

// The dynamic shared memory of the running block.
extern char emu_dynamic_shared[];
}
