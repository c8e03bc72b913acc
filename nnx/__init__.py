"""nnx: neural networks on any array library.

All math goes through an Array API namespace. One backprop core, written once, trains on NumPy, CuPy, PyTorch, JAX, dpnp
and array-api-strict arrays; `NNX_BACKEND` chooses, or `nnx.set_backend`.
"""

import importlib
from typing import Any

from nnx import functional, init, layers, losses, optim, random
from nnx.autodiff import (
    GradientMismatch,
    Tape,
    Var,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    op,
    stop_gradient,
    value_and_grad,
    vjp,
)
from nnx.backend import (
    Backend,
    BackendUnavailable,
    MixedBackends,
    asarray,
    backends,
    get_backend,
    namespace,
    set_backend,
    to_numpy,
    use_backend,
)
from nnx.layers import *
from nnx.random import seed

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "BackendUnavailable",
    "GradientMismatch",
    "MixedBackends",
    "Tape",
    "Var",
    "asarray",
    "backends",
    "functional",
    "get_backend",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "init",
    "jacobian",
    "layers",
    "losses",
    "namespace",
    "op",
    "optim",
    "random",
    "seed",
    "set_backend",
    "stop_gradient",
    "to_numpy",
    "use_backend",
    "value_and_grad",
    "vjp",
]
__all__ += layers.__all__

_LAZY = ("cli", "data", "io", "metrics", "models", "train")


def __getattr__(name: str) -> Any:
    """The edges of the house load when they are asked for: `import nnx` stays as cheap as NumPy."""
    if name in _LAZY:
        return importlib.import_module(f"nnx.{name}")
    raise AttributeError(f"module 'nnx' has no attribute '{name}'")
