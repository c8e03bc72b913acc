"""The two ways in which an MLP is trained: epochs of small steps (sgd, adam), and L-BFGS over all samples."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from nnx.optim import LBFGS, Optimizer
from nnx.sklearn.arrays import Host
from nnx.sklearn.loop import Samples, Steps, program, run_epoch
from nnx.sklearn.network import Network
from nnx.sklearn.rules import ScikitAdam, ScikitSGD

if TYPE_CHECKING:
    from nnx.sklearn.base import BaseMLP
    from nnx.sklearn.watch import Watch

AT_ONCE = 10
"""Iterations of L-BFGS between two looks at how much they have brought."""
FTOL = 2.220446049250313e-09
"""SciPy's default: the relative change of the loss at which L-BFGS ends."""

Validation = tuple[Samples, Host, Any]
"""Samples, their targets as the user gave them, and their weights in host memory."""


def fit_lbfgs(estimator: "BaseMLP", steps: Steps, samples: Samples) -> None:
    """Up to max_iter iterations, or until the gradient's largest entry is at most tol. Sets loss_ and n_iter_."""
    e, batch = estimator, samples.whole()
    optimizer = LBFGS(
        max_iter=AT_ONCE, max_eval=e.max_fun, tolerance_grad=e.tol, tolerance_change=FTOL * 1e-3, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    done, before, converged = 0, np.inf, False
    try:
        while done < e.max_iter and optimizer._memory.evaluations < e.max_fun and not converged:
            optimizer.max_iter = asked = min(AT_ONCE, e.max_iter - done)
            optimizer.max_eval = e.max_fun - optimizer._memory.evaluations
            loss = float(optimizer.step(steps.penalized, steps.model, *batch))
            converged = optimizer._memory.iterations - done < asked or before - loss <= FTOL * max(abs(loss), 1.0)
            done, before = optimizer._memory.iterations, loss
            if e.verbose:
                print(f"Iteration {done}, loss = {loss:.8f}")
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    e.n_iter_ = done
    e.loss_ = float(steps.penalized(steps.model, *batch)) * steps.criterion.scale
    if not converged:
        warnings.warn(f"lbfgs failed to converge after {done} iteration(s).", ConvergenceWarning, stacklevel=4)


def solver_of(e: "BaseMLP") -> Optimizer:
    """A new optimizer by the estimator's parameters."""
    if e.solver == "adam":
        return ScikitAdam(e.learning_rate_init, betas=(e.beta_1, e.beta_2), eps=e.epsilon)
    return ScikitSGD(e.learning_rate_init, momentum=e.momentum, nesterov=e.nesterovs_momentum)


class Stochastic:
    """One call of fit or partial_fit with sgd or adam; it writes the estimator's attributes."""

    watch: "Watch | None"

    def __init__(self, estimator: "BaseMLP", model: Network, incremental: bool) -> None:
        e = self.estimator = estimator
        if e.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self.model, self.incremental = model, incremental
        self.optimizer = solver_of(e)
        if incremental and hasattr(e, "_optimizer_state"):
            self.optimizer.load_state_dict(e._optimizer_state)
        self.watch = None
        criterion = e._criterion()
        if e.callbacks:
            from nnx.sklearn.watch import Watch  # which loads the Trainer

            publish = lambda: e._publish(model)
            self.watch = Watch(e, e.callbacks, model, self.optimizer, criterion, publish)
        self.steps = Steps(model, self.optimizer, criterion, e.alpha, self.watch)
        self.best: tuple[list[Host], list[Host]] | None = None

    def fit(self, samples: Samples, y: Host, weight: Host | None, given: Validation | None) -> None:
        """See the class."""
        e, validation = self.estimator, given
        if e.early_stopping and given is None:
            samples, validation = self._split(samples, y, weight)
        if validation is not None and e.validation_scores_ is None:
            e.validation_scores_, e.validation_loss_curve_, e.best_validation_score_ = [], [], -np.inf
        size = self._batch_size(samples.n)
        if self.watch is not None:
            pair = None if validation is None else (validation[0].x, validation[0].y)
            self.watch.begin(samples.n, size, pair)
        try:
            self._epochs(samples, size, validation)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            if self.watch is not None:
                self.watch.end()
        if self.best is not None:
            self.model.load_coefs(*self.best)
        e._optimizer_saved(self.optimizer.state_dict())

    def _split(self, samples: Samples, y: Host, weight: Host | None) -> tuple[Samples, Validation]:
        """A part of the samples set aside, as scikit-learn does it."""
        e = self.estimator
        binary = getattr(e, "classes_", None) is not None and len(e.classes_) <= 2 and y.ndim == 1
        train, held = train_test_split(
            np.arange(samples.n), random_state=e._random_state, test_size=e.validation_fraction,
            stratify=y if binary else None,
        )  # fmt: skip
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        kept = None if weight is None else weight[held]
        return samples.taken(train), (samples.taken(held), y[held], kept)

    def _batch_size(self, n: int) -> int:
        size = self.estimator.batch_size
        if size == "auto":
            return min(200, n)
        if size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(min(size, n))

    def _epochs(self, samples: Samples, size: int, validation: Validation | None) -> None:
        e, order = self.estimator, np.arange(samples.n)
        step = program(self.steps, samples.home, e.compile)
        e.n_iter_ = 0
        for _ in range(e.max_iter):
            if e.shuffle:
                order = shuffle(order, random_state=e._random_state)
            if self.watch is not None:
                self.watch.epoch()
            e.loss_ = run_epoch(step, samples, order if e.shuffle else None, size, self.watch)
            e.n_iter_ += 1
            e.t_ += samples.n
            e.loss_curve_.append(e.loss_)
            if e.verbose:
                print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
            self._judge(validation)
            if e.solver == "sgd" and e.learning_rate == "invscaling":
                self.optimizer.lr = float(e.learning_rate_init) / (e.t_ + 1) ** e.power_t
            if self._told() or self._converged() or self.incremental:
                return
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) reached and the optimization hasn't converged "
            "yet.",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _judge(self, validation: Validation | None) -> None:
        """Look at the validation samples; count the epochs without an improvement."""
        e = self.estimator
        if validation is not None:
            loss, score = self._validate(*validation)
            e.validation_loss_curve_.append(loss)
            e.validation_scores_.append(score)
            if e.verbose:
                print(f"Validation score: {score:f}")
        if e.early_stopping:
            worse = score < e.best_validation_score_ + e.tol
        else:
            worse = e.loss_ > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        e._no_improvement_count = e._no_improvement_count + 1 if worse else 0
        if validation is not None and score > e.best_validation_score_:
            e.best_validation_score_ = score
            if e.early_stopping:
                self.best = self.model.coefs()

    def _validate(self, samples: Samples, y: Host, weight: Host | None) -> tuple[float, float]:
        """The loss (without the penalty) and the score of the model as it is."""
        model, (x, target, w) = self.model, samples.whole()
        model.eval()
        z = model(x)
        model.train()
        criterion = self.steps.criterion
        return float(criterion(z, target, w)) * criterion.scale, self.estimator._score_of(y, z, weight)

    def _told(self) -> bool:
        """Tell the callbacks; whether one of them wants an end."""
        if self.watch is None:
            return False
        e = self.estimator
        numbers = {"loss": e.loss_}
        if e.validation_scores_:
            numbers |= {"val_loss": e.validation_loss_curve_[-1], "val_score": e.validation_scores_[-1]}
        self.watch.after_epoch(numbers)
        return self.watch.stopping

    def _converged(self) -> bool:
        """Whether the loss (or score) has stood still for too long, and the learning rate shall not fall."""
        e = self.estimator
        if not e._no_improvement_count > e.n_iter_no_change:
            return False
        what = "Validation score" if e.early_stopping else "Training loss"
        said = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
        if e.solver != "sgd" or e.learning_rate != "adaptive":
            self._say(f"{said} Stopping.")
            return True
        if self.optimizer.lr <= 1e-6:
            self._say(f"{said} Learning rate too small. Stopping.")
            return True
        self.optimizer.lr /= 5.0
        self._say(f"{said} Setting learning rate to {self.optimizer.lr:f}")
        e._no_improvement_count = 0
        return False

    def _say(self, text: str) -> None:
        if self.estimator.verbose:
            print(text)
