// What every kernel's source is compiled behind, in place of what NVRTC declares by itself.
#pragma once
#define __CUDACC_VER_MAJOR__ 12
#define __CUDACC_VER_MINOR__ 9
#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <math.h>
#include <type_traits>
#include <utility>

#include <cuda_runtime_api.h>  // CUDA's own vector types; crt/host_defines.h makes its marks expand to nothing
#undef __shared__
#define __shared__
#undef __launch_bounds__
#define __launch_bounds__(...)
#ifndef __global__
#define __global__
#endif
#ifndef __device__
#define __device__
#endif
#undef __forceinline__
#define __forceinline__ inline

#include "launch.h"
#include "warp.h"
#include "atomics.h"
#include "intrinsics.h"
