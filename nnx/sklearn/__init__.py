"""scikit-learn's estimators, trained by nnx: its MLPs on any array library, and any Module as an estimator.

Loaded only on request: `import nnx` does not import scikit-learn.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("nnx.sklearn needs scikit-learn: pip install 'nnx-array[sklearn]'") from error

from nnx.sklearn.classifier import MLPClassifier
from nnx.sklearn.modules import NeuralNetClassifier, NeuralNetRegressor
from nnx.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NeuralNetClassifier", "NeuralNetRegressor"]
