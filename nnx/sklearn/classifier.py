"""MLPClassifier: scikit-learn's parameters, defaults and attributes, and what its users asked for."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from nnx import functional as F
from nnx.backend import namespace, to_numpy
from nnx.sklearn.arrays import Host, on_host, returned
from nnx.sklearn.base import BaseMLP
from nnx.sklearn.criteria import Criterion, custom, log_loss
from nnx.sklearn.network import ACTIVATIONS
from nnx.typing import Array


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A network that tells classes apart: sklearn.neural_network.MLPClassifier, trained by nnx on any array library.

    The parameters up to max_fun, their defaults and the fitted attributes are scikit-learn's (see its page). Beyond:

    loss: "log_loss", one of nnx.losses by name, a loss Module, or a function (logits, y). Such a loss gets logits
    (n, c) and labels (n,) from 0 to c - 1, also of two classes; of multilabel targets logits and 0.0 or 1.0 for each
    class_weight: a dict, or "balanced"   dropout: in [0, 1), behind every hidden layer
    callbacks: of nnx.train, or functions (estimator, record) that end the training by returning True
    backend, device: where to compute; None: where X lives, or for NumPy arrays on the active backend
    dtype: "float32" or "float64" to compute in; None: that of X   compile: give the steps to nnx.compile; None: on JAX
    validation_loss_curve_: an entry an epoch, without the penalty, with early_stopping or fit(..., X_val=, y_val=)

    Arrays in, arrays of the same library out; samples of weight 0 are left out.

    >>> from nnx.sklearn import MLPClassifier
    >>> x = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> MLPClassifier((8,), solver="lbfgs", random_state=1).fit(x, [0, 1, 1, 0]).predict(x)
    array([0, 1, 1, 0])
    """

    classes_: Host

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: float = 0.0,
        callbacks: Any = None,
        backend: str | None = None,
        device: Any = None,
        dtype: str | None = None,
        compile: bool | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.callbacks = callbacks
        self.backend = backend
        self.device = device
        self.dtype = dtype
        self.compile = compile

    # ---- what BaseMLP asks for -----------------------------------------------------------------------------------

    def _learn(self, y: Host, first: bool, incremental: bool) -> None:
        known = hasattr(self, "_label_binarizer") and (incremental or not first)
        if not known:
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_same(unique_labels(y))
        kind = self._label_binarizer.y_type_
        several = kind == "multiclass" or (kind == "binary" and self.loss != "log_loss")
        self.out_activation_ = "softmax" if several else "logistic"
        self.n_outputs_ = 1 if kind == "binary" and not several else len(self.classes_)

    def _check_same(self, found: Host) -> None:
        if self.warm_start and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )

    def _encoded(self, y: Host) -> Host:
        if len(np.setdiff1d(found := unique_labels(y), self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}."
            )
        if self.out_activation_ == "softmax":
            labels: Host = np.searchsorted(self.classes_, y).astype(np.int64)
            return labels
        found = self._label_binarizer.transform(y)
        ones: Host = (found.toarray() if hasattr(found, "toarray") else found).astype(np.float32)
        return ones

    def _criterion(self) -> Criterion:
        if isinstance(self.loss, str) and self.loss == "log_loss":
            return log_loss(self.out_activation_, self.n_outputs_)
        return custom(self.loss)

    def _predicted(self, z: Array) -> Host | Array:
        xp = namespace(z)
        if self.out_activation_ == "softmax":
            return self.classes_[to_numpy(xp.argmax(z, axis=1))]
        p = to_numpy(F.sigmoid(z))
        return self._label_binarizer.inverse_transform(p[:, 0] if self.n_outputs_ == 1 else p)

    def _score_of(self, y: Host, z: Array, weight: Host | None) -> float:
        if not np.isfinite(to_numpy(z)).all():
            return float("nan")
        return float(accuracy_score(y, self._predicted(z), sample_weight=weight))

    # ---- use -----------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """The likeliest class of each sample, (n,); multilabel: 0 or 1 for each label, (n, labels)."""
        return returned(self._predicted(self._outputs(X)), X)

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, in the order of classes_, (n, classes)."""
        z = self._outputs(X)
        p = ACTIVATIONS[self.out_activation_](z)
        if self.n_outputs_ == 1:
            p = namespace(p).concat([F.sigmoid(-z), p], axis=1)  # 1 - p would be 0 for all that is small
        return returned(p, X)

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of predict_proba, without a logarithm of 0."""
        z = self._outputs(X)
        if self.out_activation_ == "softmax":
            return returned(F.log_softmax(z, 1), X)
        p = F.logsigmoid(z)
        return returned(namespace(p).concat([F.logsigmoid(-z), p], axis=1) if self.n_outputs_ == 1 else p, X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of samples that are classified right."""
        return float(accuracy_score(on_host(y), on_host(self.predict(X)), sample_weight=on_host(sample_weight)))

    @available_if(lambda self: self._stochastic())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch over these samples. classes: all that there will ever be, for the first call."""
        if not hasattr(self, "classes_"):
            y = on_host(y)
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else unique_labels(classes))
            self.classes_ = self._label_binarizer.classes_
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return self._fit(X, y, sample_weight, None, incremental=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
