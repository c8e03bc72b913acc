"""Callbacks of an estimator: those of nnx.train, and plain functions (estimator, record).

A callback of nnx.train is handed a Trainer, whose fields an estimator keeps up to date. A function is called after each
epoch with the fitted estimator as it is then, and ends the training by returning True.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from nnx.layers import Module
from nnx.optim import Optimizer
from nnx.train import Callback, History, LearningRateFinder, Trainer
from nnx.train.batches import Parts
from nnx.train.callbacks import in_order
from nnx.train.steps import Result
from nnx.train.watching import watched
from nnx.typing import Array


class Watch:
    """What happens beside the training of one estimator. publish: puts the weights into the estimator."""

    def __init__(
        self,
        estimator: Any,
        callbacks: Sequence[Any],
        model: Module,
        optimizer: Optimizer,
        loss: Callable[..., Array],
        publish: Callable[[], None],
    ) -> None:
        if not isinstance(callbacks, list | tuple):
            raise TypeError(f"callbacks must be a list, got one {type(callbacks).__name__}: callbacks=[callback]")
        for callback in callbacks:
            if not isinstance(callback, Callback) and not callable(callback):
                raise TypeError(
                    f"callbacks are those of nnx.train or functions (estimator, record), got {type(callback).__name__}"
                )
            if isinstance(callback, LearningRateFinder):
                raise TypeError(
                    "LearningRateFinder walks through a loader, which an estimator does not have: find the rate by "
                    "a nnx.train.Trainer, or search for it by GridSearchCV"
                )
        self.estimator, self.publish = estimator, publish
        self.functions = [f for f in callbacks if not isinstance(f, Callback)]
        self.trainer = Trainer(model, optimizer, loss)
        hooks = [callback for callback in callbacks if isinstance(callback, Callback)]
        self.hooks = self.trainer.callbacks = in_order(hooks)
        self.sees_gradients = any(type(h).on_gradients is not Callback.on_gradients for h in self.hooks)
        self._start = 0.0

    @property
    def stopping(self) -> bool:
        """Whether somebody has asked for an end."""
        return self.trainer.stopping

    def tell(self, hook: str, *args: Any) -> None:
        """Call a hook of all callbacks."""
        for callback in self.hooks:
            getattr(callback, hook)(self.trainer, *args)
        self.trainer.clock.lap("callbacks")

    def begin(self, samples: int, batch_size: int, validation: Any) -> None:
        """Before the first epoch. validation: (x, y) or None"""
        loader = Length(-(-samples // batch_size), batch_size)
        self.trainer.loader, self.trainer.validation, self.trainer.stopping = loader, validation, False
        self.tell("on_train_begin")

    def epoch(self) -> None:
        """Before an epoch."""
        self._start = time.perf_counter()
        self.tell("on_epoch_begin")

    def seen(self, gradients: Callable[..., Any]) -> Callable[..., Any]:
        """value_and_grad of a loss (model, x, y, weight), for callbacks that look at a step as the Trainer's."""
        if not self.sees_gradients:  # it may be compiled, and then there is nothing to look at
            return gradients

        def call(model: Module, x: Array, y: Array, weight: Array | None) -> tuple[Array, dict[str, Array]]:
            trainer = self.trainer
            with watched(trainer.steps.watchers) as notes:
                loss, grads = gradients(model, x, y, weight)
            batch = Parts((x,), y, None, None, int(y.shape[0]))
            trainer.gathered.clear()
            trainer.gathered.add(batch, Result(loss, {}, None, grads, notes))
            trainer.clock.lap("forward+backward")
            return loss, grads

        return call

    def after_batch(self, loss: Array) -> bool:
        """After an update; whether to stop."""
        self.trainer.step += 1
        self.trainer.clock.lap("update" if self.sees_gradients else "forward+backward")
        self.tell("on_batch_end", loss)
        return self.stopping

    def after_epoch(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """After an epoch. numbers: its losses and scores; returns the record as the callbacks have left it."""
        trainer = self.trainer
        trainer.epoch += 1
        trainer.clock.lap("validation")
        record = {"epoch": trainer.epoch, "step": trainer.step, "lr": trainer.optimizer.lr, **numbers}
        record["seconds"] = time.perf_counter() - self._start
        trainer.history.append(record)
        self.tell("on_epoch_end", record)
        if self.functions:
            self.publish()
            for f in self.functions:
                if f(self.estimator, record):
                    trainer.stop()
        return record

    def end(self) -> None:
        """After the last epoch, also if it ended with an exception."""
        for callback in reversed(self.hooks):
            callback.on_train_end(self.trainer)

    @property
    def history(self) -> History:
        """The records."""
        return self.trainer.history


class Length:
    """Something that has a length, as a loader has one of batches."""

    def __init__(self, n: int, batch_size: int) -> None:
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return self.n
