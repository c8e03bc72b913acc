"""nnx.compile on JAX: a step is traced to a jaxpr once, and jax.jit compiles that."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from nnx.backend.arrays import innermost
from nnx.typing import Array

UNREADABLE = ("Tracer", "Concret")
"""In the names of JAX's errors for a value that is read in a trace."""


def form(x: Array) -> Any:
    """See Compiler.form. Tracers and watched arrays belong to somebody else's program."""
    kind = type(x)
    known = _FORMS.get(kind)
    if known is None:
        known = _FORMS[kind] = _form_of(x)
    return known(x)


_FORMS: dict[type, Callable[[Array], Any]] = {}


def _form_of(x: Array) -> Callable[[Array], Any]:
    """form for arrays of x's type."""
    import jax

    if isinstance(x, jax.core.Tracer) or innermost(x) is not x:
        return lambda x: None
    if isinstance(x, jax.Array):
        return attrgetter("aval")
    return lambda x: (type(x), x.shape, x.dtype)


def number(n: Any) -> Any:
    """A Python number stays one: it is an argument like the others, and what it meets keeps its dtype."""
    return n


def unread(error: Exception) -> bool:
    """See Compiler.unread."""
    return any(word in type(error).__name__ for word in UNREADABLE)


def trace(
    pure: Callable[[list[Any]], list[Array]], inputs: list[Any]
) -> tuple[list[int], Callable[[list[int]], Callable[..., Any]]]:
    """See Compiler.trace."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    closed = jax.make_jaxpr(pure)(inputs)
    jaxpr, run = closed.jaxpr, jaxpr_as_fun(closed)
    read = {id(v) for v in jaxpr.outvars}
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(id(v) in read for v in eqn.outvars):
            read.update(map(id, eqn.invars))
    used = [k for k, v in enumerate(jaxpr.invars) if id(v) in read]

    def program(*given: Any) -> Any:
        every = dict(zip(used, given, strict=True))
        spare = [
            None if k in every else jax.numpy.zeros(v.aval.shape, v.aval.dtype) for k, v in enumerate(jaxpr.invars)
        ]
        return run(*(every.get(k, zeros) for k, zeros in enumerate(spare)))

    def build(donated: list[int]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = jax.jit(program, donate_argnums=tuple(used.index(k) for k in donated))
        return compiled

    return used, build
