// The driver API that CuPy looks up in libcuda.so.1: modules, which are kernels compiled for the host, and launches.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>

#include "state.h"

// What a compiled kernel exports, see kernel/launch.h.
struct Kernel {
  std::string name;
  const char* (*run)(void** arguments, const unsigned* grid, const unsigned* block);
  size_t (*argument_size)(int index, int* count);
};

static std::mutex one_kernel_at_a_time;
static thread_local std::string detail = "emulated driver error";

static int failed(int status, const std::string& why) {
  detail = "CUDA emulator: " + why;
  return status;
}

static int run(const Kernel* kernel, void** arguments, const unsigned* grid, const unsigned* block) {
  std::lock_guard<std::mutex> lock(one_kernel_at_a_time);
  const char* error = kernel->run(arguments, grid, block);
  return error ? failed(LAUNCH_FAILURE, "kernel " + kernel->name + ": " + error) : int(SUCCESS);
}

static const char* bad_configuration(const unsigned* grid, const unsigned* block, unsigned shared) {
  if (!grid[0] || !grid[1] || !grid[2]) return "the grid is empty";
  if (!block[0] || !block[1] || !block[2]) return "the block is empty";
  if (grid[0] > 2147483647u || grid[1] > 65535 || grid[2] > 65535) return "the grid is larger than a GPU's";
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64) return "the block is larger than a GPU's";
  if (size_t(block[0]) * block[1] * block[2] > 1024) return "a block has more than 1024 threads";
  if (shared > 49152) return "a block asks for more than 48 KiB of dynamic shared memory";
  return nullptr;
}

// A launch that is recorded runs after its arguments have gone: the node keeps copies.
static std::function<int()> recorded(const Kernel* kernel, void** arguments, const unsigned* grid,
                                     const unsigned* block) {
  int count = 0, ignored;
  kernel->argument_size(0, &count);
  std::vector<std::string> copies;
  for (int i = 0; i < count; i++)
    copies.emplace_back(static_cast<char*>(arguments[i]), kernel->argument_size(i, &ignored));
  std::vector<unsigned> shape{grid[0], grid[1], grid[2], block[0], block[1], block[2]};
  return [=]() mutable {
    std::vector<void*> pointers;
    for (std::string& copy : copies) pointers.push_back(&copy[0]);
    emu_counters.graph_kernels++;
    return run(kernel, pointers.data(), &shape[0], &shape[3]);
  };
}

extern "C" {
int cuLaunchKernel(const Kernel* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void* stream, void** arguments, void**) {
  const unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
  if (const char* why = bad_configuration(grid, block, shared)) return failed(INVALID_VALUE, why);
  const auto handle = reinterpret_cast<intptr_t>(stream);
  if (stream_of(handle)->recording) return submit(handle, recorded(kernel, arguments, grid, block));
  int status = submit(handle, [&] {
    emu_counters.launches++;
    return run(kernel, arguments, grid, block);
  });
  if (status == CAPTURE_IMPLICIT) failed(status, "a launch on the default stream while another stream is captured");
  return status;
}

int cuModuleLoadData(void** module, const char* image) {
  if (strncmp(image, "HOSTSO:", 7)) return failed(INVALID_IMAGE, "a compiled GPU binary cannot run on a CPU");
  *module = dlopen(image + 7, RTLD_NOW | RTLD_LOCAL);
  return *module ? int(SUCCESS) : failed(INVALID_IMAGE, dlerror());
}

int cuModuleLoad(void**, const char* path) {
  return failed(INVALID_IMAGE, std::string("the GPU binary ") + path + " cannot run on a CPU");
}

int cuModuleUnload(void*) { return SUCCESS; }  // a stream that replays a graph may still need the kernels

int cuModuleGetFunction(Kernel** kernel, void* module, const char* name) {
  void* run = dlsym(module, (std::string("emu_run_") + name).c_str());
  void* size = dlsym(module, (std::string("emu_argument_size_") + name).c_str());
  if (!run || !size) return failed(NOT_FOUND, std::string("the source has no kernel ") + name);
  *kernel = new Kernel{name, reinterpret_cast<decltype(Kernel::run)>(run),
                       reinterpret_cast<decltype(Kernel::argument_size)>(size)};
  return SUCCESS;
}

int cuModuleGetGlobal_v2(void** address, size_t* bytes, void* module, const char* name) {
  *address = dlsym(module, name);
  *bytes = 0;
  return *address ? int(SUCCESS) : failed(NOT_FOUND, std::string("the source has no global ") + name);
}

int cuGetErrorName(int status, const char** name) {
  static thread_local char text[40];
  snprintf(text, sizeof text, "CUDA_ERROR_%d", status);
  *name = text;
  return SUCCESS;
}
int cuGetErrorString(int, const char** text) {
  *text = detail.c_str();
  return SUCCESS;
}

// One context, always current.
static void* const context = reinterpret_cast<void*>(1);
int cuCtxGetCurrent(void** c) { return *c = context, SUCCESS; }
int cuCtxCreate_v2(void** c, unsigned, int) { return *c = context, SUCCESS; }
int cuStreamGetCtx(void*, void** c) { return *c = context, SUCCESS; }
int cuCtxGetDevice(int* device) { return *device = 0, SUCCESS; }
int cuCtxSetCurrent(void*) { return SUCCESS; }
int cuCtxDestroy_v2(void*) { return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

int cuFuncGetAttribute(int* value, int which, void*) { return *value = which == 0 ? 1024 : 0, SUCCESS; }
int cuFuncSetAttribute(void*, int, int) { return SUCCESS; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int, size_t) { return *blocks = 2, SUCCESS; }
int cuOccupancyMaxPotentialBlockSize(int* grid, int* block, void*, void*, size_t, int) {
  *grid = 8;
  *block = 256;
  return SUCCESS;
}

#define EMU_NO(name) \
  int name(...) { return failed(NOT_SUPPORTED, #name " needs a GPU"); }
EMU_NO(cuLaunchCooperativeKernel)
EMU_NO(cuLinkCreate_v2)
EMU_NO(cuLinkAddData_v2)
EMU_NO(cuLinkAddFile_v2)
EMU_NO(cuLinkComplete)
EMU_NO(cuLinkDestroy)
}
