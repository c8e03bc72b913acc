"""What nnx.compile asks of a library's compiler, for a library that has none."""

from collections.abc import Callable
from typing import Any

from nnx.backend.compiler import Compiler
from nnx.backend.replay.book import Book, StandIn, ValueRead
from nnx.backend.replay.program import Writer, compiled, needed, used_inputs
from nnx.backend.replay.traced import recording
from nnx.typing import Array


def form(x: Array) -> Any:
    """See Compiler.form. A stand-in belongs to another program, which this one becomes part of."""
    return None if isinstance(x, StandIn) else (type(x), x.shape, x.dtype)


def number(n: Any) -> Any:
    """A Python number stays one."""
    return n


def unread(error: Exception) -> bool:
    """See Compiler.unread."""
    return isinstance(error, ValueRead)


def compiler_of(library: Any) -> Compiler:
    """The compiler for the arrays of a library, a Backend."""

    def trace(
        pure: Callable[[list[Any]], list[Array]], inputs: list[Any]
    ) -> tuple[list[int], Callable[[list[int]], Callable[..., Any]]]:
        recorded = recording(library)
        book = Book(recorded.kind, recorded.number, inputs)
        outputs = pure(list(book.inputs))
        lines = needed(book, outputs)
        used = used_inputs(book, lines, outputs)
        return used, lambda donated: compiled(Writer(book, lines, outputs, donated), used)

    return Compiler(form, number, False, unread, trace)
