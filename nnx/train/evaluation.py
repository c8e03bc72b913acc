"""What a trained model says: its loss and metrics over a loader, its outputs for an array."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnx.backend import asarray, backend_of, innermost, is_array, namespace
from nnx.data.checks import to_host
from nnx.layers.module import Module
from nnx.train.batches import parts
from nnx.train.means import Means
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


@contextmanager
def shown(trainer: "Trainer") -> Iterator[Module]:
    """The model as it is used: in evaluation mode, with averaged weights in it if there are any; then as it was."""
    model, optimizer, training = trainer.model, trainer.optimizer, trainer.model.training
    average = trainer.average
    if average is not None and average.count:
        averaged: Any = average.applied(model)
    elif hasattr(optimizer, "averaged") and not getattr(optimizer, "evaluating", False):  # a schedule-free one
        averaged = optimizer.averaged(model)
    else:
        averaged = _as_it_is()
    with averaged:
        model.eval()
        try:
            yield model
        finally:
            model.train(training)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def evaluate(trainer: "Trainer", loader: Iterable[Any]) -> dict[str, float]:
    """The loss, its terms and the metrics over all samples; read once, at the end."""
    means = Means()
    with shown(trainer):
        for whole in loader:
            batch = parts(whole, trainer.objective.whole)
            loss, terms, output = trainer.steps.judge(batch)
            means.add({"loss": loss} | terms | means.measured(trainer.metrics, output, batch.target), batch.n)
        return means.read()


def predict(trainer: "Trainer", x: Array, batch_size: int) -> Array:
    """See Trainer.predict."""
    if not is_array(x):  # a list, a data frame
        x = to_host(x)
        if x.dtype.kind not in "biuf":
            raise TypeError(f"predict expects samples x as numbers, got values of dtype {x.dtype}: encode them first")
    x = innermost(x)
    library = backend_of(x)
    if not x.ndim or not x.shape[0]:
        raise ValueError(
            f"predict expects samples x of shape (n, ...), got {tuple(x.shape)}: there is none to predict for"
        )
    # as loaders have it: float32 of whatever floating array the host holds
    dtype = "float32" if library.name == "numpy" and library.is_inexact(x.dtype) else None
    starts = range(0, x.shape[0], batch_size)
    with shown(trainer) as model:
        with trainer.precision.autocast():
            outputs = [model(asarray(x[k : min(k + batch_size, x.shape[0]), ...], dtype)) for k in starts]
        outputs = trainer.precision.full(outputs)
    return namespace(outputs[0]).concat(outputs)
