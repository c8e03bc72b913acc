"""One trace: the stand-in for the size of the batch, and that size as a number of the graph."""

from contextvars import ContextVar
from typing import Any

from nnx.backend.onnx.library import ndx, op
from nnx.backend.onnx.sizes import Size, Sizes


class Trace:
    """Opened around the code that is traced; the functions of the namespace find it by themselves.

    batch: the prime that stands for the size of the batch, 0 if all sizes are fixed
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.count: Any = None
        """The size of the batch, a number of the graph."""

    def __enter__(self) -> "Trace":
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _CURRENT.reset(self._token)

    def counts(self, argument: Any) -> None:
        """Say that the first axis of this array of ndonnx is the batch."""
        if self.count is None:
            shape = op().shape(argument.unwrap_spox(), start=0, end=1)
            self.count = ndx().reshape(ndx().asarray(shape), ())

    def shape(self, shape: Any) -> Sizes:
        """A shape of Python's numbers, Sizes where they belong to the batch."""
        return tuple(self._sized(int(n)) for n in shape)

    def _sized(self, n: int) -> Any:
        if not self.batch or not n or n % self.batch:
            return n
        times = n // self.batch
        return Size(n, lambda: self.count if times == 1 else times * self.count)

    def dynamic(self, shape: Sizes) -> Any:
        """A shape as an array of the graph."""
        parts = [n.write() if type(n) is Size else ndx().asarray(int(n), dtype=ndx().int64) for n in shape]
        return ndx().concat([ndx().reshape(part, (1,)) for part in parts])

    def known(self, shape: Sizes) -> bool:
        """Whether no size of it belongs to the batch."""
        return not any(type(n) is Size for n in shape)


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace:
    """The trace that is being made."""
    found = _CURRENT.get()
    if found is None:
        raise RuntimeError("an array of an ONNX graph was used after its trace had ended")
    return found
