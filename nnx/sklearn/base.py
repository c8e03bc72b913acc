"""What scikit-learn's two MLPs share: from data to weights, and from weights to outputs.

The weights are `coefs_` and `intercepts_`, NumPy arrays: networks on a backend are made of them and put back into them,
so that a fitted estimator pickles, can be moved, and may be given other weights. Initial weights, shuffles and splits
are drawn as scikit-learn draws them: equal seeds give equal trainings, to rounding.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nnx import random
from nnx.backend import Backend, to_numpy
from nnx.sklearn.arrays import Host, checked, checked_pair, class_weights, float_dtype, home_of, weighed
from nnx.sklearn.checks import check_parameters, hidden
from nnx.sklearn.criteria import Criterion
from nnx.sklearn.loop import Samples, Steps, outputs
from nnx.sklearn.network import Network, initial
from nnx.sklearn.solvers import Stochastic, fit_lbfgs
from nnx.typing import Array

STOCHASTIC = ("sgd", "adam")


class BaseMLP(BaseEstimator):
    """See MLPClassifier and MLPRegressor."""

    n_outputs_: int
    out_activation_: str
    coefs_: list[Host]
    intercepts_: list[Host]
    _optimizer_state: dict[str, Any]
    best_loss_: float | None
    validation_scores_: Any
    validation_loss_curve_: Any
    best_validation_score_: Any

    # ---- what the two differ in ----------------------------------------------------------------------------------

    def _learn(self, y: Host, first: bool, incremental: bool) -> None:
        """Classes, n_outputs_ and out_activation_."""
        raise NotImplementedError

    def _encoded(self, y: Host) -> Host:
        """y as the criterion takes it."""
        raise NotImplementedError

    def _criterion(self) -> Criterion:
        raise NotImplementedError

    def _predicted(self, z: Array) -> Host | Array:
        """Predictions of outputs."""
        raise NotImplementedError

    def _score_of(self, y: Host, z: Array, weight: Host | None) -> float:
        raise NotImplementedError

    # ---- fitting -------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on X (n, features), dense or sparse, of any array library, and y (n,) or (n, outputs).

        sample_weight: (n,)   X_val, y_val: watched in validation_loss_curve_ and validation_scores_, and what early
        stopping looks at, in the place of a part of X
        """
        if X_val is None and not (y_val is None and sample_weight_val is None):
            raise ValueError("y_val and sample_weight_val belong to X_val, which is missing: fit(..., X_val=, y_val=)")
        given = None if X_val is None else (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given, incremental=False)

    def _fit(self, x: Any, y: Any, sample_weight: Any, given: Any, incremental: bool) -> Self:
        check_parameters(self)
        if self.solver == "lbfgs" and (self.callbacks or given is not None):
            raise ValueError("solver='lbfgs' has no epochs: callbacks and X_val need solver='adam' or 'sgd'")
        sizes = hidden(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, y = checked_pair(self, x, y, first, self._numeric, **self._accepts)
        self._learn(y, first, incremental)
        x, y, weight = weighed(x, y, sample_weight, *class_weights(self))
        home = home_of(x, self.backend, self.device)
        dtype = float_dtype(home, x, self.dtype)
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize([x.shape[1], *sizes, self.n_outputs_], dtype)
        self._keep_books(first)
        samples = Samples(home, x, self._encoded(y), weight, dtype)
        with self._seeded():
            self._train(samples, y, weight, self._validation(given, home, dtype), incremental)
        if not all(np.isfinite(w).all() for w in [*self.coefs_, *self.intercepts_]):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to "
                "be preprocessed."
            )
        return self

    def _train(
        self, samples: Samples, y: Host, weight: Host | None, given: tuple[Samples, Host, Any] | None, incremental: bool
    ) -> None:
        model = self._network(samples.home, dropout=self.dropout)
        if self.solver == "lbfgs":
            fit_lbfgs(self, Steps(model, None, self._criterion(), self.alpha), samples)
        else:
            Stochastic(self, model, incremental).fit(samples, y, weight, given)
        self._publish(model)

    def _publish(self, model: Network) -> None:
        self.coefs_, self.intercepts_ = model.coefs()

    def _initialize(self, sizes: Sequence[int], dtype: str) -> None:
        self.n_iter_, self.t_, self.n_layers_ = 0, 0, len(sizes)
        self.coefs_, self.intercepts_ = initial(sizes, self.activation, self._random_state, dtype)
        self.__dict__.pop("_optimizer_state", None)

    def _keep_books(self, first: bool) -> None:
        """What is written down epoch by epoch; a warm start may come from L-BFGS, or from early stopping."""
        if self.solver not in STOCHASTIC:
            return
        if first or not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
            self._no_improvement_count, self.best_loss_ = 0, None
            self.validation_scores_ = self.validation_loss_curve_ = self.best_validation_score_ = None
        if self.best_loss_ is None and not self.early_stopping:
            self.best_loss_ = np.inf

    def _validation(self, given: Any, home: Backend, dtype: str) -> tuple[Samples, Host, Any] | None:
        """The user's own validation samples: as samples, their targets and weights."""
        if given is None:
            return None
        x, y = checked_pair(self, given[0], given[1], False, self._numeric, **self._accepts)
        x, y, weight = weighed(x, y, given[2])
        return Samples(home, x, self._encoded(y), weight, dtype), y, weight

    def _seeded(self) -> AbstractContextManager[None]:
        """Dropout's masks from the estimator's own random state."""
        return random.scope(int(self._random_state.randint(2**31 - 1))) if self.dropout else nullcontext()

    _numeric = False

    @property
    def _accepts(self) -> dict[str, Any]:
        return {"accept_sparse": ["csr"], "dtype": (np.float64, np.float32), "order": "C"}

    # ---- partial_fit ---------------------------------------------------------------------------------------------

    def _stochastic(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---- use -----------------------------------------------------------------------------------------------------

    def _network(self, home: Backend, dropout: float = 0.0, own: bool = True) -> Network:
        return Network.of(self.coefs_, self.intercepts_, home, self.activation, dropout, own)

    def _outputs(self, x: Any) -> Array:
        """The outputs before the last activation, where they are computed."""
        check_is_fitted(self)
        x = checked(self, x, False, **self._accepts)
        home = home_of(x, self.backend, self.device)
        dtype = str(self.coefs_[0].dtype)
        return outputs(self._network(home, own=False), x, home, float_dtype(home, x, dtype))

    def _optimizer_saved(self, state: dict[str, Any]) -> None:
        self._optimizer_state = {**state, "slots": {path: np.array(to_numpy(s)) for path, s in state["slots"].items()}}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
