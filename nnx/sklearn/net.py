"""What the estimators around a Module share: making it, training it, asking it.

After a fit module_ lies in host memory, whatever it was trained on, so that the estimator pickles; where it is asked
is where the samples are.
"""

import copy
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, shuffle
from sklearn.utils.validation import check_is_fitted

from nnx import optim, random
from nnx.backend import Backend, to_numpy, use_backend
from nnx.layers import Module
from nnx.sklearn.arrays import Host, checked, checked_pair, class_weights, home_of, weighed
from nnx.sklearn.checks import NET_ROWS, check_parameters
from nnx.sklearn.criteria import Criterion, custom
from nnx.sklearn.loop import Samples, Steps, outputs, program, run_epoch
from nnx.sklearn.watch import Watch
from nnx.typing import Array

PREFIXES = ("module__", "criterion__", "optimizer__")


class NeuralNet(BaseEstimator):
    """See NeuralNetClassifier."""

    stratified: ClassVar[bool] = False
    _numeric = False
    module_: Module
    history_: Any

    # ---- parameters ----------------------------------------------------------------------------------------------

    def _take(self, kwargs: dict[str, Any]) -> None:
        """Parameters of the module, the criterion and the optimizer, as attributes of these names."""
        for name, value in kwargs.items():
            if not name.startswith(PREFIXES):
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}; those of its parts begin with "
                    f"{', '.join(PREFIXES)}"
                )
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters by name, those of the parts as module__..., criterion__..., optimizer__..."""
        own = {name: getattr(self, name) for name in self._get_param_names()}
        return own | {name: value for name, value in vars(self).items() if name.startswith(PREFIXES)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; those of the parts may be new."""
        own = self._get_param_names()
        for name, value in params.items():
            if name not in own and not name.startswith(PREFIXES):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. Valid parameters are: {own}."
                )
            setattr(self, name, value)
        return self

    def _of(self, prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): x for name, x in vars(self).items() if name.startswith(prefix)}

    # ---- what the two differ in ----------------------------------------------------------------------------------

    def _learn(self, y: Host, classes: Any = None) -> None:
        """Take note of y's classes."""

    def _encoded(self, y: Host) -> Host:
        """y as the criterion takes it."""
        raise NotImplementedError

    def _outputs_wanted(self, y: Host) -> int:
        raise NotImplementedError

    def _score_of(self, y: Host, z: Array) -> tuple[str, float]:
        """The name of a score, and the score of outputs."""
        raise NotImplementedError

    # ---- fitting -------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (n, ...) and y for max_epochs, from new weights unless warm_start."""
        return self._fit(X, y, sample_weight, anew=not (self.warm_start and hasattr(self, "module_")))

    def _fit(self, x: Any, y: Any, sample_weight: Any, anew: bool, classes: Any = None) -> Self:
        check_parameters(self, NET_ROWS)
        x, y = checked_pair(self, x, y, anew, self._numeric, **self._accepts)
        if anew:
            self._learn(y, classes)
        x, y, weight = weighed(x, y, sample_weight, *class_weights(self))
        home, draw = home_of(x, self.backend, self.device), check_random_state(self.random_state)
        with use_backend(home.name, home.device), random.scope(int(draw.randint(2**31 - 1))):
            if anew:
                self._make(self._outputs_wanted(y))
            self.module_.to(home.name, home.device)
            try:
                self._train(Samples(home, x, self._encoded(y), weight, self.dtype), draw)
            finally:
                self.module_.to("numpy")
        return self

    @property
    def _accepts(self) -> dict[str, Any]:
        dtype = "numeric" if self.dtype is None else (np.float64, np.float32)
        return {"accept_sparse": ["csr"], "allow_nd": True, "dtype": dtype, "order": "C"}

    def _make(self, outputs: int) -> None:
        """A new module_ (a copy, if an instance was given) and optimizer_."""
        options, module = self._of("module__"), self.module
        if isinstance(module, Module):
            self.module_ = copy.deepcopy(module)
        else:
            if not callable(module):
                raise TypeError(f"module must be a Module, its class or a function, got {type(module).__name__}")
            known = inspect.signature(module).parameters
            there = {"n_features_in": self.n_features_in_, "n_outputs": outputs}
            self.module_ = module(**{k: v for k, v in there.items() if k in known} | options)
        if not isinstance(self.module_, Module):
            raise TypeError(f"module must make an nnx.Module, got {type(self.module_).__name__}")
        if self.dtype is not None:
            self.module_.to(dtype=self.dtype)
        self._history: list[dict[str, Any]] = []
        self.__dict__.pop("_optimizer_state", None)

    def _criterion(self) -> Criterion:
        return custom(self.criterion, self._of("criterion__"))

    def _optimizer(self) -> optim.Optimizer:
        kind = self.optimizer
        if isinstance(kind, str):
            if not isinstance(getattr(optim, kind, None), type):
                raise ValueError(f"optimizer '{kind}' is not known: one of nnx.optim, as 'Adam', or its class")
            kind = getattr(optim, kind)
        if not isinstance(kind, type):
            raise TypeError(
                f"optimizer must be a name or a class, got {kind!r}: optimizer=nnx.optim.Adam, lr=, optimizer__...="
            )
        made: optim.Optimizer = kind(**{"lr": self.lr} | self._of("optimizer__"))
        if hasattr(self, "_optimizer_state"):
            made.load_state_dict(self._optimizer_state)
        return made

    def _train(self, samples: Samples, draw: Any) -> None:
        optimizer, criterion, encoded = self._optimizer(), self._criterion(), to_numpy(samples.y)
        training, held = samples, None
        if self.train_split:
            train, rest = train_test_split(
                np.arange(samples.n), test_size=self.train_split, random_state=draw,
                stratify=encoded if self.stratified else None,
            )  # fmt: skip
            training, held = samples.taken(train), samples.taken(rest)
        watch = Watch(self, self.callbacks or (), self.module_, optimizer, criterion, lambda: None)
        watch.trainer.history = self.history_ = type(watch.history)(self._history)
        watch.trainer.epoch = len(self._history)
        size = min(self.batch_size, training.n)
        watch.begin(training.n, size, None if held is None else (held.x, held.y))
        steps = Steps(self.module_, optimizer, criterion, watch=watch)
        step = program(steps, samples.home, self.compile)
        try:
            for order in self._orders(training.n, draw):
                watch.epoch()
                self.module_.train()
                numbers = {"loss": run_epoch(step, training, order, size, watch)}
                numbers |= self._validated(criterion, held)
                self._report(watch.after_epoch(numbers))
                if watch.stopping:
                    break
        finally:
            watch.end()
            self._history = watch.history.records
            state = optimizer.state_dict()
            self._optimizer_state = state | {"slots": {k: np.array(to_numpy(v)) for k, v in state["slots"].items()}}

    def _orders(self, n: int, draw: Any) -> Iterator[Host | None]:
        for _ in range(self.max_epochs):
            yield shuffle(np.arange(n), random_state=draw) if self.shuffle else None

    def _validated(self, criterion: Criterion, held: Samples | None) -> dict[str, float]:
        if held is None:
            return {}
        x, y, weight = held.whole()
        z = outputs(self.module_, x, held.home, None)
        name, score = self._score_of(to_numpy(y), z)
        return {"val_loss": float(criterion(z, y, weight)), name: score}

    def _report(self, record: dict[str, Any]) -> None:
        if self.verbose:
            hidden = ("epoch", "step", "lr", "seconds", "messages")
            numbers = "  ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in hidden)
            print(f"epoch {record['epoch']:3d}  {numbers}  {record['seconds']:.1f} s")

    @property
    def history(self) -> Any:
        """The records of the epochs: history["val_loss"] is a column."""
        return self.history_

    # ---- use -----------------------------------------------------------------------------------------------------

    def _forward(self, x: Any) -> Array:
        """The module's outputs, where they are computed."""
        check_is_fitted(self)
        x = checked(self, x, False, **self._accepts)
        home = home_of(x, self.backend, self.device)
        return outputs(self._moved(home), x, home, self.dtype)

    def _moved(self, home: Backend) -> Module:
        """The module on a backend; module_ itself, if that is NumPy."""
        if home.name == "numpy":
            return self.module_
        return copy.deepcopy(self.module_).to(home.name, home.device)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
