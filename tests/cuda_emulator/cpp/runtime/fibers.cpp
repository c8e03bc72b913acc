// The scheduler of fibers. A fiber is started with makecontext and from then on switched with _setjmp and _longjmp:
// swapcontext would make two system calls a switch, and a reduction switches ten thousand times.
#include "fibers.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstring>

namespace {
constexpr int MAX_THREADS = 1024, WARP = 32;
constexpr size_t STACK = 128 * 1024, GUARD = 4096;

enum Wait { RUNNING, FOR_BLOCK, FOR_WARP, DONE };

struct Fiber {
  jmp_buf resume;
  bool started = false;
  Wait wait = DONE;
  unsigned mask = 0;  // of the warp barrier it waits for
  char gift[16];      // what it offers in an exchange
  unsigned vote;
};

Fiber fibers[MAX_THREADS];
char* stacks = nullptr;
jmp_buf scheduler;
const EmuBlock* block = nullptr;
int current = -1;  // no fiber runs
const char* failure = nullptr;

char* stack_of(int i) {
  if (!stacks) {
    void* memory = mmap(nullptr, STACK * MAX_THREADS, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stacks = static_cast<char*>(memory);
    // A kernel with too large a local array stops here, and does not write over its neighbour's stack.
    for (int f = 0; f < MAX_THREADS; f++) mprotect(stacks + f * STACK, GUARD, PROT_NONE);
  }
  return stacks + i * STACK;
}

void yield(Wait wait) {
  fibers[current].wait = wait;
  if (!_setjmp(fibers[current].resume)) _longjmp(scheduler, 1);
}

void life() {  // a fiber outlives its block, and runs a thread of the next one
  for (;;) {
    block->body(block->argument);
    yield(DONE);
  }
}

[[noreturn]] void fail(const char* why) {
  failure = why;
  _longjmp(scheduler, 1);
}

// A source in which no barrier is seen is run without fibers (translate.py); launch.h catches this.
void need_fiber() {
  if (current < 0) throw "a barrier or warp function that the emulator did not see in the source";
}

void go_on(int i) {
  Fiber& fiber = fibers[i];
  fiber.wait = RUNNING;
  current = i;
  block->enter(i);
  if (!_setjmp(scheduler)) {
    if (fiber.started) _longjmp(fiber.resume, 1);
    fiber.started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = stack_of(i);
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, life, 0);
    setcontext(&context);
  }
  current = -1;
}

bool block_complete() {
  for (int i = 0; i < block->threads; i++)
    if (fibers[i].wait != DONE && fibers[i].wait != FOR_BLOCK) return false;
  return true;
}

// All living lanes of the mask wait for the same mask; a lane that has left the kernel is waited for by nobody.
bool warp_complete(int i) {
  const int first = i - i % WARP;
  for (int lane = 0; lane < WARP && first + lane < block->threads; lane++) {
    const Fiber& other = fibers[first + lane];
    if (!(fibers[i].mask >> lane & 1) || other.wait == DONE) continue;
    if (other.wait != FOR_WARP || other.mask != fibers[i].mask) return false;
  }
  return true;
}

void release_warp(int i) {
  const int first = i - i % WARP;
  const unsigned mask = fibers[i].mask;
  for (int lane = 0; lane < WARP && first + lane < block->threads; lane++)
    if ((mask >> lane & 1) && fibers[first + lane].wait == FOR_WARP) fibers[first + lane].wait = RUNNING;
}

bool release_waiting() {
  bool released = false;
  for (int i = 0; i < block->threads; i++)
    if (fibers[i].wait == FOR_WARP && warp_complete(i)) release_warp(i), released = true;
  if (released || !block_complete()) return released;
  for (int i = 0; i < block->threads; i++)
    if (fibers[i].wait == FOR_BLOCK) fibers[i].wait = RUNNING, released = true;
  return released;
}

bool all_done() {
  for (int i = 0; i < block->threads; i++)
    if (fibers[i].wait != DONE) return false;
  return true;
}

// Fibers that hang in a failed kernel are started anew by the next one.
const char* abandon() {
  for (Fiber& fiber : fibers) fiber.started = false, fiber.wait = DONE;
  const char* why = failure;
  failure = nullptr;
  return why;
}
}  // namespace

extern "C" {
alignas(128) char emu_dynamic_shared[64 * 1024];

const char* emu_run_block(const EmuBlock* next) {
  block = next;
  for (int i = 0; i < next->threads; i++) fibers[i].wait = RUNNING;
  while (!failure) {
    for (int i = 0; i < next->threads && !failure; i++)
      if (fibers[i].wait == RUNNING) go_on(i);
    if (failure || all_done()) break;
    if (!release_waiting()) failure = "deadlock: threads of a block wait at different barriers";
  }
  return failure ? abandon() : nullptr;
}

void emu_wait_for_block() {
  need_fiber();
  yield(FOR_BLOCK);
}

void emu_wait_for_warp(unsigned mask) {
  need_fiber();
  if (!(mask >> emu_lane() & 1)) fail("a thread calls a warp function with a mask that leaves it out");
  fibers[current].mask = mask;
  yield(FOR_WARP);
}

int emu_lane() { return current % WARP; }

void emu_exchange(unsigned mask, const void* mine, size_t bytes, int source, void* theirs) {
  need_fiber();
  memcpy(fibers[current].gift, mine, bytes);
  emu_wait_for_warp(mask);
  const int giver = current - emu_lane() + source;
  if (source < 0 || source >= WARP || giver >= block->threads || !(mask >> source & 1) || fibers[giver].wait == DONE)
    fail("a shuffle reads a lane that does not take part in it");
  memcpy(theirs, fibers[giver].gift, bytes);
  emu_wait_for_warp(mask);  // nobody may give anew before all have taken
}

unsigned emu_ballot(unsigned mask, int mine) {
  need_fiber();
  fibers[current].vote = mine != 0;
  emu_wait_for_warp(mask);
  const int first = current - emu_lane();
  unsigned votes = 0;
  for (int lane = 0; lane < WARP && first + lane < block->threads; lane++)
    if ((mask >> lane & 1) && fibers[first + lane].wait != DONE) votes |= fibers[first + lane].vote << lane;
  emu_wait_for_warp(mask);
  return votes;
}
}
