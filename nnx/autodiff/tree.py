"""Arguments of a transform: arrays, Modules, and nests of dicts, lists and tuples of them; lifted, and put back.

A Module takes part through one method, `_swap` (see Swappable): the core knows nothing else of layers.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol, Self, TypeGuard

from nnx.autodiff.tape import Tape, lift
from nnx.autodiff.var import Var
from nnx.backend import backend_of, get_backend, innermost, is_array, namespace
from nnx.typing import Array, Tree


class Swap(Protocol):
    """A Module whose arrays were replaced by Vars."""

    watched: dict[str, Var]
    """Its watched parameters by path."""

    def restore(self, lower: Callable[[Array], Array]) -> None:
        """Put the arrays back; what the forward pass assigned to buffers stays, lowered."""

    def again(self) -> AbstractContextManager[None]:
        """A block in which the Vars stand in the Module once more."""


class Swappable(Protocol):
    """An object that holds arrays: a Module."""

    def _swap(self, tape: Tape, watch: bool, seen: dict[int, Var]) -> Swap:
        """Replace its arrays by Vars, its trainable parameters watched if `watch`. seen: id of an array to its Var."""

    def _any_array(self) -> Array | None:
        """One of its arrays, which tells the library; None if it has none."""


def swappable(x: object) -> TypeGuard[Swappable]:
    """Whether x is a Module (isinstance of a Protocol would cost more than a small layer)."""
    return hasattr(x, "_swap")


def tree_map(f: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same nest with f of every leaf.

    >>> tree_map(lambda x: x + 1, {"a": 1, "b": [2, (3,)]})
    {'a': 2, 'b': [3, (4,)]}
    """
    if type(tree) is dict:
        return {key: tree_map(f, value) for key, value in tree.items()}
    if isinstance(tree, dict):  # a defaultdict, a Counter: each has a constructor of its own
        filled = copy.copy(tree)
        for key, value in tree.items():
            filled[key] = tree_map(f, value)
        return filled
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(tree_map(f, value) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(tree_map(f, value) for value in tree)
    return f(tree)


def leaves(tree: Tree) -> list[Any]:
    """The leaves of a nest, in order."""
    found: list[Any] = []
    tree_map(found.append, tree)
    return found


class Assigned(threading.local):
    """Attributes that the forward pass of this thread assigned Vars to, and that no swap will put back."""

    def __init__(self) -> None:
        self.pending: list[tuple[dict[str, Any], str]] = []

    def lower(self, lower: Callable[[Array], Array], again: bool) -> None:
        """Unwrap what they hold. again: a transform around this one will do the rest."""
        for owner, name in self.pending:
            if name in owner:
                owner[name] = tree_map(lower, owner[name])
        if not again:
            self.pending.clear()


assigned = Assigned()


class Lifted:
    """The arguments of one call, lifted to Vars of a new tape (or to constants) inside of the block.

    arguments: as the function will see them   watched: for each of the numbers, what is watched of that argument
    boxed: run the rules on Vars even on an outermost tape, so that the pullbacks take cotangents that are watched
    """

    def __init__(self, args: tuple[Any, ...], numbers: tuple[int, ...], boxed: bool = False) -> None:
        if numbers and len(args) <= max(numbers):
            raise ValueError(
                f"argnums {numbers} of a call with {len(args)} positional arguments: each must be below that"
            )
        self.numbers, self.boxed = numbers, boxed
        self.arguments: list[Any] = list(args)
        self.watched: list[Any] = []
        self.swaps: list[Swap] = []
        self.seen: dict[int, Var] = {}
        self.guard = guard(args)

    def __enter__(self) -> Self:
        self.tape = Tape()
        self.outermost = not self.tape.nested
        self.tape.nested = self.boxed or self.tape.nested
        if self.guard is not None:
            self.guard.__enter__()
        try:
            arguments, numbers = self.arguments, self.numbers
            for i in numbers:
                arguments[i], found = self.watch(arguments[i])
                self.watched.append(found)
            for i, argument in enumerate(arguments):
                if i not in numbers:
                    arguments[i] = self.constant(argument)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.tape.close()
        for swap in reversed(self.swaps):
            swap.restore(self.lower)
        if assigned.pending:
            assigned.lower(self.lower, again=not self.outermost)
        if self.guard is not None:
            self.guard.__exit__(None, None, None)

    @contextmanager
    def again(self) -> Iterator[None]:
        """After the block, for a pullback that is called then: Modules hold their Vars once more."""
        with ExitStack() as stack:
            stack.enter_context(guard(tuple(self.arguments)) or nullcontext())
            for swap in self.swaps:
                stack.enter_context(swap.again())
            yield

    def constant(self, tree: Tree) -> Tree:
        """Every array of the nest as a constant, Modules with theirs swapped for constants."""
        if type(tree) is not Var and is_array(tree):
            return Var(tree)
        return tree_map(self._constant_leaf, tree)

    def _constant_leaf(self, leaf: Any) -> Any:
        if swappable(leaf):
            self.swaps.append(leaf._swap(self.tape, False, self.seen))
            return leaf
        return lift(leaf)

    def watch(self, tree: Tree) -> tuple[Tree, Tree]:
        """The nest with every array watched, and the same nest of what was watched: Vars, and dicts of them by path."""
        if is_array(tree):
            var = self.tape.watch(tree)
            return var, var
        if swappable(tree):
            swap = tree._swap(self.tape, True, self.seen)
            self.swaps.append(swap)
            return tree, swap.watched
        watched: list[Any] = []

        def lifted(leaf: Any) -> Any:
            if swappable(leaf):
                swap = leaf._swap(self.tape, True, self.seen)
                self.swaps.append(swap)
                watched.append(swap.watched)
                return leaf
            # a Python number is differentiated as an array of the active backend would be
            var = self.tape.watch(get_backend().asarray(leaf) if type(leaf) is float else leaf)
            watched.append(var)
            return var

        inner = tree_map(lifted, tree)
        found = iter(watched)
        return inner, tree_map(lambda _: next(found), inner)

    def lower(self, x: Any) -> Any:
        """x as it comes out of the transform: one box less, and on an outermost tape none at all."""
        if type(x) is not Var:
            return x
        if self.outermost:
            return innermost(x)
        return x.value if x.tape is self.tape else x

    def gradients(self, watched: Tree, grads: list[Array | None]) -> Tree:
        """The gradients in the form of the arguments; zeros where the result does not depend on one."""
        moved = self.tape.moved

        def gradient(var: Var) -> Array:
            g = grads[moved[id(var)][1] if id(var) in moved else var.index]
            return namespace(var.value).zeros_like(var.value) if g is None else g

        if type(watched) is dict and not moved:  # nearly always a Module's: flat
            found = {
                path: grads[x.index] if type(x) is Var else self.gradients(x, grads) for path, x in watched.items()
            }
            return {path: gradient(watched[path]) if g is None else g for path, g in found.items()}
        return tree_map(gradient, watched)


def guard(args: tuple[Any, ...]) -> AbstractContextManager[Any] | None:
    """The context in which the arrays' own library does not record, if it records at all."""
    for leaf in args:  # nearly always one is an array itself
        if is_array(leaf):
            return backend_of(leaf).guard()
    for leaf in leaves(list(args)):
        found = leaf._any_array() if swappable(leaf) else leaf
        if is_array(found):
            return backend_of(found).guard()
    return None
