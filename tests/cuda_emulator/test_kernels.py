"""Kernels written by hand: shared memory, barriers, warps, templates; and what CUDA leaves undefined is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

BLOCK_SUM = r"""
extern "C" __global__ void block_sum(const float* x, float* out, int n) {
  __shared__ float part[128];
  int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  part[t] = i < n ? x[i] : 0;
  __syncthreads();
  for (int s = blockDim.x / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = part[0];
}
"""
TRANSPOSE = r"""
extern "C" __global__ void transpose(const float* x, float* out, int n) {
  extern __shared__ float tile[];
  int tx = threadIdx.x, ty = threadIdx.y, d = blockDim.x;
  tile[ty * d + tx] = x[(blockIdx.y * d + ty) * n + blockIdx.x * d + tx];
  __syncthreads();
  out[(blockIdx.x * d + ty) * n + blockIdx.y * d + tx] = tile[tx * d + ty];
}
"""


def warp_kernel(cp: Any, body: str) -> Any:
    """int out[t] = body, where t is the thread and v = t * t."""
    code = 'extern "C" __global__ void warp(int* out) { int t = threadIdx.x, v = t * t; out[t] = %s; }'
    return cp.RawKernel(code % body, "warp")


def test_shared_memory_and_barriers(cp: Any) -> None:
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    out = cp.zeros(8, dtype=cp.float32)
    cp.RawKernel(BLOCK_SUM, "block_sum")((8,), (128,), (cp.asarray(x), out, np.int32(1000)))
    np.testing.assert_allclose(out.get(), np.pad(x, (0, 24)).reshape(8, 128).sum(1), rtol=1e-5, atol=1e-5)


def test_dynamic_shared_memory_in_two_dimensions(cp: Any) -> None:
    x = cp.arange(32 * 32, dtype=cp.float32).reshape(32, 32)
    out = cp.zeros_like(x)
    cp.RawKernel(TRANSPOSE, "transpose")((4, 4), (8, 8), (x, out, np.int32(32)), shared_mem=8 * 8 * 4)
    np.testing.assert_array_equal(out.get(), x.get().T)


def _votes(t: Any) -> Any:
    return np.array([sum(1 << k for k in range(31) if (i // 32 * 32 + k) % 3 == 0) for i in t])


WARPS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "xor": ("__shfl_xor_sync(~0u, v, 3)", lambda t: (t ^ 3) ** 2),
    "broadcast": ("__shfl_sync(~0u, v, 5)", lambda t: (t // 32 * 32 + 5) ** 2),
    "down": ("__shfl_down_sync(~0u, v, 4)", lambda t: np.where(t % 32 < 28, t + 4, t) ** 2),
    "up": ("__shfl_up_sync(~0u, v, 2)", lambda t: np.where(t % 32 >= 2, t - 2, t) ** 2),
    "broadcast_of_8": ("__shfl_sync(~0u, v, 9, 8)", lambda t: (t // 8 * 8 + 1) ** 2),
    "down_of_8": ("__shfl_down_sync(~0u, v, 3, 8)", lambda t: np.where(t % 8 < 5, t + 3, t) ** 2),
    "up_of_16": ("__shfl_up_sync(~0u, v, 1, 16)", lambda t: np.where(t % 16 >= 1, t - 1, t) ** 2),
    "ballot": ("__ballot_sync(~0u, t % 3 == 0) & 0x7fffffff", _votes),
    "any": ("__any_sync(~0u, t == 40)", lambda t: (t >= 32).astype(int)),
    "all": ("__all_sync(~0u, t != 40)", lambda t: (t < 32).astype(int)),
    "half_a_warp": (
        "t % 32 < 16 ? __shfl_xor_sync(0xffffu, v, 1) : -1",
        lambda t: np.where(t % 32 < 16, (t ^ 1) ** 2, -1),
    ),
}


@pytest.mark.parametrize("name", WARPS)
def test_warps(cp: Any, name: str) -> None:
    body, expected = WARPS[name]
    out = cp.zeros(64, dtype=cp.int32)
    warp_kernel(cp, body)((1,), (64,), (out,))
    np.testing.assert_array_equal(out.get(), expected(np.arange(64)))


def test_threads_that_have_left_are_not_waited_for(cp: Any) -> None:
    code = r"""extern "C" __global__ void early(int* out) {
      __shared__ int last;
      if (threadIdx.x >= 40) return;
      if (threadIdx.x == 39) last = 7;
      __syncthreads();
      out[threadIdx.x] = last;
    }"""
    out = cp.zeros(64, dtype=cp.int32)
    cp.RawKernel(code, "early")((1,), (64,), (out,))
    np.testing.assert_array_equal(out.get(), [7] * 40 + [0] * 24)


def test_templates_and_constants(cp: Any) -> None:
    code = r"""
    __constant__ float factor[2];
    template <typename T, int n> __global__ void scale(T* x) { x[threadIdx.x] *= factor[n]; }
    """
    module = cp.RawModule(code=code, options=("--std=c++17",), name_expressions=["scale<float, 0>", "scale<double, 1>"])
    cp.ndarray((2,), dtype=cp.float32, memptr=module.get_global("factor"))[...] = cp.asarray([2, 10], dtype=cp.float32)
    for name, dtype, factor in (("scale<float, 0>", np.float32, 2), ("scale<double, 1>", np.float64, 10)):
        x = cp.arange(4, dtype=dtype)
        module.get_function(name)((1,), (4,), (x,))
        np.testing.assert_array_equal(x.get(), np.arange(4) * factor)


def test_elementwise_and_reduction_kernels(cp: Any) -> None:
    x = cp.arange(2000, dtype=cp.float32)
    gelu = cp.ElementwiseKernel("T x, float64 k", "T y", "y = x * (T)k + 1", "axpb")
    np.testing.assert_allclose(gelu(x, 0.5).get(), x.get() * 0.5 + 1)
    squares = cp.ReductionKernel("T x", "T y", "x * x", "a + b", "y = a", "0", "squares")
    np.testing.assert_allclose(squares(x.astype(cp.float64)).get(), np.sum(np.arange(2000.0) ** 2))


def test_atomics(cp: Any) -> None:
    code = r"""extern "C" __global__ void count(int* n, float* s, unsigned* most) {
      atomicAdd(n, 1); atomicAdd(s, 0.5f); atomicMax(most, threadIdx.x); }"""
    n, s, most = cp.zeros(1, cp.int32), cp.zeros(1, cp.float32), cp.zeros(1, cp.uint32)
    cp.RawKernel(code, "count")((3,), (100,), (n, s, most))
    assert (int(n[0]), float(s[0]), int(most[0])) == (300, 150.0, 99)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "uint64"])
def test_scattered_additions(cp: Any, dtype: str) -> None:
    y = cp.zeros((3, 2), dtype)
    cp.add.at(y, cp.asarray([0, 2, 0]), cp.asarray([[1, 2], [3, 4], [5, 6]], dtype))
    np.testing.assert_array_equal(y.get(), np.asarray([[6, 8], [0, 0], [3, 4]], dtype))


# threads, body, message
UNDEFINED = {
    "deadlock": (8, "if (threadIdx.x < 3) __syncwarp(); else __syncthreads();", "deadlock"),
    "lane_outside_of_the_mask": (32, "if (threadIdx.x < 8) __shfl_sync(0xff, 1, 20);", "does not take part"),
    "lane_that_has_left": (32, "if (threadIdx.x != 20) __shfl_sync(~0u, 1, 20);", "does not take part"),
    "lane_that_never_was": (8, "__shfl_xor_sync(~0u, 1, 16);", "does not take part"),
    "left_out": (8, "__syncwarp(2);", "leaves it out"),
    "unseen_barrier": (8, "JOINED(__sync, threads)();", "did not see"),
}


@pytest.mark.parametrize("name", UNDEFINED)
def test_undefined_behaviour_is_an_error_and_the_next_kernel_runs(cp: Any, name: str) -> None:
    threads, body, message = UNDEFINED[name]
    code = f'#define JOINED(a, b) a##b\nextern "C" __global__ void bad() {{ {body} }}'
    with pytest.raises(cp.cuda.driver.CUDADriverError, match=message):
        cp.RawKernel(code, "bad")((1,), (threads,), ())
    assert int(cp.sum(cp.arange(1000))) == 499_500


LAUNCHES = {
    "threads": ((1,), (2048,), 0, "larger than a GPU's"),
    "threads_in_all": ((1,), (64, 64), 0, "more than 1024 threads"),
    "grid": ((1, 70_000), (1,), 0, "larger than a GPU's"),
    "shared": ((1,), (1,), 50_000, "48 KiB"),
}


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_that_a_gpu_refuses(cp: Any, name: str) -> None:
    grid, block, shared, message = LAUNCHES[name]
    kernel = cp.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
    with pytest.raises(cp.cuda.driver.CUDADriverError, match=message):
        kernel(grid, block, (), shared_mem=shared)


def test_what_does_not_compile_is_an_error(cp: Any) -> None:
    kernel = cp.RawKernel('extern "C" __global__ void wrong() { __nanosleep_typo(3); }', "wrong")
    with pytest.raises(cp.cuda.compiler.CompileException, match="__nanosleep_typo"):
        kernel((1,), (1,), ())
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="has no kernel other"):
        cp.RawKernel('extern "C" __global__ void one() {}', "other")((1,), (1,), ())
