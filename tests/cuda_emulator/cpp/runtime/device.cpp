// One device of compute capability 8.0 that is the host itself, and the failures of a machine that has none.
#include <cstring>

#include "state.h"

Counters emu_counters;
static PyObject *error_class, *refusal_class;
static thread_local int current_device = 0;

extern "C" {
int emu_fail_status = 0;
int emu_driver_version = 0;
extern long long emu_memory_limit;

void emu_set_classes(PyObject* error, PyObject* refusal) {
  Py_XINCREF(error_class = error);
  Py_XINCREF(refusal_class = refusal);
}

const char* emu_counter_names() {
#define EMU_NAME(name) #name " "
  return EMU_COUNTERS(EMU_NAME);
}

void emu_read_counters(long long* out) {
#define EMU_READ(name) *out++ = emu_counters.name;
  EMU_COUNTERS(EMU_READ)
}

void emu_reset_counters() {
  long long level = emu_counters.current_bytes;
#define EMU_CLEAR(name) emu_counters.name = 0;
  EMU_COUNTERS(EMU_CLEAR)
  emu_counters.current_bytes = emu_counters.peak_bytes = level;
}

void emu_count_library_call() { emu_counters.library_calls++; }
void emu_set_peak(long long bytes) { emu_counters.peak_bytes = bytes; }

const char* emu_capsule_name(PyObject* capsule) { return PyCapsule_GetName(capsule); }
PyObject* emu_capsule(void* function, PyObject* original) {
  return PyCapsule_New(function, PyCapsule_GetName(original), nullptr);
}
}

bool raised(int status) {
  if (status == SUCCESS) return false;
  PyGILState_STATE gil = PyGILState_Ensure();
  if (PyObject* error = PyObject_CallFunction(error_class, "i", status)) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
    Py_DECREF(error);
  }
  PyGILState_Release(gil);
  return true;
}

PyObject* refuse(const char* what) {
  PyGILState_STATE gil = PyGILState_Ensure();
  PyErr_Format(refusal_class, "the CUDA emulator cannot do %s: it needs a GPU", what);
  PyGILState_Release(gil);
  return nullptr;
}

static int attribute(int which) {  // cudaDeviceAttr
  switch (which) {
    case 1: case 2: case 3: return 1024;  // threads a block; block x, y
    case 4: return 64;                    // block z
    case 5: return 2147483647;            // grid x
    case 6: case 7: return 65535;         // grid y, z
    case 8: return 49152;                 // shared memory a block
    case 10: return 32;                   // warp size
    case 12: return 65536;                // registers a block
    case 16: return 4;                    // multiprocessors
    case 39: return 2048;                 // threads a multiprocessor
    case 41: return 1;                    // unified addressing
    case 75: return 8;                    // compute capability, major
    case 76: return 0;                    // minor
    case 97: return 101376;               // shared memory a block, opt-in
    default: return 0;
  }
}

static int use_device(int device) {
  if (device != 0) return INVALID_DEVICE;
  current_device = device;
  return SUCCESS;
}

EMU_VALUE(int, -1, getDevice, (int), SUCCESS, current_device)
EMU_VALUE(int, -1, getDeviceCount, (int), SUCCESS, 1)
EMU_VALUE(int, -1, deviceGetAttribute, (int which, int device, int), device ? INVALID_DEVICE : SUCCESS,
          attribute(which))
EMU_VALUE(int, -1, deviceCanAccessPeer, (int, int, int), SUCCESS, 0)
EMU_VALUE(size_t, 0, deviceGetLimit, (int, int), SUCCESS, 0)
EMU_CALL(setDevice, (int device, int), use_device(device))
EMU_CALL(_deviceEnsurePeerAccess, (int, int), NOT_SUPPORTED)
EMU_CALL(deviceEnablePeerAccess, (int, int), NOT_SUPPORTED)
EMU_CALL(deviceSetLimit, (int, size_t, int), SUCCESS)
EMU_CALL(_ensure_context, (void), SUCCESS)
EMU_CALL(profilerStart, (int), SUCCESS)
EMU_CALL(profilerStop, (int), SUCCESS)

// Answers without a device, as CUDA does: 0 where there is no driver.
extern "C" int emu_driverGetVersion(int) { return emu_driver_version; }

extern "C" PyObject* emu_deviceGetPCIBusId(int device, int) {
  if (raised(emu_fail_status) || raised(device ? INVALID_DEVICE : SUCCESS)) return nullptr;
  return PyUnicode_FromString("0000:00:00.0");
}

extern "C" PyObject* emu_getDeviceProperties(int device, int) {
  if (raised(emu_fail_status) || raised(device ? INVALID_DEVICE : SUCCESS)) return nullptr;
  return Py_BuildValue("{s:y,s:i,s:i,s:i,s:i,s:i,s:L}", "name", "CUDA emulator (not a GPU)", "major", 8, "minor", 0,
                       "multiProcessorCount", 4, "warpSize", 32, "maxThreadsPerBlock", 1024, "totalGlobalMem",
                       emu_memory_limit);
}
