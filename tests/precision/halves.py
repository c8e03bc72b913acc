"""Which libraries have which numbers of 16 bits."""

from tests.support import BACKENDS

HAVE = {"float16": {"numpy", "torch", "jax", "cupy", "dpnp"}, "bfloat16": {"torch", "jax"}}


def pairs(*dtypes):
    """(backend, dtype) for every one that is tested here."""
    return [(name, dtype) for name in BACKENDS for dtype in dtypes if name in HAVE[dtype]]
