"""The libraries that nnx's namespace is laid over: what each gives by itself is what nnx has to give.

NumPy's own namespace is held to array_api_compat's, which is what the standard's test-suite would be run against.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy
import array_api_strict as strict
import numpy as np

import nnx
from nnx import Var
from tests.conformance.draws import Draws


@dataclass(frozen=True)
class Library:
    """name: in reports   version: of the standard   below: the library's namespace   one: an array of it"""

    name: str
    version: str
    below: Any
    one: Any
    rounded: frozenset = frozenset()
    """Functions whose values may differ in the last bits, although nothing is watched."""

    @property
    def above(self):
        return nnx.namespace(Var(self.one))

    @contextmanager
    def in_version(self):
        """array-api-strict serves the version that it was told."""
        if self.below is not strict:
            yield self
            return
        before = strict.get_array_api_strict_flags()
        strict.set_array_api_strict_flags(api_version=self.version)
        try:
            yield self
        finally:
            strict.set_array_api_strict_flags(api_version=before["api_version"])

    def draws(self):
        return Draws(self.above, self.version)


NEWEST = strict.get_array_api_strict_flags()["api_version"]
STRICT = [
    Library(f"array_api_strict {version}", version, strict, strict.asarray(1.0))
    for version in dict.fromkeys(("2024.12", NEWEST))
]
NUMPY = Library(
    "numpy",
    NEWEST,
    array_api_compat.numpy,
    np.asarray(1.0),
    # NumPy's own sign of a complex number; nnx's mean multiplies by 1/n; compat's upper Cholesky factor is the lower
    # one's adjoint
    frozenset({"sign", "mean", "linalg.cholesky"}),
)
LIBRARIES = [*STRICT, NUMPY]


def functions(version):
    """Every function of the standard by name, asked of array-api-strict: a list here would go stale."""
    found = [n for n in strict.__all__ if _is_function(getattr(strict, n)) and "flags" not in n]
    for extension in ("linalg", "fft"):
        module = getattr(strict, extension)
        own = [
            n
            for n in dir(module)
            if _is_function(getattr(module, n)) and getattr(module, n).__module__.startswith("array_api_strict")
        ]
        found += [f"{extension}.{n}" for n in own if n in module.__all__ or n in ADDED]
    return [name for name in found if name not in MISSING.get(version, ())]


ADDED = ("eig", "eigvals")  # array-api-strict's __all__ is of an older version
MISSING = {"2024.12": ("broadcast_shapes", "isin", "linalg.eig", "linalg.eigvals")}
"""What array-api-strict refuses in a version because it came later."""


def _is_function(x):
    return callable(x) and not isinstance(x, type) and not hasattr(x, "_np_dtype")


def named(xp, name):
    """xp.linalg.inv of "linalg.inv"."""
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp
