"""nnx: neural networks on any array library.

All math goes through an Array API namespace. One backprop core, written once, trains on NumPy, CuPy, PyTorch, JAX, dpnp
and array-api-strict arrays; `NNX_BACKEND` chooses, or `nnx.set_backend`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnx import functional, init, layers, losses, optim, random
from nnx.autodiff import (
    GradientMismatch,
    Tape,
    Var,
    WrongRule,
    check_rule,
    checkpoint,
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
from nnx.autodiff.casting import autocast
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
from nnx.random import seed

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "BackendUnavailable",
    "GradScaler",
    "GradientMismatch",
    "MixedBackends",
    "Tape",
    "Var",
    "WrongRule",
    "asarray",
    "autocast",
    "backends",
    "check_rule",
    "checkpoint",
    "compile",
    "debug_nans",
    "functional",
    "fuse",
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
    "summary",
    "to_numpy",
    "use_backend",
    "value_and_grad",
    "vjp",
]
_LAZY = ("cli", "data", "fusion", "interop", "io", "metrics", "models", "plot", "train")
_ELSEWHERE = {
    "GradScaler": "nnx.precision",
    "compile": "nnx.compiled",
    "debug_nans": "nnx.autodiff.nans",
    "fuse": "nnx.fusion",
    "summary": "nnx.layers.summary",
}
_NAMES = (*__all__, *_LAZY)

if TYPE_CHECKING:
    from nnx.autodiff.nans import debug_nans
    from nnx.compiled import compile
    from nnx.fusion import fuse
    from nnx.layers import *
    from nnx.losses.modules import *
    from nnx.precision import GradScaler
else:
    del __all__  # layers and losses are in it, which are loaded when they are asked for


def __getattr__(name: str) -> Any:
    """The rooms of the house are lit when somebody enters: `import nnx` stays as cheap as NumPy."""
    if name in _LAZY:
        return importlib.import_module(f"nnx.{name}")
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    modules = importlib.import_module("nnx.losses.modules")
    if name == "__all__":
        return sorted([*_NAMES, *getattr(layers, name), *modules.__all__])
    for package in (layers, modules):
        if not name.startswith("_") and hasattr(package, name):
            return getattr(package, name)
    raise AttributeError(f"module 'nnx' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
