"""The network of scikit-learn's MLPs: fully connected layers, one activation between them, dropout behind it."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx import functional as F
from nnx.autodiff import op
from nnx.backend import Backend, backend_of, namespace, to_numpy
from nnx.layers import Identity, Module, ReLU, Sigmoid, Tanh
from nnx.typing import Array

Host = NDArray[Any]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "logistic": F.sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
    "softmax": lambda x: F.softmax(x, 1),
    "exp": lambda x: namespace(x).exp(x),
}

LAYERS: dict[str, type[Module]] = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
"""Of them, those between layers."""


@op
def dense(x: Array, weight: Array, bias: Array) -> Any:
    """z = x W + b: W (i, o) as scikit-learn has it, so that its arrays are the network's.

    x: (n, i)   weight: (i, o)   bias: (o,)   returns (n, o)
    """
    xp = namespace(x, weight)

    def pullback(delta: Array) -> tuple[Any, ...]:
        return (
            lambda: xp.matmul(delta, weight.T),  # BP2
            lambda: xp.matmul(x.T, delta),  # BP3
            lambda: xp.sum(delta, axis=0),  # BP4
        )

    return xp.matmul(x, weight) + bias, pullback


class Dense(Module):
    """x W + b of given arrays."""

    weight: Array
    bias: Array

    def __init__(self, weight: Array, bias: Array) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Array) -> Array:
        """See the class."""
        return dense(x, self.weight, self.bias)


class Network(Module):
    """The outputs before the last activation: (n, i) -> (n, o)."""

    def __init__(self, layers: list[Dense], activation: str, dropout: float = 0.0) -> None:
        self.layers, self.dropout = layers, dropout
        self.activations = [LAYERS[activation]() for _ in layers[1:]]  # which nnx.train.ActivationStats looks at

    def __call__(self, x: Array) -> Array:
        """See the class."""
        for layer, act in zip(self.layers, self.activations, strict=False):
            x = act(layer(x))
            if self.dropout:
                x = F.dropout(x, self.dropout, self.training)
        return self.layers[-1](x)

    def squares(self) -> Array:
        """Σ ‖W‖² over the layers."""
        return sum((_square(layer.weight) for layer in self.layers[1:]), _square(self.layers[0].weight))

    @classmethod
    def of(
        cls,
        coefs: Sequence[Host],
        intercepts: Sequence[Host],
        home: Backend,
        activation: str,
        dropout: float = 0.0,
        own: bool = True,
    ) -> "Network":
        """The network of scikit-learn's arrays. own: of copies, which training may overwrite."""
        pairs = zip(coefs, intercepts, strict=True)
        layers = [Dense(*(home.asarray(np.array(x) if own else x) for x in pair)) for pair in pairs]
        return cls(layers, activation, dropout)

    def coefs(self) -> tuple[list[Host], list[Host]]:
        """Copies in host memory, as scikit-learn has them: the weights (i, o), the biases (o,)."""
        return (
            [np.array(to_numpy(layer.weight)) for layer in self.layers],
            [np.array(to_numpy(layer.bias)) for layer in self.layers],
        )

    def load_coefs(self, coefs: Sequence[Host], intercepts: Sequence[Host]) -> None:
        """Other weights, of the same shapes, from host memory."""
        for layer, w, b in zip(self.layers, coefs, intercepts, strict=True):
            home = backend_of(layer.weight).home(layer.weight)
            layer.weight, layer.bias = home.asarray(np.array(w)), home.asarray(np.array(b))


def initial(sizes: Sequence[int], activation: str, draw: Any, dtype: Any) -> tuple[list[Host], list[Host]]:
    """Weights and biases from U(-b, b), b = √(6 / (i + o)), of 2 in the place of 6 for logistic (Glorot and Bengio).

    draw: a NumPy RandomState, from which scikit-learn's numbers are drawn in its order
    """
    coefs, intercepts = [], []
    for i, o in itertools.pairwise(sizes):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (i + o))
        coefs.append(draw.uniform(-bound, bound, (i, o)).astype(dtype))
        intercepts.append(draw.uniform(-bound, bound, o).astype(dtype))
    return coefs, intercepts


def _square(x: Array) -> Array:
    xp = namespace(x)
    flat = xp.reshape(x, (-1,))
    return xp.matmul(flat, flat)
