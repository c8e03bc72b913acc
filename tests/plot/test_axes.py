"""Where pictures are drawn: on axes of the user's, or on a figure that pyplot does not know of."""

import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import nnx
from nnx import plot
from tests.plot.pictures import PICTURES, network, points


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_of_its_own(name):
    """It is laid out without a warning, has a title and labels, and pyplot has not heard of it."""
    before, settings = pyplot.get_fignums(), dict(mpl.rcParams)
    ax = PICTURES[name](None)
    ax.figure.draw_without_rendering()
    assert ax.get_title()
    if ax.axison and name != "weight_images":
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    assert pyplot.get_fignums() == before
    assert dict(mpl.rcParams) == settings


@pytest.mark.parametrize("name", PICTURES)
def test_on_the_users_axes(name):
    """One of two of a figure; the other stays empty, and what was drawn before stays."""
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    (line,) = left.plot([0.0, 1.0], [0.0, 1.0])
    assert PICTURES[name](left) is left
    assert line in left.lines
    assert len(left.get_children()) > len(right.get_children())
    assert not right.lines
    assert not right.get_title()


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_axes_is_refused(name):
    with pytest.raises(TypeError, match=r"expected ax to be one matplotlib Axes, got ndarray: figure, ax = "):
        PICTURES[name](Figure().subplots(1, 2))


def test_text_has_the_colour_of_the_users_style():
    with mpl.rc_context({"text.color": "#ff00ff"}):
        ax = plot.confusion_matrix([[9, 1], [2, 8]])
        colors = {text.get_text(): text.get_color() for text in ax.texts}
        assert colors == {"9": "white", "8": "white", "1": "#ff00ff", "2": "#ff00ff"}, "white on strong blue"
        assert {text.get_color() for text in plot.network_diagram(network()).texts} == {"#ff00ff"}


def test_every_name_is_a_picture():
    assert set(PICTURES) == set(plot.__all__)
    assert set(plot.__all__) <= set(dir(plot))
    with pytest.raises(AttributeError, match=r"'nnx\.plot' has no attribute 'nothing': there is confusion_matrix, "):
        plot.nothing  # noqa: B018


def test_matplotlib_is_asked_for_when_a_picture_is():
    """`import nnx` and `nnx.plot` do without; then the message says what to install."""
    code = (
        "import sys, nnx; nnx.plot; print('matplotlib' in sys.modules); sys.modules['matplotlib'] = None\n"
        "try: nnx.plot.learning_curves\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "nnx.plot needs matplotlib: pip install 'nnx-array[plot]'"]


def test_arrays_of_every_backend(backend):
    """Each picture takes the arrays and models of the active backend, and leaves them there."""
    model, (x, y) = network(), points()
    x, y = nnx.asarray(x), nnx.asarray(y)
    before = [id(p) for p in model.parameters()]
    scores = nnx.functional.softmax(model(x), 1)
    assert plot.confusion_matrix(scores, y).images[0].get_array().sum() == 12
    assert len(plot.reliability_curve(scores, y, bins=5).patches) == 5
    assert plot.decision_boundary(model, x, y, steps=5).images[0].get_array().shape == (5, 5)
    assert plot.weight_images(model).images[0].get_array().shape == (4, 2)
    assert plot.network_diagram(model).get_title() == "Sequential, 27 parameters"
    assert plot.loss_surface(model, nnx.losses.cross_entropy, x, y, steps=3).collections
    assert plot.prediction_error(x[:, 0], x[:, 1]).lines[1].get_xdata().shape == (12,)
    assert [id(p) for p in model.parameters()] == before
