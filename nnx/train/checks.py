"""What a Trainer cannot train with, said before the first step; and what an epoch must not end with."""

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.train.callbacks import Callback
from nnx.train.errors import Diverged
from nnx.train.objective import Term


def check(
    model: Any, optimizer: Any, loss: Any, metrics: Any, schedule: Any, schedule_every: str, average: Any
) -> None:
    """Raises TypeError or ValueError for what Trainer cannot train with."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer's model must be a Module, got {type(model).__name__}: e.g. nnx.Sequential(...)")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"Trainer's optimizer must be one of nnx.optim, got {type(optimizer).__name__}: e.g. nnx.optim.Adam()"
        )
    for name, one in loss.items() if isinstance(loss, Mapping) else [("", loss)]:
        if not callable(one) and not isinstance(one, Term):
            which = f"loss '{name}'" if name else "loss"
            raise TypeError(
                f"Trainer's {which} must be a function (output, target), got {type(one).__name__}: "
                "e.g. nnx.losses.mse_loss"
            )
    if not isinstance(metrics, Mapping):
        raise TypeError(f"Trainer's metrics must be a dict of functions by name, got {type(metrics).__name__}")
    if "loss" in metrics:
        raise ValueError("Trainer's metrics hold 'loss', the name of the loss itself: choose another name")
    if schedule_every not in ("epoch", "step"):
        raise ValueError(f"schedule_every must be 'epoch' or 'step', got '{schedule_every}'")
    if schedule is not None and schedule_every == "step" and _watches(schedule):
        raise ValueError(
            f"{type(schedule).__name__} watches an epoch's number: schedule_every must be 'epoch', got 'step'"
        )
    if average is not None and not all(hasattr(average, name) for name in ("update", "applied", "state_dict")):
        raise TypeError(f"Trainer's average must be one of nnx.optim, got {type(average).__name__}: nnx.optim.EMA()")


def check_names(losses: Iterable[str], metrics: Mapping[str, Any]) -> None:
    """Raises ValueError for a loss and a metric of one name."""
    if both := [name for name in losses if name in metrics]:
        raise ValueError(f"a loss and a metric are both named '{both[0]}': choose another name for one of them")


def check_callbacks(callbacks: Any) -> None:
    """Raises TypeError for anything but a list or tuple of callbacks."""
    for one in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if not isinstance(one, Callback):
            made = f"{one.__name__}() makes one" if isinstance(one, type) else "a Callback is a subclass with hooks"
            raise TypeError(f"callbacks must be a list of Callbacks, got {one!r}: {made}")
    if not isinstance(callbacks, list | tuple):
        raise TypeError(f"callbacks must be a list, got one {type(callbacks).__name__}: callbacks=[callback]")


def check_validation(validation: Any, every: int | None) -> None:
    """Raises ValueError for validate_every without a validation."""
    if every is not None and every < 1:
        raise ValueError(f"validate_every must be at least 1 update, or None, got {every}")
    if every is not None and validation is None:
        raise ValueError(f"validate_every={every}, but there is nothing to validate on: pass validation=(x, y)")


def check_finite(record: dict[str, Any], name: str, lr: float) -> None:
    """Raises Diverged for a number that is not finite."""
    if not math.isfinite(record[name]):
        raise Diverged(
            f"the {name} of epoch {record['epoch']} is {record[name]}: lower lr (now {lr:g}), clip the gradients, or "
            "look for NaN in the inputs (nnx.data.check_finite) and labels out of range; nnx.train.TerminateOnNaN() "
            "names the operation"
        )


def _watches(schedule: Any) -> bool:
    return "metrics" in inspect.signature(schedule.step).parameters


def advance(schedule: Any, record: dict[str, Any]) -> None:
    """A step of a schedule; one that watches a number gets the validation loss, or the training loss without one."""
    if _watches(schedule):
        schedule.step(record.get("val_loss", record["loss"]))
    else:
        schedule.step()
