"""Functions of JAX whose derivative nnx computes (jax.custom_vjp), so that JAX's transformations go through them."""

import functools
from collections.abc import Callable
from typing import Any


def differentiable(call: Callable[..., Any], vjp: Callable[..., Any]) -> Callable[..., Any]:
    """The function (params, *args) with the derivative that nnx finds. Arguments are arrays, or nests of them.

    call(params, *args)   vjp(params, rebuild, arrays, numbers): the value, and the pullback to params and to those of
    the arrays in `numbers`, the floating ones; rebuild(arrays) gives the args
    What the way back needs is a program and the arrays it closes over: the arrays are what JAX keeps, so that the
    forward pass does not run twice.
    """
    import jax

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def function(form: Any, params: Any, *arrays: Any) -> Any:
        return call(params, *jax.tree.unflatten(form, arrays))

    def forward(form: Any, params: Any, *arrays: Any) -> Any:
        numbers = [k for k, x in enumerate(arrays) if _floats(x)]
        out, pullback = vjp(params, functools.partial(jax.tree.unflatten, form), arrays, numbers)
        likes = [jax.ShapeDtypeStruct(y.shape, y.dtype) if _floats(y) else None for y in jax.tree.leaves(out)]

        def back(*cotangents: Any) -> Any:
            given = iter(cotangents)
            return pullback([None if like is None else next(given) for like in likes])

        floating = [like for like in likes if like is not None]
        program, shape = jax.make_jaxpr(back, return_shape=True)(*floating)
        keep = [like is not None for like in likes]
        kept = _Kept(program.jaxpr, jax.tree.structure(shape), keep, numbers, len(arrays))
        return out, jax.tree_util.Partial(kept, *program.consts)

    def backward(form: Any, kept: Any, cotangents: Any) -> Any:
        return kept(jax.tree.leaves(cotangents, is_leaf=lambda x: x is None))

    function.defvjp(forward, backward)

    def flat(params: Any, *args: Any) -> Any:
        arrays, form = jax.tree.flatten(args)
        return function(form, params, *(jax.numpy.asarray(x) for x in arrays))

    return flat


def _floats(x: Any) -> bool:
    import jax

    return hasattr(x, "dtype") and bool(jax.numpy.issubdtype(x.dtype, jax.numpy.inexact))


class _Kept:
    """The way back as a program.   keep: which outputs have a gradient   numbers: which of the args do"""

    def __init__(self, jaxpr: Any, form: Any, keep: list[bool], numbers: list[int], count: int) -> None:
        self.jaxpr, self.form, self.keep, self.numbers, self.count = jaxpr, form, keep, numbers, count

    def __call__(self, *given: Any) -> Any:
        """given: the arrays that the program closes over, and a list of cotangents"""
        import jax

        *consts, cotangents = given
        wanted = [dy for dy, keep in zip(cotangents, self.keep, strict=True) if keep]
        parameters, inputs = jax.tree.unflatten(self.form, jax.core.eval_jaxpr(self.jaxpr, consts, *wanted))
        found: list[Any] = [None] * self.count
        for k, d in zip(self.numbers, inputs, strict=True):
            found[k] = d
        return parameters, *found
