"""Cross entropy of (n, c) scores and n labels on CuPy: two launches forward and one backward in the place of 14.

Forward a block of threads reads a row: its largest score m, s = Σ exp(x - m), and the loss log s - (x[target] - m).
What is left to do is one sum. Backward, softmax - one-hot is computed from x, m and s, which are all that is kept.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.typing import Array

THREADS = 128
WIDE = {"float16": "float", "float32": "float", "float64": "double"}
"""In which type a row is summed."""

FORWARD = """
#include <cupy/carray.cuh>
#include <cupy/float16.cuh>
extern "C" __global__ void nnx_cross_entropy(
    const {T}* x, const {I}* target, {T}* losses, {A}* stats, const long long n, const long long c,
    const double factor) {{
  __shared__ {A} part[{threads}];
  const long long row = blockIdx.x;
  const int t = threadIdx.x;
  x += row * c;
  {A} m = static_cast<{A}>(x[0]), s = 0;
  for (long long k = t; k < c; k += {threads}) {{
    const {A} v = static_cast<{A}>(x[k]);
    m = v > m || v != v ? v : m;
  }}
  part[t] = m;
  __syncthreads();
  for (int half = {threads} / 2; half; half /= 2) {{
    if (t < half) {{
      const {A} v = part[t + half];
      part[t] = v > part[t] || v != v ? v : part[t];
    }}
    __syncthreads();
  }}
  m = part[0];
  __syncthreads();
  for (long long k = t; k < c; k += {threads}) s += exp(static_cast<{A}>(x[k]) - m);
  part[t] = s;
  __syncthreads();
  for (int half = {threads} / 2; half; half /= 2) {{
    if (t < half) part[t] += part[t + half];
    __syncthreads();
  }}
  if (t == 0) {{
    const long long label = static_cast<long long>(target[row]);
    const {A} picked = label >= 0 && label < c ? static_cast<{A}>(x[label]) - m : log({A}(0));
    losses[row] = static_cast<{T}>((log(part[0]) - picked) * static_cast<{A}>(factor));
    stats[row] = m;
    stats[n + row] = part[0];
  }}
}}
"""


def cross_entropy(
    x: Array, target: Array, factor: float | None
) -> tuple[Array, Callable[[Array], tuple[Any, None, None]]] | None:
    """The losses of the samples, or factor · their sum; and the pullback. None for scores of another kind."""
    import cupy

    if x.dtype.name not in WIDE or target.dtype.kind not in "iu" or 0 in x.shape:
        return None
    n, c = x.shape
    x, target = cupy.ascontiguousarray(x), cupy.ascontiguousarray(target)
    losses, stats = cupy.empty(n, x.dtype), cupy.empty((2, n, 1), _wide(x.dtype.name))
    size = cupy.float64(1.0 if factor is None else factor)
    with x.device:
        kernel = _forward(x.dtype.name, target.dtype.name)
        kernel((n,), (THREADS,), (x, target, losses, stats, cupy.int64(n), cupy.int64(c), size))

    def slope(dy: Array) -> Array:
        return _backward()(x, stats[0], stats[1], target[:, None], dy, size, c)

    def pullback(dy: Array) -> tuple[Any, None, None]:
        rows = dy if factor is not None else dy[:, None]
        if type(dy) is not cupy.ndarray:  # somebody watches the gradient itself
            return rows * slope(cupy.ones((), x.dtype)), None, None
        return slope(rows), None, None

    return losses if factor is None else cupy.sum(losses), pullback


def _wide(dtype: str) -> str:
    return "float64" if dtype == "float64" else "float32"


@cache
def _forward(dtype: str, labels: str) -> Any:
    import cupy

    from nnx.backend.cuda_code import C_TYPES

    types = {"T": C_TYPES[dtype], "I": C_TYPES[labels], "A": WIDE[dtype]}
    return cupy.RawKernel(FORWARD.format(threads=THREADS, **types), "nnx_cross_entropy")


@cache
def _backward() -> Any:
    import cupy

    body = """
    const A p = exp(static_cast<A>(x) - m) / s - A(static_cast<long long>(target) == i % c ? 1 : 0);
    dx = static_cast<T>(p * static_cast<A>(dy) * static_cast<A>(factor));
    """
    arguments = "T x, A m, A s, I target, T dy, float64 factor, int64 c"
    return cupy.ElementwiseKernel(arguments, "T dx", body, "nnx_cross_entropy_slope")


KERNELS: dict[str, Callable[..., Any]] = {"cross_entropy": cross_entropy}
