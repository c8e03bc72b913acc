// Device memory, played by host memory of a limited amount. New memory is filled with 0xCB and freed memory with 0xDD,
// so that a kernel that reads what nobody wrote is seen.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "state.h"

static std::map<intptr_t, size_t> live;  // start of an allocation -> its bytes
static std::mutex guard;
static PyObject* attributes_class;

extern "C" {
long long emu_memory_limit = 8LL << 30;
void emu_set_attributes_class(PyObject* cls) { Py_XINCREF(attributes_class = cls); }
}

enum CopyKind { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, FROM_POINTERS };

static bool on_device(intptr_t p) {
  std::lock_guard<std::mutex> lock(guard);
  auto after = live.upper_bound(p);
  if (after == live.begin()) return false;
  --after;
  return p < after->first + static_cast<intptr_t>(after->second ? after->second : 1);
}

static int allocate(intptr_t* p, size_t bytes) {
  if (int status = forbidden_in_strict_capture()) return status;
  std::lock_guard<std::mutex> lock(guard);
  if (static_cast<long long>(bytes) > emu_memory_limit - emu_counters.current_bytes) return OUT_OF_MEMORY;
  void* memory = nullptr;
  if (posix_memalign(&memory, 512, bytes ? bytes : 512)) return OUT_OF_MEMORY;
  memset(memory, 0xCB, bytes);
  live[*p = reinterpret_cast<intptr_t>(memory)] = bytes;
  emu_counters.mallocs++;
  emu_counters.current_bytes += bytes;
  if (emu_counters.current_bytes > emu_counters.peak_bytes)
    emu_counters.peak_bytes = emu_counters.current_bytes.load();
  return SUCCESS;
}

static int release(intptr_t p) {
  if (p == 0) return SUCCESS;
  std::lock_guard<std::mutex> lock(guard);
  auto found = live.find(p);
  if (found == live.end()) return INVALID_VALUE;
  memset(reinterpret_cast<void*>(p), 0xDD, found->second);
  emu_counters.frees++;
  emu_counters.current_bytes -= found->second;
  live.erase(found);
  free(reinterpret_cast<void*>(p));
  return SUCCESS;
}

static int copy_now(intptr_t to, intptr_t from, size_t bytes, int kind) {
  if (kind == FROM_POINTERS) kind = on_device(from) * 2 + on_device(to);
  if (kind == HOST_TO_DEVICE) emu_counters.h2d++, emu_counters.h2d_bytes += bytes;
  if (kind == DEVICE_TO_HOST) emu_counters.d2h++, emu_counters.d2h_bytes += bytes;
  if (kind == DEVICE_TO_DEVICE) emu_counters.d2d++, emu_counters.d2d_bytes += bytes;
  memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  return SUCCESS;
}

static int copy_blocking(intptr_t to, intptr_t from, size_t bytes, int kind) {
  if (int status = forbidden_in_capture()) return status;
  return copy_now(to, from, bytes, kind);
}

static int copy(intptr_t to, intptr_t from, size_t bytes, int kind, intptr_t stream) {
  return submit(stream, [=] { return copy_now(to, from, bytes, kind); });
}

static int fill(intptr_t p, int byte, size_t bytes, intptr_t stream) {
  return submit(stream, [=] {
    emu_counters.memsets++;
    memset(reinterpret_cast<void*>(p), byte, bytes);
    return SUCCESS;
  });
}

static int allocate_pinned(intptr_t* p, size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, bytes ? bytes : 1)) return OUT_OF_MEMORY;
  emu_counters.pinned_mallocs++;
  *p = reinterpret_cast<intptr_t>(memory);
  return SUCCESS;
}

EMU_VALUE(intptr_t, 0, malloc, (size_t n, int), allocate(&value, n), value)
EMU_VALUE(intptr_t, 0, mallocAsync, (size_t n, intptr_t, int), allocate(&value, n), value)
EMU_VALUE(intptr_t, 0, mallocManaged, (size_t n, int, void*), allocate(&value, n), value)
EMU_VALUE(intptr_t, 0, hostAlloc, (size_t n, unsigned, int), allocate_pinned(&value, n), value)
EMU_VALUE(int, -1, pointerGetMemoryType, (intptr_t p, int), SUCCESS, on_device(p) ? 2 : 0)
EMU_CLEANUP(free, (intptr_t p, int), release(p))
EMU_CLEANUP(freeAsync, (intptr_t p, intptr_t, int), release(p))
EMU_CLEANUP(freeHost, (intptr_t p, int), (free(reinterpret_cast<void*>(p)), SUCCESS))
EMU_CALL(memcpy, (intptr_t to, intptr_t from, size_t n, int kind, int), copy_blocking(to, from, n, kind))
EMU_CALL(memcpyAsync, (intptr_t to, intptr_t from, size_t n, int kind, intptr_t s, int), copy(to, from, n, kind, s))
EMU_CALL(memcpyPeer, (intptr_t to, int, intptr_t from, int, size_t n, int),
         copy_blocking(to, from, n, DEVICE_TO_DEVICE))
EMU_CALL(memcpyPeerAsync, (intptr_t to, int, intptr_t from, int, size_t n, intptr_t s, int),
         copy(to, from, n, DEVICE_TO_DEVICE, s))
EMU_CALL(memset, (intptr_t p, int byte, size_t n, int), fill(p, byte, n, 0))
EMU_CALL(memsetAsync, (intptr_t p, int byte, size_t n, intptr_t s, int), fill(p, byte, n, s))
EMU_CALL(hostRegister, (intptr_t, size_t, unsigned, int), SUCCESS)
EMU_CALL(hostUnregister, (intptr_t, int), SUCCESS)
EMU_CALL(memPrefetchAsync, (intptr_t, size_t, int, intptr_t, int), SUCCESS)
EMU_CALL(memAdvise, (intptr_t, size_t, int, int, int), SUCCESS)

extern "C" PyObject* emu_memGetInfo(int) {
  if (raised(emu_fail_status)) return nullptr;
  return Py_BuildValue("(LL)", emu_memory_limit - emu_counters.current_bytes, emu_memory_limit);
}

extern "C" PyObject* emu_pointerGetAttributes(intptr_t p, int) {
  if (raised(emu_fail_status) || raised(on_device(p) ? SUCCESS : INVALID_VALUE)) return nullptr;
  return PyObject_CallFunction(attributes_class, "innn", 0, p, intptr_t(0), intptr_t(2));  // 2: device memory
}
