"""A row an operation: what CuPy computes under the emulator is what NumPy computes, value, shape and dtype.

f(xp, x, y, i): x (4, 5) and y (5, 3) float32, i (6,) int64 with repeats. Some rows need another way of writing it in
the two libraries; those take `xp` to choose. Reductions sum in another order, so floats are compared to 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Operation = Callable[[Any, Any, Any, Any], Any]

OPERATIONS: dict[str, Operation] = {
    # creation
    "arange": lambda xp, x, y, i: xp.arange(2, 20, 3),
    "linspace": lambda xp, x, y, i: xp.linspace(0, 1, 7),
    "eye": lambda xp, x, y, i: xp.eye(4, 6, k=1),
    "full": lambda xp, x, y, i: xp.full((2, 3), 2.5, dtype=xp.float32),
    "tril": lambda xp, x, y, i: xp.tril(x),
    "meshgrid": lambda xp, x, y, i: xp.stack(xp.meshgrid(i, i)),
    "zeros_like": lambda xp, x, y, i: xp.zeros_like(x),
    # elementwise
    "add": lambda xp, x, y, i: x + x,
    "add_scalar": lambda xp, x, y, i: x + 2.5,
    "broadcast": lambda xp, x, y, i: x[:, :1] * x[0],
    "divide": lambda xp, x, y, i: x / (x * x + 1),
    "floor_divide": lambda xp, x, y, i: (x * 10) // 3,
    "remainder": lambda xp, x, y, i: (x * 10) % 3,
    "power": lambda xp, x, y, i: xp.abs(x) ** 1.5,
    "int_power": lambda xp, x, y, i: i**2,
    "exp": lambda xp, x, y, i: xp.exp(x),
    "log1p": lambda xp, x, y, i: xp.log1p(xp.abs(x)),
    "sqrt": lambda xp, x, y, i: xp.sqrt(xp.abs(x)),
    "tanh": lambda xp, x, y, i: xp.tanh(x),
    "sin": lambda xp, x, y, i: xp.sin(x),
    "maximum": lambda xp, x, y, i: xp.maximum(x, 0),
    "minimum": lambda xp, x, y, i: xp.minimum(x, x[::-1]),
    "clip": lambda xp, x, y, i: xp.clip(x, -0.5, 0.5),
    "where": lambda xp, x, y, i: xp.where(x > 0, x, -1),
    "sign": lambda xp, x, y, i: xp.sign(x),
    "round": lambda xp, x, y, i: xp.round(x * 10),
    "compare": lambda xp, x, y, i: x >= x[::-1],
    "logical": lambda xp, x, y, i: xp.logical_and(x > 0, x < 1),
    "isfinite": lambda xp, x, y, i: xp.isfinite(x / xp.where(x > 0, x, 0 * x)),
    "bitwise": lambda xp, x, y, i: (i << 3) ^ (i | 5),
    "uint32_wrap": lambda xp, x, y, i: i.astype(xp.uint32) * xp.asarray(2654435761, dtype=xp.uint32),
    "complex": lambda xp, x, y, i: xp.exp(1j * x),
    "float16": lambda xp, x, y, i: x.astype(xp.float16) * 2,
    "bool_to_float": lambda xp, x, y, i: (x > 0).astype(xp.float32),
    "float_to_int": lambda xp, x, y, i: (x * 10).astype(xp.int32),
    # reductions
    "sum": lambda xp, x, y, i: xp.sum(x),
    "sum_axis": lambda xp, x, y, i: xp.sum(x, axis=0),
    "sum_axes": lambda xp, x, y, i: xp.sum(xp.reshape(x, (2, 2, 5)), axis=(0, 2), keepdims=True),
    "sum_long": lambda xp, x, y, i: xp.sum(xp.arange(100_000, dtype=xp.float64)),
    "mean": lambda xp, x, y, i: xp.mean(x, axis=1),
    "var": lambda xp, x, y, i: xp.var(x, axis=0),
    "std": lambda xp, x, y, i: xp.std(x),
    "prod": lambda xp, x, y, i: xp.prod(x, axis=1),
    "max": lambda xp, x, y, i: xp.max(x, axis=1),
    "min": lambda xp, x, y, i: xp.min(x),
    "argmax": lambda xp, x, y, i: xp.argmax(x, axis=1),
    "argmin": lambda xp, x, y, i: xp.argmin(x),
    "any": lambda xp, x, y, i: xp.any(x > 1, axis=0),
    "all": lambda xp, x, y, i: xp.all(x > -9),
    "cumsum": lambda xp, x, y, i: xp.cumsum(x, axis=1),
    "cumprod": lambda xp, x, y, i: xp.cumprod(x.ravel()),
    "count_nonzero": lambda xp, x, y, i: xp.count_nonzero(i),
    "norm": lambda xp, x, y, i: xp.linalg.norm(x),
    # products
    "matmul": lambda xp, x, y, i: x @ y,
    "matmul_float64": lambda xp, x, y, i: x.astype(xp.float64) @ y.astype(xp.float64),
    "matmul_float16": lambda xp, x, y, i: x.astype(xp.float16) @ y.astype(xp.float16),
    "matmul_complex": lambda xp, x, y, i: (x + 1j) @ (y - 2j),
    "matmul_transposed": lambda xp, x, y, i: x.T @ x,
    "matmul_vector": lambda xp, x, y, i: x @ y[:, 0],
    "matmul_batched": lambda xp, x, y, i: xp.stack([x, 2 * x]) @ xp.stack([y, y]),
    "matmul_sliced": lambda xp, x, y, i: x[:, ::2] @ y[::2],
    "matmul_int": lambda xp, x, y, i: i[:, None] @ i[None, :],
    "dot": lambda xp, x, y, i: xp.dot(x[0], x[1]),
    "vdot": lambda xp, x, y, i: xp.vdot(x[0] + 1j, x[1] - 1j),
    "outer": lambda xp, x, y, i: xp.outer(x[0], y[:, 0]),
    "tensordot": lambda xp, x, y, i: xp.tensordot(x, y, axes=1),
    "einsum": lambda xp, x, y, i: xp.einsum("ij,jk->ki", x, y),
    # shapes
    "reshape": lambda xp, x, y, i: xp.reshape(x, (2, -1)),
    "transpose": lambda xp, x, y, i: xp.permute_dims(xp.reshape(x, (2, 2, 5)), (2, 0, 1)).copy(),
    "concatenate": lambda xp, x, y, i: xp.concatenate([x, x[:1]], axis=0),
    "concatenate_many": lambda xp, x, y, i: xp.concatenate([x] * 12, axis=1),
    "stack": lambda xp, x, y, i: xp.stack([x, x], axis=-1),
    "pad": lambda xp, x, y, i: xp.pad(x, ((1, 2), (0, 1))),
    "flip": lambda xp, x, y, i: xp.flip(x, axis=1),
    "roll": lambda xp, x, y, i: xp.roll(x, 2, axis=1),
    "repeat": lambda xp, x, y, i: xp.repeat(x, 3, axis=0),
    "broadcast_to": lambda xp, x, y, i: xp.broadcast_to(x[:, None], (4, 2, 5)).copy(),
    # indexing, sorting, searching
    "slice": lambda xp, x, y, i: x[1:, ::-2],
    "take": lambda xp, x, y, i: xp.take(x, i % 4, axis=0),
    "take_along_axis": lambda xp, x, y, i: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "fancy": lambda xp, x, y, i: x[i % 4, i % 5],
    "mask": lambda xp, x, y, i: x[x > 0],
    "nonzero": lambda xp, x, y, i: xp.stack(xp.nonzero(x > 0)),
    "assign": lambda xp, x, y, i: _assigned(xp, x),
    "scatter_add": lambda xp, x, y, i: _scattered(xp, x, i),
    "sort": lambda xp, x, y, i: xp.sort(x, axis=0),
    "argsort": lambda xp, x, y, i: xp.argsort(x, axis=1),
    "lexsort": lambda xp, x, y, i: xp.lexsort(xp.stack([i, -i])),
    "unique": lambda xp, x, y, i: xp.unique(i),
    "searchsorted": lambda xp, x, y, i: xp.searchsorted(xp.sort(x[0]), x[1]),
    "bincount": lambda xp, x, y, i: xp.bincount(i),
}


def _assigned(xp: Any, x: Any) -> Any:
    x = x.copy()
    x[1, ::2] = 7
    x[x < 0] = 0
    return x


def _scattered(xp: Any, x: Any, i: Any) -> Any:
    x = x.copy()
    xp.add.at(x, i % 4, x[0].copy())
    return x


@pytest.mark.parametrize("name", OPERATIONS)
def test_equals_numpy(cp: Any, name: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    i = np.asarray([0, 3, 1, 3, 2, 7])
    # CuPy has no warnings: what is invalid is nan in both.
    with np.errstate(all="ignore"):
        expected = np.asarray(OPERATIONS[name](np, x, y, i))
    result = OPERATIONS[name](cp, cp.asarray(x), cp.asarray(y), cp.asarray(i))
    assert isinstance(result, cp.ndarray)
    assert result.dtype == expected.dtype
    tolerance = 2e-3 if expected.dtype == np.float16 else 1e-5
    np.testing.assert_allclose(result.get(), expected, rtol=tolerance, atol=tolerance, strict=True)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 511, 513, 70_001])
def test_reductions_of_every_size(cp: Any, size: int) -> None:
    x = np.arange(size, dtype=np.int64) * 7 % 1013
    assert int(cp.sum(cp.asarray(x))) == x.sum()
    np.testing.assert_array_equal(cp.cumsum(cp.asarray(x)).get(), np.cumsum(x))


def test_random_numbers_have_the_right_distribution(cp: Any) -> None:
    state = cp.random.RandomState(1)
    uniform, normal = state.rand(20_000).get(), state.standard_normal(20_000).get()
    assert uniform.min() > 0
    assert uniform.max() <= 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    np.testing.assert_array_equal(cp.random.RandomState(1).rand(5).get(), uniform[:5])


def test_memory_of_others_is_taken_without_a_copy(cp: Any) -> None:
    class Foreign:
        def __init__(self, array: Any) -> None:
            self.__cuda_array_interface__ = array.__cuda_array_interface__

    x = cp.arange(6.0)
    for view in (cp.asarray(Foreign(x)), cp.from_dlpack(x)):
        view += 1
    np.testing.assert_array_equal(x.get(), np.arange(6.0) + 2)


def test_new_memory_is_not_zero_by_luck(cp: Any) -> None:
    """A kernel that forgets to write is seen: fresh memory holds 0xCB."""
    # from a pool of its own: the shared one may hand out the rest of a chunk that another test still holds
    with cp.cuda.using_allocator(cp.cuda.MemoryPool().malloc):
        assert set(cp.empty(64, dtype=cp.uint8).get()) == {0xCB}
