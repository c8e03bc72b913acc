"""MLPRegressor: scikit-learn's parameters, defaults and attributes, and what its users asked for."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from nnx.backend import namespace, to_numpy
from nnx.sklearn.arrays import Host, on_host, returned
from nnx.sklearn.base import BaseMLP
from nnx.sklearn.criteria import Criterion, of_regression
from nnx.sklearn.network import ACTIVATIONS
from nnx.typing import Array


class MLPRegressor(RegressorMixin, BaseMLP):
    """A network that finds numbers: sklearn.neural_network.MLPRegressor, trained by nnx on any array library.

    loss: "squared_error", "poisson" (the output is then a logarithm), one of nnx.losses by name, a loss Module, or a
    function (output, y), both (n, outputs). The other parameters are those of MLPClassifier, but for class_weight.

    >>> from nnx.sklearn import MLPRegressor
    >>> model = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0)
    >>> model.fit([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]).predict([[1.5]]).round(1)
    array([4.])
    """

    def __init__(
        self,
        loss: Any = "squared_error",
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
        dropout: float = 0.0,
        callbacks: Any = None,
        backend: str | None = None,
        device: Any = None,
        dtype: str | None = None,
        compile: bool | None = None,
    ) -> None:
        self.loss = loss
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
        self.dropout = dropout
        self.callbacks = callbacks
        self.backend = backend
        self.device = device
        self.dtype = dtype
        self.compile = compile

    # ---- what BaseMLP asks for -----------------------------------------------------------------------------------

    _numeric = True

    def _learn(self, y: Host, first: bool, incremental: bool) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "exp" if isinstance(self.loss, str) and self.loss == "poisson" else "identity"

    def _encoded(self, y: Host) -> Host:
        return np.asarray(y.reshape(-1, 1) if y.ndim == 1 else y, float)

    def _criterion(self) -> Criterion:
        return of_regression(self.loss, self.n_outputs_)

    def _predicted(self, z: Array) -> Host | Array:
        y = ACTIVATIONS[self.out_activation_](z)
        return namespace(y).reshape(y, (-1,)) if self.n_outputs_ == 1 else y

    def _score_of(self, y: Host, z: Array, weight: Host | None) -> float:
        predicted = to_numpy(self._predicted(z))
        return float(r2_score(y, predicted, sample_weight=weight)) if np.isfinite(predicted).all() else float("nan")

    # ---- use -----------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """The predicted numbers, (n,) or (n, outputs)."""
        return returned(self._predicted(self._outputs(X)), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², the share of the variance that is explained."""
        return float(r2_score(on_host(y), on_host(self.predict(X)), sample_weight=on_host(sample_weight)))

    @available_if(lambda self: self._stochastic())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these samples."""
        return self._fit(X, y, sample_weight, None, incremental=True)
