"""The training loop, written once: epochs of batches; gradients of all parameters, and only then the update.

    an epoch      every sample once
    a batch       the samples of one step (mini-batch stochastic gradient descent)
    an iteration  one step: forward, backward, update

Losses and metrics are summed where they were computed and read once an epoch: a device is not waited for in between.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any

from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.train import checks, evaluation, state
from nnx.train.batches import Parts, loader_of, parts
from nnx.train.callbacks import Callback, in_order
from nnx.train.clock import Clock
from nnx.train.half import Precision
from nnx.train.history import History
from nnx.train.limits import Limits
from nnx.train.means import Means
from nnx.train.memory import explained
from nnx.train.objective import Objective, Term
from nnx.train.progress import Progress
from nnx.train.steps import Gathered, Steps, changes
from nnx.train.weights import ClassWeight, class_weights, weighted
from nnx.typing import Array

Metric = Callable[[Any, Array], Array]
Transform = Callable[[dict[str, Array]], dict[str, Array]]


class Trainer:
    """Trains a model: `fit`, `evaluate`, `predict`.

    loss(output, target) -> scalar array; or several, a dict of such functions and of nnx.train.Term(function, weight,
    of), whose sum is "loss" and each of which is recorded by its name
    metrics: name -> function (output, target) -> the batch's mean, or an object of nnx.metrics, which is computed over
    all samples of an epoch at once (AUROC is no mean over batches)
    schedule: its step() is called after each epoch, or after each update with schedule_every="step"
    accumulate: batches an update, whose gradients are averaged over all of their samples; > 0
    clip_value, clip_norm: bounds for each entry of the gradients, then for their common norm
    transform_grads: a function of the gradients' dict, called after that and before each update
    average: nnx.optim.EMA() or another average of the weights, updated after each update. Validation, evaluate, predict
    and the best weights of callbacks are the average's; `trainer.average.copy_to(model)` makes them the model's
    compile: give gradients, update and evaluation to nnx.compile: much faster on JAX; loss and model must read no value
    precision: "32"; "16-mixed" or "bf16-mixed" for nnx.autocast in 16 bits, float16 with a GradScaler

    The same nnx.seed before the model is made gives the same training, on NumPy bit for bit.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Metric | Term | Mapping[str, Metric | Term],
        metrics: Mapping[str, Metric] | None = None,
        *,
        schedule: Any = None,
        schedule_every: str = "epoch",
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        transform_grads: Transform | None = None,
        average: Any = None,
        compile: bool = False,
        precision: str | int = "32",
    ) -> None:
        checks.check(model, optimizer, loss, metrics or {}, schedule, schedule_every, average)
        self.model, self.optimizer, self.metrics = model, optimizer, dict(metrics or {})
        self.schedule, self.schedule_every, self.average = schedule, schedule_every, average
        self.objective = Objective(loss)
        checks.check_names(self.objective.names, self.metrics)
        outputs = bool(self.metrics)
        change = changes(clip_norm, clip_value, transform_grads)
        self.precision = Precision(precision)
        self.steps = Steps(model, optimizer, self.objective, outputs, change, compile, self.precision)
        self.gathered, self.accumulate = Gathered(accumulate), accumulate
        self.history, self.validations = History(), History()
        """What was measured: a record an epoch; and one for each validation within an epoch."""
        self.epoch = 0
        """Epochs that were finished."""
        self.step = 0
        """Updates that were made."""
        self.latest: dict[str, Any] = {}
        """The newest numbers that there are, of epochs and validations."""
        self.stopping = False
        self.loader: Any = None
        self.position: Any = None
        """Of the loader behind the batch that was taken last, within an epoch."""
        self.validation: Iterable[Any] | None = None
        self.callbacks: list[Callback] = []
        self.limits = Limits(None, None, None)
        self.clock = Clock()
        self.means = Means()
        """Of the epoch under way."""
        self._class_weights: dict[int, float] = {}
        self._validate_every: int | None = None
        self._batch_size: int | None = None
        self._pending: state.State | None = None

    @property
    def resuming(self) -> bool:
        """Whether the `fit` that begins goes on from a checkpoint (for on_train_begin)."""
        return self._pending is not None

    # ---- training ------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Array | None = None,
        *,
        validation: Any = None,
        epochs: int | None = None,
        batch_size: int = 32,
        callbacks: Sequence[Callback] = (),
        verbose: bool = False,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        validate_every: int | None = None,
        max_steps: int | None = None,
        max_time: float | timedelta | None = None,
    ) -> History:
        """Train until a limit is reached, for one epoch without one; after a `resume`, counted in all.

        x, y: arrays, shuffled into batches anew each epoch; or x alone: a loader, an iterable of (x, y) batches
        validation: (x, y), (x, y, weight) or a loader, evaluated after every epoch as val_loss, ...
        validate_every: updates after which it is evaluated within an epoch, too (see `validations`)
        epochs, max_steps, max_time: limits: epochs, updates, and seconds of this call; the first one reached ends it
        sample_weight: (n,), a factor for each sample's loss   class_weight: {label: factor}, 1 for others, or
        "balanced". The loss of a batch is then Σ wᵢ lᵢ / n, and the loss function must take reduction="none"
        verbose: show Progress, if it is not among the callbacks
        Raises Diverged if an epoch's loss is not finite, ValueError for an empty dataset.
        """
        limits = Limits(epochs, max_steps, max_time)
        checks.check_callbacks(callbacks)
        checks.check_validation(validation, validate_every)
        self._class_weights = class_weights(class_weight, y)
        self.loader = loader_of(x, y, batch_size, shuffle=True, weight=sample_weight)
        self.validation = None if validation is None else loader_of(validation, None, max(batch_size, 256))
        shown = [Progress()] if verbose and not any(isinstance(c, Progress) for c in callbacks) else []
        self.callbacks = in_order([*callbacks, *shown])
        self.limits, self._validate_every, self.stopping = limits, validate_every, False
        if not self.resuming:
            limits.count_from(self)
        self.optimizer.init(self.model)
        if getattr(self.optimizer, "evaluating", False):  # a schedule-free one
            getattr(self.optimizer, "train")(self.model)  # noqa: B009
        begun: list[Callback] = []

        def end(callback: Callback) -> None:
            if any(started is callback for started in begun):
                callback.on_train_end(self)

        with ExitStack() as ends:
            for callback in reversed(self.callbacks):
                ends.callback(end, callback)
            for callback in self.callbacks:
                callback.on_train_begin(self)
                begun.append(callback)
            self.clock.lap("callbacks")
            self._take_up()
            while not self.limits.reached(self) and not self.stopping:
                self._run_epoch()
        return self.history

    def _take_up(self) -> None:
        """Let loader and callbacks go on, too, if this training goes on from a checkpoint."""
        pending, self._pending = self._pending, None
        self.gathered.clear()
        self.position = None
        if pending is None:
            self.means = Means()  # what an interrupted epoch has left
        else:
            state.take_up(self, pending)

    def _run_epoch(self) -> None:
        start = time.perf_counter()
        self._tell("on_epoch_begin")
        self._batch_size = getattr(self.loader, "batch_size", None)
        self.model.train()
        keeps = hasattr(self.loader, "state_dict")
        with explained(lambda: self._batch_size):
            for batch in self.loader:
                self.clock.lap("data")
                self.position = self.loader.state_dict() if keeps else None
                self._train_batch(batch)
                if self.stopping or self.limits.reached_within(self):
                    break
            if self.gathered.batches and not self.gathered.full:
                self._make_update()
        self.position = None
        record = {"epoch": self.epoch + 1, "step": self.step, "lr": self.optimizer.lr, **self.means.read()}
        record["seconds"] = time.perf_counter() - start
        self.means = Means()
        self.gathered.clear()
        checks.check_finite(record, "loss", self.optimizer.lr)
        if self.validation is not None:
            record |= self._validated(record)
        self.history.append(record)
        self.epoch += 1
        self.latest |= record
        if self.schedule is not None and self.schedule_every == "epoch":
            checks.advance(self.schedule, record)
        self._tell("on_epoch_end", record)

    def _train_batch(self, whole: Any) -> None:
        """Forward and backward, and an update if it is time for one."""
        batch = self.taken(whole)
        self._batch_size = batch.n
        found = self.steps.gradients(batch)
        self.gathered.add(batch, found)
        self.clock.lap("forward+backward")
        measured = self.means.measured(self.metrics, found.output, batch.target)
        self.means.add({"loss": found.loss} | found.terms | measured, batch.n)
        self.clock.lap("metrics")
        if self.gathered.full:
            self._make_update()

    def _make_update(self) -> None:
        loss, grads = self.gathered.mean()
        self._tell("on_gradients", grads)
        self.steps.update(grads)
        if self.average is not None:
            self.average.update(self.model)
        self.step += 1
        if self.schedule is not None and self.schedule_every == "step":
            self.schedule.step()
        self.clock.lap("update")
        if self._validate_every is not None and self.step % self._validate_every == 0:
            record = {"epoch": self.epoch + 1, "step": self.step, "lr": self.optimizer.lr}
            record |= self._validated(record)
            self.validations.append(record)
            self.latest |= record
            self._tell("on_validation", record)
        self._tell("on_batch_end", loss)  # where checkpoints are written: all of this step must be in them

    def _validated(self, record: dict[str, Any]) -> dict[str, float]:
        """The validation's numbers as val_loss, ...; those of this very step, if there are some already."""
        last = self.validations.records[-1] if len(self.validations) else {}
        if last.get("step") == record["step"]:
            return {name: value for name, value in last.items() if name.startswith("val_")}
        assert self.validation is not None
        found = {f"val_{name}": value for name, value in evaluation.evaluate(self, self.validation).items()}
        self.clock.lap("validation")
        checks.check_finite(record | found, "val_loss", self.optimizer.lr)
        return found

    def taken(self, whole: Any) -> Parts:
        """A batch of the loader, taken apart, with the weights of its samples."""
        return weighted(parts(whole, self.objective.whole), self._class_weights)

    def stop(self) -> None:
        """End the training after the batch or epoch that is under way (for callbacks)."""
        self.stopping = True

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)
        self.clock.lap("callbacks")

    # ---- use -----------------------------------------------------------------------------------------------------

    def evaluate(
        self, x: Any, y: Array | None = None, batch_size: int = 256, *, sample_weight: Any = None
    ) -> dict[str, float]:
        """The loss and metrics over the samples of arrays x, y or of a loader, in evaluation mode."""
        return evaluation.evaluate(self, loader_of(x, y, batch_size, weight=sample_weight))

    def predict(self, x: Array, batch_size: int = 256) -> Array:
        """The model's outputs for all samples of x, in evaluation mode, as one array of the active backend.

        x: (n, ...), n ≥ 1, an array or what NumPy makes one of   returns (n, ...)
        """
        return evaluation.predict(self, x, batch_size)

    def shown(self) -> AbstractContextManager[Module]:
        """The model as it is evaluated inside of a with block: in evaluation mode, with averaged weights, if any."""
        return evaluation.shown(self)

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on as if nothing had happened: arrays by name, and plain numbers under "meta"."""
        return state.collect(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where state_dict was taken, on this backend or another; the next `fit` goes on with it.

        Raises ValueError, with nothing changed, for the state of another model, optimizer or schedule.
        """
        state.restore(self, state_dict)
        self._pending = state_dict

    def save(self, path: Any) -> None:
        """Write state_dict to a safetensors file, atomically."""
        state.save(self, path)

    def resume(self, path: Any) -> None:
        """Read what `save` wrote; the next `fit` goes on from there. Raises CheckpointError for a damaged file."""
        self.load_state_dict(state.read(path))
