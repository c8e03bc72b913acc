"""What nnx.compile asks of a library that has a compiler: one small module a library, with these functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nnx.typing import Array


class Compiler(NamedTuple):
    """A library's compiler.

    form: of an array, what a program depends on (shape, dtype, ...), to be compared; None for one that stands for
    others, such as a tracer: the step is then part of somebody else's program
    number: a Python number as what a program takes in its place   converts: whether that is something else
    slow: whether a program takes many seconds to make, so that a short training does without
    unread: whether this error says that a value was read from an array in a trace
    trace: (pure, inputs) -> (used, build). `pure` is called once, with the list of the inputs as tracers, and returns a
    list of arrays. used: positions of the inputs that matter. build(donated positions, of those that are used) is the
    program: it takes the used inputs, and returns what pure does. Where the library lets a user read a donated array
    afterwards, the program has `overwrites`, positions among its arguments, own(x, alone), what to give for x, and
    owner(x), the array in whose memory x lies.
    """

    form: Callable[[Array], Any]
    number: Callable[[Any], Any]
    converts: bool
    unread: Callable[[Exception], bool]
    trace: Callable[
        [Callable[[list[Any]], list[Array]], list[Any]], tuple[list[int], Callable[[list[int]], Callable[..., Any]]]
    ]
    slow: bool = False
