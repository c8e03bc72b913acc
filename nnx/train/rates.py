"""Learning rates: one that is lowered when nothing improves, and one that is found before the training begins."""

import math
from typing import TYPE_CHECKING, Any

from nnx import optim, random
from nnx.train.callbacks import Callback
from nnx.train.monitors import Monitor

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when the monitored number has not improved for `patience` epochs.

    monitor, mode: as EarlyStopping's   factor: in [0, 1)   min_delta: what counts as an improvement, ≥ 0
    cooldown: epochs after a reduction that do not count   min_lr: never below   (Keras's names; the rule is
    nnx.optim.ReduceLROnPlateau, which a Trainer takes as its schedule, too)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str | None = None,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.options: dict[str, Any] = {"factor": factor, "patience": patience, "cooldown": cooldown, "min_lr": min_lr}
        self._made(optim.SGD(1.0))  # whose numbers are checked now
        self.rule: Any = None

    def _made(self, optimizer: optim.Optimizer) -> optim.ReduceLROnPlateau:
        return optim.ReduceLROnPlateau(
            optimizer, **self.options, threshold=self.min_delta, threshold_mode="abs", eps=0.0
        )

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Count from here."""
        super().on_train_begin(trainer)
        self.rule = self._made(trainer.optimizer)

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Count the epochs without an improvement."""
        self.rule.step(self.sign * self.value_of(record))

    def state_dict(self) -> dict[str, Any]:
        """The rule's."""
        return {} if self.rule is None else dict(self.rule.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Callback.load_state_dict."""
        self.rule.load_state_dict(state)


class LearningRateFinder(Callback):
    """Finds a learning rate before the training: it trains for some steps at rates that grow, and looks at the loss.

    The suggestion is the rate at which the smoothed loss has come a third of its way down (L. Smith 2015, "Cyclical
    learning rates for training neural networks", section 3.3). Where it falls fastest, as it is often read off, may be
    the noise of the first batches. Model, optimizer, random numbers and loader are then as they were. It reads the loss
    of every step, and so waits for the device.

    min_lr, max_lr: > 0, the rate grows from one to the other geometrically   steps: ≥ 10, updates
    stop_at: end once the smoothed loss is that many times its lowest   update: put the suggestion into the optimizer
    lrs, losses: what was measured   suggestion: None if the loss never fell
    """

    def __init__(
        self,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        steps: int = 100,
        stop_at: float = 4.0,
        update: bool = True,
    ) -> None:
        if not 0.0 < min_lr < max_lr:
            raise ValueError(f"LearningRateFinder: expected 0 < min_lr < max_lr, got {min_lr} and {max_lr}")
        if steps < 10 or not stop_at > 1.0:
            raise ValueError(
                f"LearningRateFinder: steps must be at least 10 and stop_at more than 1, got {steps} and {stop_at}"
            )
        self.min_lr, self.max_lr, self.steps, self.stop_at, self.update = min_lr, max_lr, steps, stop_at, update
        self.lrs: list[float] = []
        self.losses: list[float] = []
        self.suggestion: float | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Search, but not again after a resume."""
        if trainer.resuming:
            return
        self.find(trainer, trainer.loader)
        if self.update and self.suggestion is not None:
            trainer.optimizer.lr = self.suggestion
            if trainer.optimizer.initial_lr is not None:  # what a schedule goes by
                trainer.optimizer.initial_lr = self.suggestion

    def find(self, trainer: "Trainer", loader: Any) -> float | None:
        """The suggestion for these batches; nothing is changed. Raises ValueError if there is no batch."""
        model, optimizer = trainer.model, trainer.optimizer
        before = model.state_dict(), optimizer.state_dict(), random.get_state()
        scaler = trainer.precision.scaler
        scale = None if scaler is None else scaler.state_dict()
        position = loader.state_dict() if hasattr(loader, "state_dict") else None
        training = model.training
        model.train()
        try:
            self._sweep(trainer, loader)
        finally:
            model.train(training)
            model.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            random.set_state(before[2])
            if scaler is not None and scale is not None:
                scaler.load_state_dict(scale)
            if position is not None:
                loader.load_state_dict(position)
        self.suggestion = self._on_the_way_down()
        return self.suggestion

    def _sweep(self, trainer: "Trainer", loader: Any) -> None:
        self.lrs, self.losses = [], []
        growth = (self.max_lr / self.min_lr) ** (1.0 / (self.steps - 1))
        while len(self.lrs) < self.steps:
            seen = len(self.lrs)
            for batch in loader:
                trainer.optimizer.lr = self.min_lr * growth ** len(self.lrs)
                found = trainer.steps.gradients(trainer.taken(batch))
                loss = float(found.loss)
                if not math.isfinite(loss):
                    return
                self.lrs.append(trainer.optimizer.lr)
                self.losses.append(loss)
                smoothed = self.smoothed()
                if len(self.lrs) == self.steps or smoothed[-1] > self.stop_at * min(smoothed):
                    return
                trainer.steps.update(found.grads)
            if len(self.lrs) == seen:
                raise ValueError("LearningRateFinder: expected batches to try rates on, got none: the loader is empty")

    def smoothed(self, beta: float = 0.9) -> list[float]:
        """The losses, averaged exponentially without a bias towards the start."""
        mean, found = 0.0, []
        for k, loss in enumerate(self.losses, 1):
            mean = beta * mean + (1.0 - beta) * loss
            found.append(mean / (1.0 - beta**k))
        return found

    def _on_the_way_down(self) -> float | None:
        """The last rate before the lowest smoothed loss at which less than a third of the fall to it was done."""
        settled = dict(list(enumerate(self.smoothed()))[self.steps // 10 :])  # the first ones are means of few
        low = min(settled, key=settled.__getitem__, default=0)
        before = {k: loss for k, loss in settled.items() if k < low}
        high = max(before.values(), default=-math.inf)
        kept = [k for k, loss in before.items() if loss >= high - (high - settled[low]) / 3.0]
        return self.lrs[kept[-1]] if kept else None
