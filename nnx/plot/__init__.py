"""nnx.plot: pictures of a training, of a model and of what it says, drawn by matplotlib.

Every function takes data (arrays of any backend, a History, a run's folder, a model) and an optional `ax`, and returns
the Axes, for you to go on with. Without `ax` it draws on a Figure of its own, which pyplot does not know of: no window
is opened, no backend chosen, nothing has to be closed, and pyplot's current figure stays what it is.

    nnx.plot.learning_curves(history).figure.savefig("curves.png")
    figure, ax = plt.subplots(); nnx.plot.confusion_matrix(scores, labels, ax)     # on a figure of yours

Text and frames have the colours of your rcParams or style. Colours that mean something are Okabe and Ito's, which
people with any kind of colour vision can tell apart, and a marker, a dash or a number says the same once more.
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "confusion_matrix",
    "decision_boundary",
    "gradient_flow",
    "learning_curves",
    "loss_surface",
    "network_diagram",
    "prediction_error",
    "reliability_curve",
    "weight_images",
]

if TYPE_CHECKING:
    from nnx.plot.boundary import decision_boundary
    from nnx.plot.calibration import calibration_of as calibration_of
    from nnx.plot.calibration import reliability_curve
    from nnx.plot.canvas import plain as plain
    from nnx.plot.confusion import confusion_matrix
    from nnx.plot.curves import gradient_flow, learning_curves
    from nnx.plot.curves import records_of as records_of
    from nnx.plot.diagram import network_diagram
    from nnx.plot.errors import prediction_error
    from nnx.plot.surface import loss_surface
    from nnx.plot.weights import weight_images

_WHERE = {  # and what nnx report needs besides
    "calibration_of": "calibration",
    "confusion_matrix": "confusion",
    "decision_boundary": "boundary",
    "gradient_flow": "curves",
    "learning_curves": "curves",
    "loss_surface": "surface",
    "network_diagram": "diagram",
    "plain": "canvas",
    "prediction_error": "errors",
    "records_of": "curves",
    "reliability_curve": "calibration",
    "weight_images": "weights",
}


def __getattr__(name: str) -> Any:
    """matplotlib is needed when the first picture is asked for, not before."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nnx.plot' has no attribute '{name}': there is {', '.join(__all__)}")
    try:
        return getattr(importlib.import_module(f"nnx.plot.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ModuleNotFoundError("nnx.plot needs matplotlib: pip install 'nnx-array[plot]'") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
