"""The core: a differentiable Array API namespace, and the transforms that are made of it."""

from nnx.autodiff import operators  # noqa: F401  (gives Var its operators)
from nnx.autodiff.check import gradcheck
from nnx.autodiff.checkpoint import checkpoint
from nnx.autodiff.diagnosis import GradientMismatch
from nnx.autodiff.jacobians import hessian, jacobian
from nnx.autodiff.rulecheck import WrongRule, check_rule
from nnx.autodiff.tape import Tape, op, stop_gradient
from nnx.autodiff.transforms import grad, hvp, value_and_grad, vjp
from nnx.autodiff.var import Var

__all__ = [
    "GradientMismatch",
    "Tape",
    "Var",
    "WrongRule",
    "check_rule",
    "checkpoint",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "op",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
