// What the files of the stand-in CUDA share: status codes, streams that run or record, and how a status becomes a
// Python exception. Host memory plays device memory, and work is done at once, in the order in which it is submitted.
#pragma once
#include <Python.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "counters.h"

enum Status {  // the numbers of cudaError_t, which CuPy turns into names and messages
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  ILLEGAL_STATE = 401,
  NOT_FOUND = 500,
  LAUNCH_FAILURE = 719,
  NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
  CAPTURE_IMPLICIT = 906,
};

struct Graph {
  std::vector<std::function<int()>> nodes;
};

struct Stream {
  unsigned flags = 0;
  int priority = 0;
  Graph* recording = nullptr;  // not null while this stream is being captured
  bool strict = false;         // captured in a mode that forbids allocation, too
  bool invalid = false;        // a forbidden call was made: the capture will fail when it ends
};

Stream* stream_of(intptr_t handle);

// Runs the work now, or records it if the stream is being captured.
int submit(intptr_t stream, std::function<int()> work);

// A status to return from a call that CUDA forbids during a capture; SUCCESS if there is none under way.
int forbidden_in_capture();
int forbidden_in_strict_capture();

// Sets the Python exception for this status and returns true; false for SUCCESS.
bool raised(int status);
PyObject* refuse(const char* what);

// The failure that a test asked for: 0, or the status that every call to the CUDA runtime then raises.
extern "C" int emu_fail_status;

// A function of CuPy's C table that returns nothing, one that must work even without a device, and one with a value.
#define EMU_CALL(name, signature, status)                                            \
  extern "C" PyObject* emu_##name signature {                                        \
    if (raised(emu_fail_status) || raised(status)) return nullptr;                   \
    Py_RETURN_NONE;                                                                  \
  }
#define EMU_CLEANUP(name, signature, status)                                         \
  extern "C" PyObject* emu_##name signature {                                        \
    if (raised(status)) return nullptr;                                              \
    Py_RETURN_NONE;                                                                  \
  }
// `status` may assign `value`; `on_error` is the value by which Cython recognises an exception.
#define EMU_VALUE(type, on_error, name, signature, status, result)                   \
  extern "C" type emu_##name signature {                                             \
    intptr_t value = 0;                                                              \
    (void)value;                                                                     \
    if (raised(emu_fail_status) || raised(status)) return on_error;                  \
    return result;                                                                   \
  }
