"""The two tasks, classes and values: what a model gives, its loss, what is measured, and what is said of it."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nnx
from nnx.typing import Array

__all__ = ["OPTIMIZERS", "TASKS", "Task", "compiles_quickly", "make_loader", "make_optimizer", "task_of"]

TASKS = ("auto", "classification", "regression")

Splits = list[tuple[Any, Any]]
"""(x, y) to train on, to validate and to test, in host memory."""


@dataclass(frozen=True)
class Task:
    """loss: of a training   metrics: of each epoch   scores: of an evaluation   line: what is said of a test."""

    name: str
    loss: Callable[[Any, Array], Array]
    metrics: dict[str, Any]
    scores: dict[str, Any]
    line: str

    def said(self, found: Mapping[str, float]) -> str:
        """The numbers of a test in words."""
        return self.line.format(**found)


def task_of(name: str, outputs: int, std: float) -> Task:
    """The task; of values `std` is their deviation, in which the model counts.

    The loss of values is that of standardised ones; R² has no unit, RMSE and MAE are in the target's.
    """
    if name == "classification":
        macro = {"average": "macro", "num_classes": outputs}
        scores = {
            "accuracy": accuracy,
            "precision": nnx.metrics.Precision(**macro),
            "recall": nnx.metrics.Recall(**macro),
            "f1": nnx.metrics.F1Score(**macro),
        }
        line = "accuracy {accuracy:.4f} (loss {loss:.4f})"
        return Task(name, nnx.losses.cross_entropy, {"accuracy": accuracy}, scores, line)
    metrics: dict[str, Any] = {"r2": nnx.metrics.R2Score(), "rmse": in_units(nnx.metrics.RootMeanSquaredError, std)}
    scores = metrics | {"mae": in_units(nnx.metrics.MeanAbsoluteError, std)}
    return Task(name, nnx.losses.mse_loss, metrics, scores, "R2 {r2:.4f}, RMSE {rmse:.6g} (loss {loss:.4f})")


def accuracy(output: Array, target: Array) -> Array:
    """The share of rows whose largest output is the target."""
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))


def in_units(kind: Any, std: float) -> Any:
    """A metric of standardised values as one of the values themselves."""

    def _result(self: Any, state: Any) -> Array:
        return kind._result(self, state) * std

    return type(f"{kind.__name__}InUnits", (kind,), {"_result": _result})()


# ---- how it is trained -----------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, tuple[float, Callable[[float, float], nnx.optim.Optimizer]]] = {
    "adam": (1.5e-3, lambda lr, decay: nnx.optim.Adam(lr, weight_decay=decay)),
    "adamw": (1.5e-3, lambda lr, decay: nnx.optim.AdamW(lr, weight_decay=decay)),
    "sgd": (0.1, lambda lr, decay: nnx.optim.SGD(lr, momentum=0.9, weight_decay=decay)),
}
"""The learning rate unless one is given, and what makes the optimizer."""


def make_optimizer(args: argparse.Namespace) -> nnx.optim.Optimizer:
    """The optimizer of the settings."""
    lr, make = OPTIMIZERS[args.optimizer]
    return make(args.lr or lr, args.weight_decay)


def make_loader(splits: Splits, args: argparse.Namespace) -> Any:
    """The training part in batches."""
    return nnx.data.DataLoader(nnx.data.ArrayDataset(*splits[0]), args.batch_size, shuffle=True, seed=args.seed)


def compiles_quickly(backend: nnx.Backend) -> bool:
    """Whether nnx.compile pays for a training of seconds."""
    compiler = backend.compiler()
    return compiler is not None and not compiler.slow
