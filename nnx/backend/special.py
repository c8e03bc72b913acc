"""Special functions of plain arrays, by SciPy's names: SciPy computes them, on whatever library it knows how to."""

import importlib
import os
from contextlib import suppress
from typing import Any

from nnx.backend.arrays import backend_of, is_array, namespace
from nnx.typing import Array

OWN = ("numpy", "torch", "jax", "cupy")
"""Libraries to whose own special functions SciPy turns, if SCIPY_ARRAY_API is set; for others it turns to NumPy."""


def special(name: str, *args: Any) -> Array:
    """scipy.special.<name>(*args), in the library, dtype and device of the first array; numbers go with any."""
    function = getattr(importlib.import_module("scipy.special"), name)
    first = next(x for x in args if is_array(x))
    library = backend_of(first)
    if library.name == "numpy" or (library.name in OWN and os.environ.get("SCIPY_ARRAY_API")):
        # some functions take NumPy's arrays alone, all the same, or SciPy was imported before it was asked
        with suppress(*(() if library.name == "numpy" else (AttributeError, TypeError, NotImplementedError))):
            y = namespace(first).asarray(function(*args))
            return y if y.dtype == first.dtype else namespace(first).astype(y, first.dtype)
    y = function(*(library.to_numpy(x) if is_array(x) else x for x in args))
    return library.home(first).asarray(y, first.dtype)
