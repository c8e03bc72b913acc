"""A `Var` is an array with a place on a tape; without one it is a constant, which nothing records.

It is an array of the standard, as far as any code can tell: its namespace is nnx's differentiable one, and everything
that the namespace or an operator returns is a Var again. Its operators are rules like any other and are attached by
`nnx.autodiff.operators`: mechanism and rules never mix.
"""

import copy
import operator
from typing import TYPE_CHECKING, Any, Never

from nnx.backend import innermost, register_box
from nnx.typing import Array, Device, DType, Namespace, Shape

if TYPE_CHECKING:
    from nnx.autodiff.tape import Tape


class Var:
    """An array that may be watched.

    value: the array itself (of the library, or a Var of an outer tape)   tape, index: where it is recorded, if it is
    """

    __slots__ = ("__weakref__", "index", "tape", "value")

    # without it `ndarray + Var` would silently build an array of objects, element by element
    __array_ufunc__ = None

    def __init__(self, value: Array, tape: "Tape | None" = None, index: int = -1) -> None:
        self.value = value
        self.tape = tape
        self.index = index

    @property
    def watched(self) -> bool:
        """Whether operations on this array are recorded by a tape that is still open."""
        x: Any = self
        while type(x) is Var:
            if x.tape is not None and x.tape.level > 0:
                return True
            x = x.value
        return False

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        """nnx's differentiable namespace over the library underneath."""
        from nnx.autodiff.namespace import over

        return over(innermost(self), api_version)

    def __array__(self, *args: Any, **kwargs: Any) -> Never:
        """Raises TypeError: NumPy's and SciPy's own functions would lose the gradient silently."""
        raise TypeError(
            "a function that knows only NumPy arrays was given an array that is being differentiated, and would lose "
            "its gradient silently: use xp = x.__array_namespace__() (or nnx.stop_gradient(x), then nnx.to_numpy)"
        )

    def __repr__(self) -> str:
        kind = "watched" if self.watched else "constant"
        return f"Var({innermost(self)!r}, {kind})"

    def __format__(self, spec: str, /) -> str:
        """What its library makes of it, as in f"{loss:.3f}"."""
        return format(innermost(self), spec) if spec else str(self)

    def __deepcopy__(self, memo: dict[int, Any], /) -> "Var":
        """Another array in the same place on the tape: on a copy of the tape, nobody would look for its gradient."""
        return Var(copy.deepcopy(self.value, memo), self.tape, self.index)

    # ---- attributes of the standard ------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """The sizes of the axes."""
        shape: Shape = self.value.shape
        return shape

    @property
    def dtype(self) -> DType:
        """The data type."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        ndim: int = self.value.ndim
        return ndim

    @property
    def size(self) -> int | None:
        """The number of elements."""
        if type(self.value) is Var:
            return self.value.size
        size = 1
        for n in self.value.shape:
            if n is None:  # an axis whose length the library does not know yet
                return None
            size *= n
        return size

    @property
    def device(self) -> Device:
        """The device that the array lives on."""
        return self.value.device

    # ---- values, out of reach of the tape ------------------------------------------------------------------------

    def __bool__(self, /) -> bool:
        return bool(self.value)

    def __int__(self, /) -> int:
        return int(self.value)

    def __float__(self, /) -> float:
        return float(self.value)

    def __complex__(self, /) -> complex:
        return complex(self.value)

    def __index__(self, /) -> int:
        return operator.index(self.value)  # CuPy refuses: its arrays are no indices

    def __dlpack__(
        self,
        /,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The array as a DLPack capsule; raises TypeError while it is watched."""
        if self.watched:
            raise TypeError("DLPack would lose the gradient of a watched array: take nnx.stop_gradient(x) first")
        given = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return innermost(self).__dlpack__(**{name: value for name, value in given.items() if value is not None})

    def __dlpack_device__(self, /) -> tuple[Any, int]:
        device: tuple[Any, int] = innermost(self).__dlpack_device__()
        return device

    if TYPE_CHECKING:  # attached by nnx.autodiff.operators, rule by rule

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, key: Any) -> "Var": ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __neg__(self) -> "Var": ...
        def __add__(self, other: Any) -> "Var": ...
        def __radd__(self, other: Any) -> "Var": ...
        def __sub__(self, other: Any) -> "Var": ...
        def __rsub__(self, other: Any) -> "Var": ...
        def __mul__(self, other: Any) -> "Var": ...
        def __rmul__(self, other: Any) -> "Var": ...
        def __truediv__(self, other: Any) -> "Var": ...
        def __rtruediv__(self, other: Any) -> "Var": ...
        def __matmul__(self, other: Any) -> "Var": ...
        def __pow__(self, other: Any) -> "Var": ...
        def __gt__(self, other: Any) -> "Var": ...
        def __lt__(self, other: Any) -> "Var": ...


register_box(Var)
