// The same with the headers that CuPy puts before the kernels that it generates: precompiled together, they are what
// makes a cold kernel cheap.
#pragma once
#include "host_kernel.h"

#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
