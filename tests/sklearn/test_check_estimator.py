"""scikit-learn's own list of checks: small networks on every run; the defaults, L-BFGS and any Module when slow."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

from sklearn.utils.estimator_checks import parametrize_with_checks

from nnx.sklearn import MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor
from tests.sklearn.nets import Net

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger"),
]
SMALL = {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.03}
ANY = {"optimizer": "Adam", "lr": 0.02, "max_epochs": 60, "train_split": None, "verbose": False, "dtype": "float64"}
KWARGS = "it gives every argument of __init__, 'kwargs' too, and an unknown parameter is refused"


def expected(estimator):
    """What cannot hold: one check does not know of **kwargs (skorch fails it, too)."""
    nets = NeuralNetClassifier | NeuralNetRegressor
    return {"check_do_not_raise_errors_in_init_or_set_params": KWARGS} if isinstance(estimator, nets) else {}


@parametrize_with_checks([MLPClassifier(**SMALL), MLPRegressor(**SMALL)])
def test_small_networks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPClassifier(solver="lbfgs", alpha=0.1),
        MLPRegressor(solver="lbfgs"),
        NeuralNetClassifier(Net, **ANY),
        NeuralNetRegressor(Net, **ANY),
    ],
    expected_failed_checks=expected,
)
def test_others(estimator, check):
    check(estimator)
