"""What a user calls: functions in, functions out. A transform is a tape, lifted arguments, and a backward pass.

Gradients are a value that the backward pass returns whole; nothing is changed before it has ended. An argument is an
array, a Module, or a nest of dicts, lists and tuples; its gradient has the same form, a Module's is the flat dict of
its trainable `named_parameters()`. What comes out of a transform is plain again.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.rules.common import conj, is_complex
from nnx.autodiff.tape import Tape, lift, resolve
from nnx.autodiff.thread import recording
from nnx.autodiff.tree import Lifted, leaves, tree_map
from nnx.autodiff.var import Var
from nnx.backend import backend_of, is_array, mixed, namespace
from nnx.typing import Array, Tree

Function = Callable[..., Any]
Argnums = int | Sequence[int]


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that returns (f(*args), ∂f/∂args[argnums]).

    f: returns a scalar array, the loss; with has_aux, (loss, anything)   argnums: which argument(s), several as a tuple
    Raises ValueError if the loss is not a scalar, TypeError if it is not an array or not real.

    >>> import numpy as np
    >>> value_and_grad(lambda w: (w * w)[0])(np.asarray([3.0, 1.0]))
    (np.float64(9.0), array([6., 0.]))
    """
    numbers = numbers_of(argnums)

    @functools.wraps(f, assigned=("__name__", "__doc__", "__qualname__"))
    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        with Lifted(args, numbers) as lifted:
            out = f(*lifted.arguments, **(lifted.constant(kwargs) if kwargs else kwargs))
            loss, aux = out if has_aux else (out, None)
            grads = lifted.tape.backward(_seed(loss, lifted.tape))
            gradient = [lifted.gradients(w, grads) for w in lifted.watched]
            value = lifted.lower(loss)
            if has_aux:
                value = (value, tree_map(lifted.lower, aux))
        return value, gradient[0] if isinstance(argnums, int) else tuple(gradient)

    return call


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that returns ∂f/∂args[argnums]; with has_aux, (gradient, aux). See value_and_grad.

    >>> import numpy as np
    >>> float(grad(grad(lambda x: x**3))(np.asarray(2.0)))
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f, assigned=("__name__", "__doc__", "__qualname__"))
    def call(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return call


def vjp(f: Function, *args: Any) -> tuple[Any, Callable[[Tree], tuple[Any, ...]]]:
    """f(*args), and its pullback: from ∂L/∂outputs (in the form of the outputs) to a tuple of ∂L/∂argument.

    f may return several outputs, as a nest. The pullback may be called several times.

    >>> import numpy as np
    >>> y, pullback = vjp(lambda x: x * x, np.asarray([1.0, 2.0]))
    >>> pullback(np.asarray([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    return vjp_of(f, args, tuple(range(len(args))))


def vjp_of(
    f: Function, args: tuple[Any, ...], numbers: tuple[int, ...]
) -> tuple[Any, Callable[[Tree], tuple[Any, ...]]]:
    """As vjp, for the arguments in `numbers` alone; the others are lifted to constants."""
    with Lifted(args, numbers, boxed=True) as lifted:
        out = f(*lifted.arguments)
        outputs = leaves(out)
    tape = lifted.tape

    def pullback(cotangents: Tree) -> tuple[Any, ...]:
        given = _aligned(out, cotangents)
        for y, dy in zip(outputs, given, strict=True):
            if is_array(y):
                _check_cotangent(y, dy)
        pairs = zip(outputs, given, strict=True)
        seeds = [(y, lift(dy)) for y, dy in pairs if type(y) is Var and y.tape is tape]
        with lifted.again():
            grads = tape.backward(seeds, keep=True)
            found = tuple(lifted.gradients(w, grads) for w in lifted.watched)
        return found if recording() else tree_map(resolve, found)

    return tree_map(lifted.lower, out), pullback


def hvp(f: Function, x: Tree, v: Tree) -> Tree:
    """The Hessian of the scalar f at x, times v: ∂/∂x ⟨∂f/∂x, v⟩, without ever making the Hessian.

    x: what grad takes, a Module too   v: in the form of the gradient

    >>> import numpy as np
    >>> hvp(lambda x: x[0] * x[0] * x[1], np.asarray([1.0, 2.0]), np.asarray([1.0, 0.0]))
    array([4., 2.])
    """

    def along(x: Tree, v: Tree) -> Array:
        return _dot(grad(f)(x), v)

    return grad(along)(x, v)


def _dot(g: Tree, v: Tree) -> Array:
    """⟨g, v⟩ over two nests of one form."""
    if isinstance(g, dict | list | tuple):
        keys = list(g) if isinstance(g, dict) else list(range(len(g)))
        if len(v) != len(g) or not keys:
            raise ValueError(f"a direction of {len(v)} entries for a gradient of {len(g)}: one each, and at least one")
        return functools.reduce(operator.add, (_dot(g[k], v[k]) for k in keys))
    if tuple(g.shape) != tuple(v.shape):
        raise ValueError(f"a direction of shape {tuple(v.shape)} for a gradient of shape {tuple(g.shape)}")
    if is_complex(g):  # Re⟨g, v⟩: real and imaginary parts are numbers of their own
        return namespace(g).sum(namespace(g).real(conj(g) * v))
    return namespace(g).sum(g * v)


def numbers_of(argnums: Argnums) -> tuple[int, ...]:
    """The positions as a tuple. Raises ValueError for what is none."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers or any(type(i) is not int or i < 0 for i in numbers):
        raise ValueError(f"argnums must be positions of arguments (0, 1, ...), got {argnums!r}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"argnums must name each argument once, got {argnums!r}")
    return numbers


def _seed(loss: Any, tape: Tape) -> list[tuple[Var, Array]]:
    """∂loss/∂loss = 1, if the loss is watched at all."""
    if type(loss) is not Var:
        if is_array(loss):
            return []
        raise TypeError(
            f"the loss must be a scalar array, got {type(loss).__name__}: return it as it was computed, not float(loss)"
        )
    if loss.ndim:
        raise ValueError(
            f"the loss must be a scalar, got shape {tuple(loss.shape)}: take its mean or sum over the batch"
        )
    if loss.tape is not tape:
        return []
    if is_complex(loss):
        raise TypeError(
            f"the loss must be real, got dtype {loss.dtype}: take xp.real(loss), or nnx.vjp for a complex one"
        )
    return [(loss, namespace(loss.value).ones_like(loss.value))]


def _aligned(out: Tree, given: Tree) -> list[Any]:
    """The leaves of `given` in the order of those of `out`: by key in dicts, by place in lists and tuples."""
    if isinstance(out, dict):
        if not isinstance(given, dict) or set(given) != set(out):
            keys = list(given) if isinstance(given, dict) else type(given).__name__
            raise ValueError(f"the function returns a dict with the keys {list(out)}, the pullback was given {keys}")
        return [dy for key, y in out.items() for dy in _aligned(y, given[key])]
    nest = isinstance(out, list | tuple)
    if nest != isinstance(given, list | tuple | dict) or (nest and len(out) != len(given)):
        n, m = len(leaves(out)), len(leaves(given))
        raise ValueError(f"the function has {n} outputs, the pullback was given {m} cotangents: give them in its form")
    return [dy for y, d in zip(out, given, strict=True) for dy in _aligned(y, d)] if nest else [given]


def _check_cotangent(y: Array, dy: Any) -> None:
    """It is an array of the library, shape and dtype of the output; that of a whole number is not looked at."""
    if not is_array(dy):
        raise TypeError(f"a cotangent that is {type(dy).__name__} for an output of dtype {y.dtype}: give an array")
    if backend_of(y) is not backend_of(dy):
        raise mixed(y, dy)
    if tuple(y.shape) != tuple(dy.shape):
        raise ValueError(
            f"a cotangent of shape {tuple(dy.shape)} for an output of shape {tuple(y.shape)}: they must agree"
        )
    if y.dtype != dy.dtype and backend_of(y).is_inexact(y.dtype):
        raise TypeError(
            f"a cotangent of dtype {dy.dtype} for an output of dtype {y.dtype}: convert it, xp.astype(dy, y.dtype)"
        )
