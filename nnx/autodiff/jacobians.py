"""Whole matrices of derivatives: a backward pass for each output, a row of the Jacobian each.

Where the output or an argument is a nest, so is the matrix: at each output stands what grad would give for it.
"""

from collections.abc import Callable
from typing import Any

from nnx.autodiff.rules.common import conj, is_complex, product
from nnx.autodiff.transforms import Argnums, Function, grad, numbers_of, vjp_of
from nnx.autodiff.tree import leaves, tree_map
from nnx.backend import device_of, is_array, namespace
from nnx.typing import Array, Tree

Pullback = Callable[[Array], tuple[Tree, ...]]


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """The function that returns ∂f_i/∂x_j, of shape f(x).shape + x.shape: one backward pass for each output.

    f: returns an array, or a nest of arrays   argnums: which argument(s), several as a tuple
    At each output of a nest stands what grad would give for it: an array, a tuple of them for several argnums, a nest
    for a nest, a dict of the trainable named parameters for a Module. A complex output must be analytic in a complex
    argument; of a real output and a complex argument it is the gradient, ∂/∂Re x + i ∂/∂Im x.
    Raises TypeError if f returns anything but arrays.

    >>> import numpy as np
    >>> jacobian(lambda x: x * x)(np.asarray([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    >>> jacobian(lambda x, y: x * y, argnums=(0, 1))(np.asarray(2.0), np.asarray([5.0]))
    (array([5.]), array([[2.]]))
    """
    numbers = numbers_of(argnums)

    def call(*args: Any) -> Tree:
        y, pullback = vjp_of(f, args, numbers)
        outputs = leaves(y)
        for output in outputs:
            if not is_array(output):
                raise TypeError(f"a Jacobian is made of arrays: the function returned {type(output).__name__}")

        def alone(k: int) -> Pullback:
            zeros = [namespace(output).zeros_like(output) for output in outputs]

            def send(dy: Array) -> tuple[Tree, ...]:
                given = iter([*zeros[:k], dy, *zeros[k + 1 :]])
                return pullback(tree_map(lambda _: next(given), y))

            return send

        found = iter([_matrices(alone(k), output) for k, output in enumerate(outputs)])
        return tree_map(lambda _: next(found)[0] if isinstance(argnums, int) else next(found), y)

    return call


def _matrices(pullback: Pullback, y: Array) -> tuple[Tree, ...]:
    """∂y/∂x for each x, in the form of what the pullback returns."""
    xp, n = namespace(y), product(y.shape)
    units = xp.reshape(xp.eye(n, dtype=y.dtype, device=device_of(y)), (n, *y.shape))
    rows = [_row(pullback, units[i, ...]) for i in range(n)] or [pullback(xp.zeros_like(y))]
    columns = zip(*map(leaves, rows), strict=True)

    def stacked(x: Array) -> Array:
        column = namespace(x).stack(next(columns))[:n, ...]  # of no outputs: of the zeros, none
        return namespace(x).reshape(column, (*y.shape, *x.shape))

    matrices: tuple[Tree, ...] = tree_map(stacked, rows[0])
    return matrices


def _row(pullback: Pullback, unit: Array) -> tuple[Tree, ...]:
    """The slopes of one output. The gradient of a complex one is conj(∂y/∂x), its real part where x is real."""
    row = pullback(unit)
    if not is_complex(unit):
        return row
    turned = iter(leaves(row) if all(map(is_complex, leaves(row))) else leaves(pullback(unit * 1j)))

    def whole(d: Array) -> Array:
        other = next(turned)
        if is_complex(d):
            return conj(d)
        return namespace(d).astype(d, unit.dtype) + namespace(d).astype(other, unit.dtype) * 1j

    slopes: tuple[Tree, ...] = tree_map(whole, row)
    return slopes


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """The function that returns ∂²f/∂x_i∂x_j of a scalar f, of shape x.shape + x.shape.

    argnums: which argument(s), several as a tuple: [a][b] is ∂²f/∂x_a∂x_b then. So it is with the arrays of a nest, by
    their keys, and with the parameters of a Module, by their names. Raises TypeError for complex arguments.

    >>> import numpy as np
    >>> hessian(lambda x: x[0] * x[0] * x[1])(np.asarray([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """

    def gradient(*args: Any) -> Tree:
        slopes = grad(f, argnums)(*args)
        if any(map(is_complex, leaves(slopes))):
            raise TypeError(
                "a Hessian is of real arguments: give the real and the imaginary part as two, or use nnx.hvp"
            )
        return slopes

    return jacobian(gradient, argnums)
