"""What a model is: weights as images, the diagram, and a slice of its loss."""

import numpy as np
import pytest

import nnx
from nnx import plot
from nnx.plot.surface import filter_normalised, loss_slice
from tests.plot.pictures import network, points

# ---- weights ---------------------------------------------------------------------------------------------------------


def test_weight_images_of_a_linear_layer():
    layer = nnx.Linear(9, 5)
    w = nnx.to_numpy(layer.weight).astype("float64")
    ax = plot.weight_images(nnx.Sequential(nnx.Flatten(), layer), columns=2)
    found = ax.images[0].get_array()
    assert found.shape == (9, 6)
    for k in range(5):
        row, column = divmod(k, 2)
        np.testing.assert_array_equal(found[3 * row : 3 * row + 3, 3 * column : 3 * column + 3], w[k].reshape(3, 3))
    assert found.mask[6:, 3:].all(), "the place that is left over is empty"
    assert ax.get_title() == "1.weight: 5 units, 3 × 3"
    top = np.abs(w).max()
    assert ax.images[0].get_clim() == (-top, top), "0 is in the middle"
    assert len(ax.lines) == 5
    assert plot.weight_images(layer, limit=3).get_title() == "weight: 3 of 5 units, 3 × 3"


def test_zero_is_transparent_and_signs_have_colours():
    cmap = plot.weight_images(np.eye(4)).images[0].cmap
    low, middle, high = cmap(0.0), cmap(0.5), cmap(1.0)
    assert (low[3], round(middle[3], 2), high[3]) == (1.0, 0.0, 1.0)
    assert low[0] > low[2]
    assert high[2] > high[0]


def test_weight_images_of_a_convolution():
    grey = nnx.Conv2d(2, 3, (4, 5))
    w = nnx.to_numpy(grey.weight)
    ax = plot.weight_images(grey, columns=3)
    assert ax.get_title() == "weight: 6 filters by input channel, 4 × 5"
    np.testing.assert_allclose(ax.images[0].get_array()[4:, 5:10], w[2, 0])
    colour = nnx.Conv2d(3, 2, 4)
    w = nnx.to_numpy(colour.weight)
    ax = plot.weight_images(colour, columns=1)
    found = np.asarray(ax.images[0].get_array())
    assert found.shape == (8, 4, 3)
    assert (found.min(), found.max()) == (0.0, 1.0)
    expected = (w[1, 2] - w[1].min()) / (w[1].max() - w[1].min())
    np.testing.assert_allclose(found[4:, :, 2], expected, rtol=1e-5)
    assert plot.weight_images(nnx.Conv1d(2, 3, 4)).images[0].get_array().shape == (6, 4)


def test_weight_images_of_rows_and_of_given_shapes():
    ax = plot.weight_images(nnx.Linear(7, 3))
    assert ax.images[0].get_array().shape == (3, 7), "the matrix itself"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "unit")
    assert plot.weight_images(nnx.Linear(12, 4), shape=(3, 4), columns=1).images[0].get_array().shape == (12, 4)
    assert plot.weight_images(nnx.Linear(12, 4), shape=(3, 2, 2), columns=4).images[0].get_array().shape == (2, 8, 3)
    assert plot.weight_images(np.zeros((2, 4))).images[0].get_clim() == (-1.0, 1.0), "nothing to divide by"
    with pytest.raises(ValueError, match=r"weight has 12 weights a unit, expected shape=.* of as many, got \(5, 5\)"):
        plot.weight_images(nnx.Linear(12, 4), shape=(5, 5))
    with pytest.raises(ValueError, match="ReLU has no weight of two or more axes"):
        plot.weight_images(nnx.ReLU())


def test_the_first_weight_is_no_class_token():
    model = nnx.models.ViT(8, 4, 1, 1, 16, 32, num_classes=3, in_channels=1)
    assert plot.weight_images(model).get_title().startswith("conv_proj.weight: 16 filters")


# ---- diagram ---------------------------------------------------------------------------------------------------------


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_diagram_of_a_stack_of_linear_layers():
    model = network()
    ax = plot.network_diagram(model)
    assert ax.get_title() == "Sequential, 27 parameters"
    assert [text for text in texts(ax) if text.isdigit()] == ["2", "4", "3"]
    assert {"input", "Linear\nTanh\nDropout", "Linear"} <= set(texts(ax))
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 4, 3]
    first, second = (collection.get_segments() for collection in ax.collections)
    assert (len(first), len(second)) == (8, 12)
    w = nnx.to_numpy(model.layers[0].weight)
    colors = ax.collections[0].get_colors().reshape(4, 2, 4)
    np.testing.assert_allclose(colors[..., 3], np.abs(w) / np.abs(w).max(), rtol=1e-6)
    assert ((colors[..., 2] > colors[..., 0]) == (w > 0)).all(), "blue if positive, vermilion if negative"


def test_diagram_of_wide_layers_leaves_neurons_out():
    model = nnx.Sequential(nnx.Linear(50, 11), nnx.ReLU(), nnx.Linear(11, 10))
    ax = plot.network_diagram(model)
    assert texts(ax).count("⋮") == 2
    assert [len(line.get_xdata()) for line in ax.lines] == [8, 8, 10]
    w = nnx.to_numpy(model.layers[0].weight)
    part = np.abs(w[np.ix_([0, 1, 2, 3, 7, 8, 9, 10], [0, 1, 2, 3, 46, 47, 48, 49])])
    alphas = ax.collections[0].get_colors()[:, 3].reshape(8, 8)
    np.testing.assert_allclose(alphas, part / part.max(), rtol=1e-6)
    for line in ax.lines:
        assert len(set(line.get_ydata())) == len(line.get_ydata()), "no two in one place"


def test_diagram_of_other_models():
    model = nnx.Sequential(nnx.Conv2d(1, 2, 3), nnx.ReLU(), nnx.Flatten(), nnx.Linear(72, 5))
    with pytest.raises(
        ValueError, match=r"the first layer of Sequential is not Linear: .*input_shape=\(1, 3, 32, 32\)"
    ):
        plot.network_diagram(model)
    ax = plot.network_diagram(model, input_shape=(1, 1, 8, 8))
    found = [text for text in texts(ax) if text]
    assert found == [
        "input\n1 × 8 × 8",
        "Conv2d\n0\n2 × 6 × 6 · 20 parameters",
        "ReLU\n1\n2 × 6 × 6",
        "Flatten\n2\n72",
        "Linear\n3\n5 · 365 parameters",
    ]
    assert len(ax.patches) == 5
    assert len(ax.texts) - len(found) == 4, "an arrow to each but the first"


def test_diagram_of_a_residual_network_is_no_stack():
    model = nnx.Sequential(nnx.Linear(4, 4), nnx.Residual(nnx.Sequential(nnx.Linear(4, 4), nnx.ReLU())))
    assert "Linear\n1.module.0\n4 · 20 parameters" in texts(plot.network_diagram(model))


def test_diagram_leaves_the_model_as_it_was():
    model = nnx.Sequential(nnx.Linear(3, 3), nnx.BatchNorm1d(3), nnx.Dropout(0.5))
    before = {path: nnx.to_numpy(x).copy() for path, x in model.state_dict().items()}
    plot.network_diagram(model)
    assert all((nnx.to_numpy(x) == before[path]).all() for path, x in model.state_dict().items())
    assert all(layer.training for layer in model.modules())


# ---- loss surface ----------------------------------------------------------------------------------------------------


def cost(model, x, y):
    return float(nnx.losses.cross_entropy(model(nnx.asarray(x)), nnx.asarray(y)))


def test_directions_have_the_norms_of_the_filters():
    weights = {"w": np.random.default_rng(1).normal(size=(4, 3, 2)), "zero": np.zeros((2, 2)), "bias": np.ones(4)}
    found = filter_normalised(weights, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(found["w"], axis=(1, 2)), np.linalg.norm(weights["w"], axis=(1, 2)))
    assert not found["zero"].any()
    assert not found["bias"].any(), "Li et al. leave biases where they are"


def test_loss_slice_is_the_loss_of_moved_weights():
    model, (x, y) = network(), points()
    found = loss_slice(model, nnx.losses.cross_entropy, x, y, steps=5, span=0.5, seed=3)
    model.eval()
    assert found.center == pytest.approx(cost(model, x, y))
    own = {path: nnx.to_numpy(w).astype("float64") for path, w in model.named_parameters()}
    rng = np.random.Generator(np.random.Philox(3))
    first, second = filter_normalised(own, rng), filter_normalised(own, rng)
    for i, j in ((0, 0), (4, 1), (2, 3)):
        a, b = found.offsets[i], found.offsets[j]
        moved = {path: nnx.asarray(w + a * first[path] + b * second[path], "float32") for path, w in own.items()}
        model.update(moved)
        assert found.losses[j, i] == pytest.approx(cost(model, x, y), rel=1e-5)


def test_loss_surface_draws_the_slice():
    model, (x, y) = network(), points()
    ax = plot.loss_surface(model, nnx.losses.cross_entropy, x, y, steps=5)
    found = loss_slice(model, nnx.losses.cross_entropy, x, y, steps=5)
    assert ax.collections[0].get_clim()[0] <= found.losses.min() < found.losses.max() <= ax.collections[0].get_clim()[1]
    assert ax.lines[0].get_label() == f"trained weights, {found.center:.4g}"
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [0.0]
    again = plot.loss_surface(model, nnx.losses.cross_entropy, x, y, steps=5, seed=1)
    assert again.collections[0].get_clim() != ax.collections[0].get_clim(), "other directions"


@pytest.mark.parametrize("fails", [False, True])
def test_the_weights_are_put_back_to_the_bit(fails):
    """By identity, shared and frozen ones, buffers and modes too; also if the loss raises in the middle."""
    model = nnx.Sequential(nnx.Linear(2, 4), nnx.BatchNorm1d(4), nnx.Linear(4, 4), nnx.Linear(4, 4), nnx.Linear(4, 3))
    model.layers[3].weight = model.layers[2].weight
    model.layers[0].freeze()
    model.layers[2].eval()
    places = [(slot.owner, slot.name, slot.owner[slot.name]) for slot in model._layout().slots]
    bits = {path: nnx.to_numpy(w).tobytes() for path, w in model.state_dict().items()}
    modes = [layer.training for layer in model.modules()]
    calls = []

    def loss(output, target):
        calls.append(model.layers[3].weight is model.layers[2].weight)
        if fails and len(calls) == 5:
            raise RuntimeError("in the middle")
        return nnx.losses.cross_entropy(output, target)

    x, y = points()
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            plot.loss_surface(model, loss, x, y, steps=3)
    else:
        plot.loss_surface(model, loss, x, y, steps=3)
        assert len(calls) == 9
    assert all(calls), "a shared weight moves as one"
    assert all(owner[name] is array for owner, name, array in places)
    assert {path: nnx.to_numpy(w).tobytes() for path, w in model.state_dict().items()} == bits
    assert [layer.training for layer in model.modules()] == modes
    assert "0.weight" not in model.trainable()


def test_a_loss_that_overflows_is_left_blank():
    model, (x, y) = network(), points()

    def loss(output, target):
        value = nnx.losses.cross_entropy(output, target)
        return value * float("inf") if float(value) > low else value

    model.eval()
    low = cost(model, x, y) + 1e-3
    ax = plot.loss_surface(model, loss, x, y, steps=5)
    ax.figure.draw_without_rendering()
    with pytest.raises(ValueError, match="the loss is finite nowhere"):
        plot.loss_surface(model, lambda output, target: nnx.losses.cross_entropy(output, target) * float("nan"), x, y)


def test_a_flat_loss_and_a_steep_one():
    model, (x, y) = network(), points()
    plot.loss_surface(model, lambda output, target: output[0, 0] * 0.0, x, y, steps=3).figure.draw_without_rendering()
    ax = plot.loss_surface(model, lambda output, target: output[0, 0] * 1e-4 + 1000.0, x, y, steps=3)
    labels = [text.get_text() for text in ax.figure.axes[1].get_yticklabels()]
    assert len(set(labels)) == len(labels), "no two numbers of the scale look alike"
    ax = plot.loss_surface(model, lambda output, target: nnx.namespace(output).exp(9.0 * output[0, 0]), x, y, steps=5)
    assert type(ax.collections[0].norm).__name__ == "LogNorm", "where the loss spans more than a factor of 20"


@pytest.mark.parametrize("options", [{"steps": 4}, {"steps": 1}, {"span": 0.0}, {"span": float("inf")}])
def test_loss_surface_of_bad_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"loss_surface: {name} must be"):
        plot.loss_surface(network(), nnx.losses.cross_entropy, *points(), **options)
