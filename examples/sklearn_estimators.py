"""nnx inside of scikit-learn: its MLP on any array library, with what it lacks, and any Module in a grid search.

First the same network, data and seed by scikit-learn and by nnx: equal to rounding. Then what scikit-learn's has no
parameter for: dropout, class weights, a validation loss curve, a callback. Then a Module of one's own, searched over.

    python examples/sklearn_estimators.py
"""

import pickle
import warnings

from sklearn import neural_network as theirs
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnx
from nnx.sklearn import MLPClassifier, NeuralNetClassifier

SMALL = {"hidden_layer_sizes": (32,), "max_iter": 20, "learning_rate_init": 0.005, "random_state": 0}


class Residual(nnx.Module):
    """Two layers, the second of which learns a difference. The data's sizes are filled in by the estimator."""

    def __init__(self, n_features_in, n_outputs, width=32):
        self.first, self.last = nnx.Linear(n_features_in, width), nnx.Linear(width, n_outputs)
        self.inner = nnx.Residual(nnx.Sequential(nnx.ReLU(), nnx.Linear(width, width)))

    def __call__(self, x):
        """Logits."""
        return self.last(nnx.functional.relu(self.inner(self.first(x))))


def side_by_side(data):
    """The test accuracies of scikit-learn's MLP and of nnx's."""
    x, test, y, labels = data
    found = [cls(**SMALL).fit(x, y) for cls in (theirs.MLPClassifier, MLPClassifier)]
    scores = [model.score(test, labels) for model in found]
    print(f"accuracy after {found[0].n_iter_} epochs: scikit-learn {scores[0]:.4f}, nnx {scores[1]:.4f}")
    pairs = zip(found[0].coefs_, found[1].coefs_, strict=True)
    print(f"weights differ by at most {max(abs(a - b).max() for a, b in pairs):.1e}")
    return scores


def enough(estimator, record):
    """A callback: called after each epoch, it ends the training by returning True."""
    return record["val_score"] > 0.97


def beyond(data):
    """Dropout, class weights, a validation curve and a callback that ends the training."""
    x, test, y, labels = data

    model = MLPClassifier(
        **SMALL | {"max_iter": 100}, dropout=0.1, class_weight="balanced", early_stopping=True, callbacks=[enough]
    )
    model.fit(x, y)
    curve = model.validation_loss_curve_
    print(f"\nwith dropout: {model.n_iter_} epochs, validation loss {curve[0]:.3f} to {curve[-1]:.3f}", end=", ")
    print(f"test accuracy {model.score(test, labels):.4f}")
    again = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    assert (again.predict(test) == model.predict(test)).all()
    return model


def search(data):
    """A Module in a pipeline in a grid search."""
    x, test, y, labels = data
    net = NeuralNetClassifier(Residual, optimizer="Adam", lr=0.01, max_epochs=8, verbose=False, random_state=0)
    grid = {"neuralnetclassifier__module__width": [4, 32], "neuralnetclassifier__optimizer__weight_decay": [0.0, 1e-4]}
    found = GridSearchCV(make_pipeline(StandardScaler(), net), grid, cv=2).fit(x, y)
    print(f"\nbest of {len(found.cv_results_['params'])}: {found.best_params_}")
    print(f"test accuracy {found.score(test, labels):.4f}")
    return found


def main():
    """All three; returns the accuracies of the first."""
    x, y = load_digits(return_X_y=True)
    data = train_test_split(x / 16.0, y, test_size=0.25, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs, so that it takes seconds
        scores = side_by_side(data)
        assert abs(scores[0] - scores[1]) < 0.01
        beyond(data)
        search(data)
    return scores


if __name__ == "__main__":
    main()
