"""The operators and methods of `Var`, attached to it: each is a rule, or a function of its namespace."""

from collections.abc import Callable
from typing import Any

from nnx.autodiff import namespace as _namespace  # noqa: F401  (a Var asks it for its namespace)
from nnx.autodiff.rules import RULES
from nnx.autodiff.rules.indexing import assign, getitem, plain_key
from nnx.autodiff.rules.manipulation import to_device
from nnx.autodiff.tape import lift
from nnx.autodiff.var import Var
from nnx.backend import are_mixed, innermost, mixed

ARITHMETIC = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "pow",
    "mod": "remainder",
}
NAMESAKES = """all any argmax argmin argsort astype clip conj cumulative_sum imag max mean min prod real repeat reshape
round sort squeeze std sum take var""".split()  # noqa: SIM905
ELSEWHERE = {
    **{name: f"xp.{name}(x, ...)" for name in NAMESAKES},
    "backward": "nnx.grad(f)(x)",
    "clone": "xp.asarray(x, copy=True)",
    "copy": "xp.asarray(x, copy=True)",
    "cumprod": "xp.cumulative_prod(x, ...)",
    "cumsum": "xp.cumulative_sum(x, ...)",
    "detach": "nnx.stop_gradient(x)",
    "dot": "x @ y",
    "flatten": "xp.reshape(x, (-1,))",
    "item": "float(x), which has no gradient",
    "numpy": "nnx.to_numpy(nnx.stop_gradient(x))",
    "ravel": "xp.reshape(x, (-1,))",
    "tolist": "nnx.to_numpy(nnx.stop_gradient(x)).tolist()",
    "transpose": "x.T, x.mT or xp.permute_dims(x, axes)",
}
"""Methods of NumPy's and PyTorch's arrays that the standard has not, and what to write in their place."""
WITHOUT_GRADIENT = "eq ne lt le gt ge floordiv and or xor lshift rshift".split()  # noqa: SIM905
REFLECTED = "floordiv and or xor lshift rshift".split()  # noqa: SIM905


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other, /: function(other, self)


def _constant(name: str) -> Callable[..., Any]:
    """The operator of the plain arrays; its result is a constant."""

    def call(self: Var, other: Any, /) -> Any:
        x, other = innermost(self), innermost(other)
        if type(other) is not type(x) and are_mixed(x, other):
            raise mixed(x, other)  # some libraries compare with anything, and call it unequal
        y = getattr(x, name)(other)
        return y if y is NotImplemented else lift(y)

    call.__name__ = name
    return call


def _matmul(self: Var, other: Any, /) -> Any:
    return RULES["matmul"](self, other) if hasattr(other, "shape") else _constant("__matmul__")(self, other)


def _rmatmul(self: Var, other: Any, /) -> Any:
    return RULES["matmul"](other, self) if hasattr(other, "shape") else _constant("__rmatmul__")(self, other)


def _getitem(self: Var, key: Any, /) -> Any:
    return getitem(self, plain_key(key))


def _iter(self: Var) -> Any:
    # Python's own way, x[0], x[1], ... until an IndexError, never ends where a library clamps indices
    if not self.ndim:
        raise TypeError("an array of no dimensions cannot be iterated over")  # np.iterable asks in this way
    return iter(RULES["unstack"](self))


def _invert(self: Var, /) -> Var:
    found: Var = lift(~innermost(self))
    return found


def _transpose(self: Var) -> Any:
    if self.ndim != 2:
        raise ValueError(f"x.T needs two dimensions, got {self.ndim}: use x.mT or permute_dims")
    return RULES["matrix_transpose"](self)


def _elsewhere(name: str) -> property:
    """An attribute that is none, as hasattr says, too; the error has the way out."""
    instead = ELSEWHERE[name] + (" of xp = nnx.namespace(x)" if "xp." in ELSEWHERE[name] else "")

    def missing(self: Var) -> Any:
        raise AttributeError(f"an array under nnx has the standard's attributes alone, not {name!r}: use {instead}")

    return property(missing)


for _name, _function in ARITHMETIC.items():
    setattr(Var, f"__{_name}__", RULES[_function])
    setattr(Var, f"__r{_name}__", _reflected(RULES[_function]))
for _name in WITHOUT_GRADIENT:
    setattr(Var, f"__{_name}__", _constant(f"__{_name}__"))
for _name in REFLECTED:
    setattr(Var, f"__r{_name}__", _constant(f"__r{_name}__"))

_OTHERS: dict[str, Any] = {
    "__neg__": RULES["negative"],
    "__pos__": RULES["positive"],
    "__abs__": RULES["abs"],
    "__matmul__": _matmul,
    "__rmatmul__": _rmatmul,
    "__invert__": _invert,
    "__getitem__": _getitem,
    "__iter__": _iter,
    "__setitem__": assign,
    "__hash__": None,
    "to_device": to_device,
    "T": property(_transpose),
    "mT": property(RULES["matrix_transpose"]),
}
for _name, _function in _OTHERS.items():
    setattr(Var, _name, _function)
for _name in ELSEWHERE:
    setattr(Var, _name, _elsewhere(_name))
