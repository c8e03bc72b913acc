"""cuBLAS called directly, for what CuPy rarely asks: conjugated factors, bfloat16, types that do not go together."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

OPERATIONS = {0: lambda x: x, 1: lambda x: x.T, 2: lambda x: x.conj().T}
F32, F16, I8, I32, BF16 = 0, 2, 3, 10, 14  # cudaDataType_t
IN_F32, IN_I32 = 68, 72  # cublasComputeType_t


def address(value: Any) -> int:
    """Of a scalar, which cuBLAS reads on the host."""
    kept.append(value)
    return int(value.ctypes.data)


kept: list[Any] = []


@pytest.mark.parametrize(("ta", "tb"), list(itertools.product(OPERATIONS, OPERATIONS)))
def test_zgemm(cp: Any, ta: int, tb: int) -> None:
    """Column-major: what it sees of a C-ordered array is the transpose, in and out."""
    from cupy_backends.cuda.libs import cublas

    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((4, 4), (4, 4), (4, 4)))
    alpha, beta = np.array([2 - 1j]), np.array([0.5 + 3j])
    da, db, dc = cp.asarray(a), cp.asarray(b), cp.asarray(c)
    cublas.zgemm(cp.cuda.Device().cublas_handle, ta, tb, 4, 4, 4, address(alpha), da.data.ptr, 4, db.data.ptr, 4,
                 address(beta), dc.data.ptr, 4)  # fmt: skip
    expected = alpha * (OPERATIONS[ta](a.T) @ OPERATIONS[tb](b.T)) + beta * c.T
    np.testing.assert_allclose(dc.get().T, expected)


def test_what_beta_0_leaves_out_may_be_nan(cp: Any) -> None:
    from cupy_backends.cuda.libs import cublas

    x, out = cp.ones((4, 4), dtype=cp.float32), cp.full((4, 4), cp.nan, dtype=cp.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    cublas.sgemm(cp.cuda.Device().cublas_handle, 0, 0, 4, 4, 4, address(one), x.data.ptr, 4, x.data.ptr, 4,
                 address(zero), out.data.ptr, 4)  # fmt: skip
    np.testing.assert_array_equal(out.get(), 4)


def gemm_ex(cp: Any, x: Any, y: Any, out: Any, a: int, c: int, compute: int) -> None:
    from cupy_backends.cuda.libs import cublas

    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    cublas.gemmEx(cp.cuda.Device().cublas_handle, 0, 0, 1, 1, 1, address(one), x.data.ptr, a, 1, y.data.ptr, a, 1,
                  address(zero), out.data.ptr, c, 1, compute, -1)  # fmt: skip


# In units of 1/128, bfloat16's step from 1 to 2, the products are 240, 209.6, 193.5 and 196.5: a tie goes to even.
ROUNDED = [(1.5, 1.25, 240), (1.0078125, 1.625, 210), (1.0078125, 1.5, 194), (1.0234375, 1.5, 196)]


@pytest.mark.parametrize(("x", "y", "steps"), ROUNDED)
def test_bfloat16_is_rounded_to_nearest_even(cp: Any, x: float, y: float, steps: int) -> None:
    bits = (np.array([x, y, 0], dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)
    dx, dy, out = (cp.asarray(bits[i : i + 1]) for i in range(3))
    gemm_ex(cp, dx, dy, out, BF16, BF16, IN_F32)
    found = (out.get().astype(np.uint32) << 16).view(np.float32)[0]
    assert found == steps / 128


@pytest.mark.parametrize(
    ("a", "c", "compute"), [(I8, I32, IN_I32), (I8, I32, IN_F32), (F32, F32, IN_I32), (F32, F16, IN_F32)]
)
def test_types_that_do_not_go_together_are_refused(cp: Any, a: int, c: int, compute: int) -> None:
    """The fall-through of a switch would leave the result unwritten."""
    from cupy_backends.cuda.libs import cublas

    x, out = cp.ones(4), cp.zeros(4)
    with pytest.raises(cublas.CUBLASError, match="the CUDA emulator cannot do GemmEx with these types"):
        gemm_ex(cp, x, x, out, a, c, compute)
