"""Names for what the annotations of nnx say: an array of any library, its namespace, a shape.

The Array API standard has no run-time type of an array (every library brings its own): `Array` is a name for readers.
"""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that follows the standard, or a `Var` around one."""

Namespace: TypeAlias = Any
"""A module, or an object like one, with the functions of the standard."""

DType: TypeAlias = Any
"""A data type object of a namespace, e.g. `xp.float32`."""

Device: TypeAlias = Any
"""A device object of a library, as its `array.device` gives it."""

Shape: TypeAlias = tuple[int, ...]
"""The sizes of an array's axes."""

Tree: TypeAlias = Any
"""An array, a Module, or a nest of dicts, lists and tuples of them."""
