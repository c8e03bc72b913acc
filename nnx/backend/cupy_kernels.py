"""Kernels of nnx's own for CuPy: one launch in the place of 130, 4 and 4. The generic functions are their oracles."""

import math
from functools import cache
from typing import Any

from nnx.backend import threefry
from nnx.typing import Array


def words(n: int, key: threefry.Key, draw: int, like: Array) -> Array:
    """threefry.words."""
    import cupy

    with like.device:
        found = cupy.empty(n, dtype=cupy.uint32)
        _threefry()(*key, draw & threefry.WORD, found, size=(n + 1) // 2)
    return found


def pick(z: Array, target: Array) -> Array | None:
    """z[k, target[k]] for every row k, -inf for a label that is no column."""
    return _picking()(z, target, -math.inf) if z.ndim == 2 else None


def minus_one_hot(p: Array, target: Array) -> Array:
    """p with 1 taken from column target[k] of every row k."""
    return _subtracting()(p, target[:, None], p.shape[1])


@cache
def _threefry() -> Any:
    """Thread i makes both words of the counter (i, draw), unrolled from the tables of threefry.py."""
    import cupy

    body = [
        f"unsigned int keys[3] = {{k0, k1, k0 ^ k1 ^ {threefry.PARITY}u}};",
        "unsigned int x0 = i + k0, x1 = draw + k1;",
    ]
    for block in range(5):
        body += [f"x0 += x1; x1 = x0 ^ ((x1 << {r}) | (x1 >> {32 - r}));" for r in threefry.ROTATIONS[block % 2]]
        body.append(f"x0 += keys[{(block + 1) % 3}]; x1 += keys[{(block + 2) % 3}] + {block + 1};")
    body.append("words[i] = x0; if (i + _ind.size() < words.size()) words[i + _ind.size()] = x1;")
    return cupy.ElementwiseKernel(
        "uint32 k0, uint32 k1, uint32 draw", "raw uint32 words", "\n".join(body), "nnx_threefry"
    )


@cache
def _picking() -> Any:
    import cupy

    body = """
    const long long c = z.shape()[1], column = static_cast<long long>(target);
    picked = column >= 0 && column < c ? z[i * c + column] : T(outside);
    """
    return cupy.ElementwiseKernel("raw T z, I target, float64 outside", "T picked", body, "nnx_pick")


@cache
def _subtracting() -> Any:
    import cupy

    body = "y = p - T(static_cast<long long>(target) == i % c ? 1 : 0)"
    return cupy.ElementwiseKernel("T p, I target, int64 c", "T y", body, "nnx_minus_one_hot")
