"""check_rule: everything that a rule for nnx.op has to keep to, tried on one set of arguments.

A rule is `rule(x, w, ...) -> (y, pullback)`. gradcheck says whether its gradients are right; before that, this says
whether it has the form of a rule, with an error for each way of getting that wrong.
"""

import functools
import operator
import random
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nnx.autodiff.check import gradcheck
from nnx.autodiff.diagnosis import GradientMismatch, GradientReport
from nnx.autodiff.probe import floating, normal
from nnx.autodiff.tape import op
from nnx.autodiff.transforms import grad
from nnx.autodiff.tree import leaves, tree_map
from nnx.backend import backend_of, device_of, get_backend, is_array, namespace
from nnx.typing import Array, Tree

Rule = Callable[..., Any]


class WrongRule(GradientMismatch):
    """A rule that breaks one of the promises of a rule: which, and what to write instead."""


def check_rule(rule: Rule, *args: Any, order: int = 2, broadcast: bool = False, seed: int = 0) -> GradientReport:
    """Try a rule on these arguments, on the active backend. Raises WrongRule, which says what is wrong with it.

    rule: as given to nnx.op, or what nnx.op made of it   args: as it takes them; arrays are moved to the active backend
    order: 1 leaves out the gradient of the gradient   broadcast: also with each array one long along its first axis,
    and without that axis, as an elementwise rule of several arguments must take them

    It must return an array (or a tuple of arrays) of the arguments' library, device and dtype, and a pullback that
    returns one entry an argument: an array of that argument's shape and dtype, None, or a function without arguments
    that makes it. Neither may change an argument, and the pullback gives the same twice. The gradients are checked by
    nnx.gradcheck, of all arguments at once and of each alone.

    >>> import numpy as np, nnx
    >>> def cube(x):
    ...     return x**3, lambda dy: (dy * 3 * x**2,)
    >>> check_rule(cube, np.asarray([1.0, -2.0])).worst < 1e-7
    True
    >>> def wrong(x, w):
    ...     return x * w, lambda dy: (dy * w,)
    >>> check_rule(wrong, np.asarray([1.0]), np.asarray([2.0]))
    Traceback (most recent call last):
    nnx.autodiff.rulecheck.WrongRule: wrong: the pullback returned 1 entry for 2 arguments: return a tuple with one \
for each, None for what has no gradient
    """
    rule = _inside(rule)
    args = tree_map(_moved, args)
    _Trial(rule, args, random.Random(seed)).check_form()
    function = op(rule)
    with _Explained(rule, "the gradient"):
        report = gradcheck(function, *args, seed=seed)
        _check_each_alone(rule, function, args)
    if order == 2:
        hint = "A pullback may use only operators and functions of nnx.namespace(...), or give order=1"
        with _Explained(rule, "the gradient of the gradient", hint):
            report = gradcheck(function, *args, order=2, seed=seed)
    if broadcast:
        _check_broadcast(rule, function, args)
    return report


_MADE = op(lambda x: (x, lambda dy: (dy,))).__code__


def _inside(function: Rule) -> Rule:
    """The rule that nnx.op made a function of, also if that was decorated again; what is none is the rule itself."""
    inner: Any = function
    while getattr(inner, "__code__", None) is not _MADE:
        if not hasattr(inner, "__wrapped__"):
            return function
        inner = inner.__wrapped__
    rule: Rule = inner.__wrapped__
    return rule


def _moved(x: Any) -> Any:
    return get_backend().asarray(x) if is_array(x) else x


class _Trial:
    """One call of the rule on plain arrays, and two of its pullback."""

    def __init__(self, rule: Rule, args: tuple[Any, ...], rng: random.Random) -> None:
        self.rule, self.args, self.rng = rule, args, rng
        self.name = getattr(rule, "__name__", "the rule")

    def wrong(self, what: str) -> WrongRule:
        return WrongRule(f"{self.name}: {what}")

    def check_form(self) -> None:
        """Raises WrongRule if anything but the numbers is wrong."""
        before = tree_map(_copied, self.args)
        found = self.rule(*self.args)
        if type(found) is not tuple or len(found) != 2 or not callable(found[1]):
            but = ", the second of which is no function" if type(found) is tuple and len(found) == 2 else ""
            raise self.wrong(f"it returned {_said(found)}{but}: return y, pullback")
        y, pullback = found
        self.check_value(y)
        self.check_unchanged(before, "the forward pass")
        dy = tree_map(lambda y: normal(self.rng, y) if floating(y) else namespace(y).zeros_like(y), y)
        kept = tree_map(_copied, dy)
        entries = self.check_entries(pullback(dy))
        self.check_unchanged(before, "the pullback")
        if not _same(dy, kept):
            raise self.wrong("the pullback changed dy, which other pullbacks are given, too: compute out of place")
        again = self.check_entries(pullback(dy))
        for k, (one, other) in enumerate(zip(entries, again, strict=True)):
            if one is not None and not _same(one, other):
                raise self.wrong(f"the pullback gave another entry {k} when it was called again: keep no state in it")

    def check_value(self, y: Tree) -> None:
        """The result is of the arguments' library, device and dtype."""
        like = [x for x in self.args if floating(x)]
        if not like:
            raise self.wrong("it was given no floating array: a rule takes arrays, no nests of them")
        for part in y if type(y) is tuple else (y,):
            if not is_array(part):
                raise self.wrong(f"its value is {_said(part)}: return an array, or a tuple of arrays")
            if backend_of(part) is not backend_of(like[0]) or device_of(part) != device_of(like[0]):
                raise self.wrong(f"its value is on {_where(part)}, the argument on {_where(like[0])}")
            dtypes = {x.dtype for x in like}
            if floating(part) and len(dtypes) == 1 and part.dtype not in dtypes:
                raise self.wrong(
                    f"its value has dtype {part.dtype} for arguments of {dtypes.pop()}: use Python numbers (no NumPy "
                    "scalars), and give new arrays a dtype"
                )
        if not any(floating(part) for part in leaves(y)):
            raise self.wrong(f"its value is {_said(y)}, which has no gradient: nothing is left to check")

    def check_entries(self, entries: Any) -> list[Array | None]:
        """One entry an argument, each what it may be; those that are functions called."""
        n = len(self.args)
        if type(entries) is not tuple or len(entries) != n:
            count = f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'}" if type(entries) is tuple else ""
            raise self.wrong(
                f"the pullback returned {count or _said(entries)} for {n} argument{'s' * (n != 1)}: return a tuple "
                "with one for each, None for what has no gradient"
            )
        return [self.check_entry(k, x, d) for k, (x, d) in enumerate(zip(self.args, entries, strict=True))]

    def check_entry(self, k: int, x: Any, d: Any) -> Array | None:
        """An array of the argument's shape and dtype, or None."""
        if callable(d) and not is_array(d):
            if type(d) is not FunctionType:
                raise self.wrong(f"entry {k} is {_said(d)}: a costly entry is a function or lambda without arguments")
            d = d()
        if d is None:
            return None
        if not is_array(d):
            raise self.wrong(f"entry {k} is {_said(d)}: return an array, None, or a function that makes one")
        if not floating(x):
            raise self.wrong(f"entry {k} is an array, but argument {k} ({_said(x)}) has no gradient: return None")
        if tuple(d.shape) != tuple(x.shape):
            raise self.wrong(
                f"entry {k} has shape {tuple(d.shape)} for an argument of shape {tuple(x.shape)}: sum over the axes "
                "along which the argument was stretched"
            )
        if d.dtype != x.dtype:
            raise self.wrong(
                f"entry {k} has dtype {d.dtype} for an argument of dtype {x.dtype}: convert it (the real part, if only "
                "the argument is real)"
            )
        return d

    def check_unchanged(self, before: Tree, where: str) -> None:
        """Raises WrongRule if an argument is not what it was."""
        for k, (x, was) in enumerate(zip(self.args, before, strict=True)):
            if is_array(x) and not _same(x, was):
                raise self.wrong(f"{where} changed argument {k}: compute out of place")


class _Explained:
    """What goes wrong inside is told as the rule's: a mismatch with its name, another error with what was tried."""

    def __init__(self, rule: Rule, what: str, hint: str = "") -> None:
        self.name, self.what, self.hint = getattr(rule, "__name__", "the rule"), what, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, WrongRule):  # it bears the name already
            return
        if isinstance(error, GradientMismatch):
            raise WrongRule(f"{self.name}: {error}") from error
        if isinstance(error, Exception):
            raise WrongRule(
                f"{self.name}: {self.what} raised {type(error).__name__}: {error}{self.hint and '. ' + self.hint}"
            ) from error


def _check_each_alone(rule: Rule, function: Rule, args: tuple[Any, ...]) -> None:
    """The entry of an argument is the same whether the others are watched or not."""
    places = [k for k, x in enumerate(args) if floating(x)]

    def at(chosen: list[int]) -> tuple[Array, ...]:
        def total(*xs: Any) -> Any:
            given = list(args)
            for k, x in zip(chosen, xs, strict=True):
                given[k] = x
            parts = [y for y in leaves(function(*given)) if floating(y)]
            return functools.reduce(operator.add, (namespace(y).sum(y) for y in parts))

        found: tuple[Array, ...] = grad(total, argnums=tuple(range(len(chosen))))(*[args[k] for k in chosen])
        return found

    for k, together in zip(places, at(places), strict=True):
        if not _same(at([k])[0], together):
            name = getattr(rule, "__name__", "the rule")
            raise WrongRule(f"{name}: the gradient of argument {k} alone is not what it is beside the others'")


def _check_broadcast(rule: Rule, function: Rule, args: tuple[Any, ...]) -> None:
    """Each array once with its first axis one long, and once without it."""
    for k, x in enumerate(args):
        if floating(x) and x.ndim:
            for smaller in (x[:1, ...], x[0, ...]):
                given = (*args[:k], smaller, *args[k + 1 :])
                shape = tuple(smaller.shape)
                with _Explained(rule, f"the gradient with argument {k} of shape {shape}, to be stretched,"):
                    gradcheck(function, *given)


def _copied(x: Any) -> Any:
    return namespace(x).asarray(x, copy=True) if is_array(x) else x


def _same(one: Tree, other: Tree) -> bool:
    """Whether two arrays, or tuples of arrays, are equal entry by entry; nan is nan."""
    if type(one) is tuple:
        return all(map(_same, one, other))
    return bool(namespace(one).all((one == other) | (one != one)))


def _where(x: Array) -> str:
    library = backend_of(x)
    return f"'{library.name}', {library.device_name(device_of(x))}"


def _said(x: Any) -> str:
    if is_array(x):
        return f"an array of {x.dtype}"
    if type(x) is tuple:
        return f"a tuple of {len(x)}"
    return repr(x) if x is None or isinstance(x, bool | int | float | str) else type(x).__name__
