"""From a book's lines to a function: straight lines of Python, with what nobody needs left out.

An elementwise function may write its result where an array lies that nobody needs any more. Which arrays may share
memory is followed by groups: a view belongs to the group of what it is a view of, and so does whatever a function
returns that does not promise a result of its own. A group is free when the last of its members has been used.
"""

import itertools
import linecache
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnx.backend.arrays import is_array
from nnx.backend.replay.book import NUMBERS, Book, Line, Ref, StandIn, leaves, owner
from nnx.backend.replay.fuser import Call
from nnx.backend.replay.traced import item, transpose
from nnx.typing import Array

LARGE = 1 << 12
"""Bytes from which on an array that nobody needs is let go at once."""
SYMBOLS = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
}

_numbers = itertools.count(1)


def used_inputs(book: Book, lines: list[Line], outputs: list[Any]) -> list[int]:
    """The positions of the inputs that a program of these lines reads."""
    read = {ref.at for line in lines for ref in refs((line.args, line.kwargs))}
    read |= {x.at for x in outputs if isinstance(x, StandIn)}
    return [k for k, x in enumerate(book.inputs) if x.at in read]


def needed(book: Book, outputs: list[Any]) -> list[Line]:
    """The lines without which the outputs would be others."""
    wanted = {x.at for x in outputs if isinstance(x, StandIn)}
    kept = []
    for line in reversed(book.lines):
        if line.result is None or line.result in wanted:
            kept.append(line)
            wanted |= {ref.at for ref in refs((line.args, line.kwargs))}
    return kept[::-1]


class Groups:
    """Which variables may share memory, and when the last of a group is used."""

    def __init__(self, lines: list[Line], foreign: set[int]) -> None:
        """foreign: variables whose memory is not the program's: inputs and outputs"""
        self.above: dict[int, int] = {}
        for line in lines:
            if line.result is not None and not line.fresh:
                for ref in refs((line.args, line.kwargs)):
                    self._join(line.result, ref.at)
                if any(map(is_array, leaves((line.args, line.kwargs)))):  # a view of a constant
                    foreign = foreign | {line.result}
        self.foreign = {self.of(at) for at in foreign}
        # the last line that uses a group, and a variable
        self.last: dict[int, int] = {}
        self.uses: dict[int, int] = {}
        for k, line in enumerate(lines):
            for at in touched(line):
                self.last[self.of(at)] = self.uses[at] = k

    def of(self, at: int) -> int:
        """The group of a variable."""
        while at in self.above:
            at = self.above[at]
        return at

    def _join(self, one: int, other: int) -> None:
        one, other = self.of(one), self.of(other)
        if one != other:
            self.above[one] = other

    def ends(self, at: int, k: int) -> bool:
        """Whether line k is the last that uses memory of the program's own."""
        group = self.of(at)
        return group not in self.foreign and self.last[group] == k


class Writer:
    """The text of a program, and what its names mean."""

    def __init__(self, book: Book, lines: list[Line], outputs: list[Any], donated: list[int]) -> None:
        self.book, self.lines, self.inputs, self.outputs = book, lines, book.inputs, outputs
        inputs = book.inputs
        large = [k for k in donated if getattr(inputs[k].value, "nbytes", 0) >= LARGE]
        given = {inputs[k].at for k in large}
        foreign = {x.at for x in [*inputs, *outputs] if isinstance(x, StandIn)} - given
        self.groups = Groups(lines, foreign)
        self.returned = {x.at for x in outputs if isinstance(x, StandIn)}
        self.made = {line.result for line in lines if line.fresh} | given
        self.given = {f"a{k}" for k in large}
        self.overwritten: set[str] = set()
        self.names: dict[int, str] = {x.at: f"a{k}" for k, x in enumerate(inputs)}
        self.constants: dict[str, Any] = {}
        self.named: dict[int, str] = {}

    def source(self, used: list[int], name: str) -> str:
        """The program, a function of that name of the inputs that are used."""
        head = f"def {name}({', '.join(self.names[self.inputs[k].at] for k in used)}):"
        body = []
        for k, line in enumerate(self.lines):
            body += [self._line(k, line), *self._freed(k, line)]
        last = f"return [{', '.join(map(self._output, self.outputs))}]"
        return "\n    ".join([head, *body, last]) + "\n"

    def _line(self, k: int, line: Line) -> str:
        if line.result is None:
            return self._call(line, "")
        if isinstance(line.function, Call):
            places = self._places(k, line, line.function.over)
            call = self._call(line, f"[{', '.join(map(str, places))}]" if any(places) else "")
            self.overwritten.update(place for place in places if place)
            self.names[line.result] = f"v{line.result}"
        else:
            place = self._place(k, line)
            call = self._call(line, place)
            self.overwritten.add(place)
            self.names[line.result] = place or f"v{line.result}"
        return f"{self.names[line.result]} = {call}"

    def _place(self, k: int, line: Line) -> str:
        """The name of an array over which the result may be written; "" if it has to be a new one."""
        form = None if line.result is None else _form(self.book.values[line.result])
        if form is None or not _writes(line.function) or not line.fresh or line.kwargs:
            return ""
        given = [ref.at for ref in refs(line.args)]
        return next((self.names[at] for at in given if self._over(at, given, form, k)), "")

    def _places(self, k: int, line: Line, over: Sequence[Sequence[int]]) -> list[str | None]:
        """For each result of a fused function the name of an array over which it may be written, if there is one."""
        values, results = line.args[0], self.book.values[line.result or 0]
        given, found = [x.at for x in values if type(x) is Ref], list[str | None]()
        for y, positions in zip(results, over, strict=False):
            alike = [values[p].at for p in positions if type(values[p]) is Ref]
            fit = [at for at in alike if given.count(at) == 1 and self._over(at, given, _form(y), k)]
            names = [self.names[at] for at in fit if self.names[at] not in found]
            # the state's own arrays first: others go once they are not needed, these when the step has ended
            found.append(next(iter(sorted(names, key=lambda name: name not in self.given)), None))
        return found

    def _over(self, at: int, given: list[int], form: Any, k: int) -> bool:
        """Whether line k, whose arguments are `given`, is the last that needs this one, and may write to it."""
        alone = all(other == at or self.groups.of(other) != self.groups.of(at) for other in given)
        same = form is not None and _form(self.book.values[at]) == form
        return alone and same and at in self.made and self.groups.ends(at, k)

    def _freed(self, k: int, line: Line) -> Iterator[str]:
        """Lets go of the large arrays, and of what may keep one, that this line was the last to use."""
        taken = self.names.get(line.result if line.result is not None else -1)
        over = [at for at in touched(line) if self.groups.uses[at] == k and at not in self.returned]
        values = ((at, self.book.values[at]) for at in over)
        large = [at for at, value in values if type(value) not in NUMBERS and getattr(value, "nbytes", LARGE) >= LARGE]
        names = {self.names[at] for at in large} - {taken}
        if names:
            yield " = ".join(sorted(names)) + " = None"

    def _call(self, line: Line, place: str) -> str:
        function, args = line.function, [self._text(x) for x in line.args]
        if function in (item, operator.getitem):
            return f"{args[0]}[{args[1]}]"
        if function is transpose:
            return f"{args[0]}.T"
        if function in SYMBOLS:
            return f" {SYMBOLS[function]} ".join(args)
        named = [f"{name}={self._text(x)}" for name, x in line.kwargs.items()]
        named += [f"out={place}"] * bool(place)
        return f"{self._constant(function)}({', '.join(args + named)})"

    def _text(self, x: Any) -> str:
        if type(x) is Ref:
            return self.names[x.at]
        if next(refs(x), None) is None:
            exact = type(x) in (int, bool, str, type(None)) or (type(x) is float and abs(x) < float("inf"))
            return repr(x) if exact else self._constant(x)
        if isinstance(x, slice):
            return f"slice({self._text(x.start)}, {self._text(x.stop)}, {self._text(x.step)})"
        if isinstance(x, dict):
            return "{" + ", ".join(f"{key!r}: {self._text(value)}" for key, value in x.items()) + "}"
        inside = "".join(f"{self._text(value)}, " for value in x)
        return f"[{inside}]" if isinstance(x, list) else f"({inside})"

    def _constant(self, x: Any) -> str:
        known = self.named.get(id(x))
        if known is None:
            word = getattr(x, "__name__", "c")
            word = word.strip("_<>") if isinstance(word, str) and word.strip("_<>").isidentifier() else "c"
            known = self.named[id(x)] = f"{word}_{len(self.constants)}"
            self.constants[known] = x
        return known

    def _output(self, x: Any) -> str:
        if isinstance(x, StandIn):
            return self.names[x.at]
        copied = hasattr(x, "__setitem__") and hasattr(x, "copy")  # or two steps would share it
        return f"{self._constant(x)}.copy()" if copied else self._constant(x)


def _form(x: Any) -> Any:
    """Shape and dtype of an array that can be written over; None for numbers and what is not one block."""
    return (x.shape, x.dtype) if getattr(x, "ndim", 0) and x.flags.c_contiguous else None


def own(x: Array, alone: bool) -> Array:
    """An input that is written over: itself, or a copy of one that others hold, or that is a view of another array."""
    return x if alone and x.base is None else x.copy()


def compiled(writer: Writer, used: list[int]) -> Any:
    """The program as a function. Its text can be read: in a traceback, and as `program.text`.

    program.overwrites: positions of arguments that it changes, each to be given as program.own(x, alone)
    """
    name = f"step_{next(_numbers)}"
    source, file = writer.source(used, name), f"<nnx.compile {name}>"
    exec(compile(source, file, "exec"), writer.constants)
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    program: Any = writer.constants[name]
    program.text, program.own, program.owner = source, own, owner
    changed = writer.overwritten & writer.given
    program.overwrites = [at for at, k in enumerate(used) if f"a{k}" in changed]
    return program


def _writes(function: Callable[..., Any]) -> bool:
    """Whether a function is elementwise and takes, after its arguments, an array to write to."""
    return getattr(function, "nout", 0) == 1 and getattr(function, "signature", None) is None


def touched(line: Line) -> set[int]:
    """The variables that a line reads or makes."""
    return {ref.at for ref in refs((line.args, line.kwargs))} | (set() if line.result is None else {line.result})


def refs(nest: Any) -> Iterator[Ref]:
    """The variables in the arguments of a line."""
    return (x for x in leaves(nest) if type(x) is Ref)
