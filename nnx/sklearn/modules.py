"""Any Module as a scikit-learn estimator, by skorch's names: NeuralNetClassifier and NeuralNetRegressor."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from nnx import functional as F
from nnx.backend import namespace, to_numpy
from nnx.sklearn.arrays import Host, on_host, returned
from nnx.sklearn.criteria import Criterion
from nnx.sklearn.net import NeuralNet
from nnx.typing import Array


class NeuralNetClassifier(ClassifierMixin, NeuralNet):
    """A Module that returns logits (n, c), trained on labels of any kind.

    module: a Module's class, an instance, or a function that returns one; what it is called with are module__...
    parameters and, if it has arguments of these names, n_features_in and n_outputs (the number of classes)
    criterion: one of nnx.losses by name, a loss Module or its class (criterion__...), or a function (logits, labels)
    optimizer: one of nnx.optim by name, or its class (optimizer__...)   lr: its learning rate
    train_split: the share of the samples to validate on, in [0, 1), by class; None for none
    predict_nonlinearity: of logits to probabilities, "auto" is softmax; None if the module returns probabilities
    class_weight: a dict or "balanced"   callbacks, backend, device, compile: as MLPClassifier's
    dtype: of inputs and parameters; None leaves the inputs as they are (integers for an embedding)
    history_: the records of the epochs   module_: the trained module   classes_: the labels

    >>> import nnx
    >>> from nnx.sklearn import NeuralNetClassifier
    >>> class Net(nnx.Module):
    ...     def __init__(self, n_features_in, n_outputs, width=8):
    ...         self.layers = nnx.Sequential(nnx.Linear(n_features_in, width), nnx.ReLU(), nnx.Linear(width, n_outputs))
    ...     def __call__(self, x):
    ...         return self.layers(x)
    >>> net = NeuralNetClassifier(Net, module__width=16, optimizer="Adam", lr=0.05, max_epochs=60, train_split=None,
    ...                           verbose=False, random_state=0)
    >>> x = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> net.fit(x, ["no", "yes", "yes", "no"]).predict(x).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    classes_: Host
    stratified: ClassVar[bool] = True

    def __init__(
        self,
        module: Any,
        criterion: Any = "cross_entropy",
        optimizer: Any = "SGD",
        lr: float = 0.01,
        max_epochs: int = 10,
        batch_size: int = 128,
        train_split: float | None = 0.2,
        callbacks: Any = None,
        warm_start: bool = False,
        verbose: bool = True,
        predict_nonlinearity: Any = "auto",
        class_weight: Any = None,
        shuffle: bool = True,
        random_state: Any = None,
        backend: str | None = None,
        device: Any = None,
        dtype: str | None = "float32",
        compile: bool | None = None,
        **kwargs: Any,
    ) -> None:
        self.module, self.criterion, self.optimizer, self.lr = module, criterion, optimizer, lr
        self.max_epochs, self.batch_size, self.train_split = max_epochs, batch_size, train_split
        self.callbacks, self.warm_start, self.verbose, self.shuffle = callbacks, warm_start, verbose, shuffle
        self.predict_nonlinearity, self.class_weight = predict_nonlinearity, class_weight
        self.random_state, self.backend, self.device, self.dtype = random_state, backend, device, dtype
        self.compile = compile
        self._take(kwargs)

    def _learn(self, y: Host, classes: Any = None) -> None:
        check_classification_targets(y)
        if y.ndim != 1:
            raise ValueError(f"NeuralNetClassifier expects labels (n,), got shape {y.shape}")
        self.classes_ = unique_labels(y) if classes is None else np.asarray(unique_labels(classes))

    def _encoded(self, y: Host) -> Host:
        if len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(f"y has classes {unknown}, which are not among those of the first fit, {self.classes_}")
        labels: Host = np.searchsorted(self.classes_, y).astype(np.int64)
        return labels

    def _outputs_wanted(self, y: Host) -> int:
        return len(self.classes_)

    def _score_of(self, y: Host, z: Array) -> tuple[str, float]:
        return "val_acc", float(accuracy_score(y, to_numpy(namespace(z).argmax(z, axis=1))))

    def predict(self, X: Any) -> Any:
        """The likeliest class of each sample, (n,)."""
        z = self._forward(X)
        return returned(self.classes_[to_numpy(namespace(z).argmax(z, axis=1))], X)

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, in the order of classes_, (n, classes)."""
        z, f = self._forward(X), self.predict_nonlinearity
        if f is None:
            return returned(z, X)
        return returned(F.softmax(z, 1) if isinstance(f, str) and f == "auto" else f(z), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of samples that are classified right."""
        return float(accuracy_score(on_host(y), on_host(self.predict(X)), sample_weight=on_host(sample_weight)))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go on training for max_epochs. classes: all that there will ever be, for the first call."""
        return self._fit(X, y, sample_weight, anew=not hasattr(self, "module_"), classes=classes)


class NeuralNetRegressor(RegressorMixin, NeuralNet):
    """A Module that returns numbers (n, outputs) or (n,). Parameters and attributes are NeuralNetClassifier's.

    criterion: its targets have the shape (n, outputs), (n, 1) for y (n,)

    >>> import nnx
    >>> from nnx.sklearn import NeuralNetRegressor
    >>> net = NeuralNetRegressor(nnx.Linear(1, 1), lr=0.1, max_epochs=200, train_split=None, verbose=False)
    >>> net.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(1)
    array([7.], dtype=float32)
    """

    def __init__(
        self,
        module: Any,
        criterion: Any = "mse_loss",
        optimizer: Any = "SGD",
        lr: float = 0.01,
        max_epochs: int = 10,
        batch_size: int = 128,
        train_split: float | None = 0.2,
        callbacks: Any = None,
        warm_start: bool = False,
        verbose: bool = True,
        shuffle: bool = True,
        random_state: Any = None,
        backend: str | None = None,
        device: Any = None,
        dtype: str | None = "float32",
        compile: bool | None = None,
        **kwargs: Any,
    ) -> None:
        self.module, self.criterion, self.optimizer, self.lr = module, criterion, optimizer, lr
        self.max_epochs, self.batch_size, self.train_split = max_epochs, batch_size, train_split
        self.callbacks, self.warm_start, self.verbose, self.shuffle = callbacks, warm_start, verbose, shuffle
        self.random_state, self.backend, self.device, self.dtype = random_state, backend, device, dtype
        self.compile = compile
        self._take(kwargs)

    _numeric = True

    def _encoded(self, y: Host) -> Host:
        return np.asarray(y.reshape(-1, 1) if y.ndim == 1 else y, float)

    def _outputs_wanted(self, y: Host) -> int:
        self._flat = y.ndim == 1
        return 1 if y.ndim == 1 else y.shape[1]

    def _criterion(self) -> Criterion:
        inner = super()._criterion()
        mean, each = (lambda z, y, f=f: f(_columns(z), y) for f in (inner.mean, inner.each))
        return Criterion(inner.name, mean, each)

    def _score_of(self, y: Host, z: Array) -> tuple[str, float]:
        found = to_numpy(z)
        return "val_r2", float(r2_score(y, found)) if np.isfinite(found).all() and len(y) > 1 else float("nan")

    def predict(self, X: Any) -> Any:
        """The predicted numbers, (n,) or (n, outputs), as y was."""
        z = self._forward(X)
        return returned(namespace(z).reshape(z, (-1,)) if self._flat else z, X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², the share of the variance that is explained."""
        return float(r2_score(on_host(y), on_host(self.predict(X)), sample_weight=on_host(sample_weight)))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on training for max_epochs."""
        return self._fit(X, y, sample_weight, anew=not hasattr(self, "module_"))


def _columns(z: Array) -> Array:
    """Numbers (n,) as (n, 1), which is what their targets are."""
    return namespace(z).reshape(z, (-1, 1)) if z.ndim == 1 else z
