"""Layers of convolution, pooling, padding and resizing: torch's names and states, the same outputs, and training."""

import functools

import numpy as np
import pytest

import nnx
from nnx import functional as F
from tests.functional.compiled import skip_many_shapes
from tests.oracle import torch
from tests.support import assert_close, assert_same

# name, its arguments, the shape of x: of nnx and of torch alike
LAYERS = [
    ("Conv1d", (4, 6, 3), {"padding": 1, "groups": 2}, (2, 4, 7)),
    ("Conv2d", (4, 6, 3), {"stride": 2, "padding": (1, 2), "bias": False}, (2, 4, 7, 6)),
    ("Conv2d", (4, 6, (3, 2)), {"padding": (1, 2), "padding_mode": "reflect"}, (2, 4, 7, 6)),
    ("Conv2d", (4, 6, 3), {"padding": "same", "padding_mode": "circular"}, (2, 4, 7, 6)),
    ("Conv2d", (4, 6, 3), {"padding": "valid", "padding_mode": "replicate"}, (2, 4, 7, 6)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "replicate", "dilation": 3}, (2, 4, 17)),
    ("Conv3d", (2, 3, 2), {"padding": 1, "padding_mode": "replicate"}, (1, 2, 3, 4, 3)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 5)),
    ("ConvTranspose2d", (4, 6, 3), {"stride": (2, 1), "padding": 1, "groups": 2}, (2, 4, 3, 4)),
    ("ConvTranspose2d", (4, 6, 2), {"stride": 2, "bias": False, "dilation": 2}, (4, 3, 4)),
    ("ConvTranspose3d", (2, 3, 2), {"stride": 2}, (1, 2, 2, 3, 2)),
    ("MaxPool1d", (3,), {"stride": 2, "ceil_mode": True}, (2, 3, 8)),
    ("MaxPool2d", (2,), {}, (2, 3, 6, 8)),
    ("MaxPool3d", ((1, 2, 2),), {"dilation": (1, 1, 2)}, (1, 2, 4, 4, 6)),
    ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, (2, 3, 9)),
    ("AvgPool2d", (2,), {"divisor_override": 3}, (2, 3, 6, 8)),
    ("AvgPool3d", (2,), {"stride": 1, "ceil_mode": True}, (1, 2, 4, 4, 6)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveAvgPool2d", ((1, None),), {}, (2, 3, 7, 8)),
    ("AdaptiveAvgPool3d", (1,), {}, (1, 2, 4, 4, 6)),
    ("AdaptiveMaxPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool2d", ((3, 5),), {}, (2, 3, 7, 8)),
    ("AdaptiveMaxPool3d", (2,), {}, (1, 2, 4, 4, 6)),
    ("LPPool1d", (2, 3), {}, (2, 3, 9)),
    ("LPPool2d", (2, 3), {"stride": 1}, (2, 3, 7, 8)),
    ("LPPool3d", (2, 2), {}, (1, 2, 4, 4, 6)),
    ("ConstantPad1d", ((1, 2), 3.5), {}, (2, 3, 4)),
    ("ConstantPad2d", (2, -1.0), {}, (2, 3, 4, 5)),
    ("ConstantPad3d", ((1, 0, 2, 1, 0, 1), 0.5), {}, (1, 2, 3, 2, 2)),
    ("ZeroPad1d", (2,), {}, (2, 3, 4)),
    ("ZeroPad2d", ((1, 2, -1, 0),), {}, (2, 3, 4, 5)),
    ("ZeroPad3d", (1,), {}, (1, 2, 3, 2, 2)),
    ("ReflectionPad1d", (2,), {}, (2, 3, 4)),
    ("ReflectionPad2d", ((1, 2, 3, 0),), {}, (2, 3, 4, 5)),
    ("ReflectionPad3d", (1,), {}, (1, 2, 3, 2, 2)),
    ("ReplicationPad1d", (2,), {}, (3, 4)),
    ("ReplicationPad2d", ((1, 2, 3, 0),), {}, (2, 3, 4, 5)),
    ("ReplicationPad3d", (1,), {}, (1, 2, 3, 2, 2)),
    ("CircularPad1d", (2,), {}, (2, 3, 4)),
    ("CircularPad2d", ((1, 2, 3, 0),), {}, (2, 3, 4, 5)),
    ("CircularPad3d", (1,), {}, (1, 2, 3, 2, 2)),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (2, 3, 4, 5)),
    ("Upsample", (7,), {}, (2, 3, 5)),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, (2, 3, 4, 5)),
    ("UpsamplingBilinear2d", ((7, 6),), {}, (2, 3, 4, 5)),
    ("PixelShuffle", (2,), {}, (2, 8, 3, 2)),
    ("PixelUnshuffle", (2,), {}, (2, 3, 4, 6)),
    ("ChannelShuffle", (2,), {}, (2, 6, 4, 3)),
    ("Unfold", (2,), {"stride": 2}, (2, 3, 4, 6)),
    ("Fold", ((4, 6), 2), {"stride": 2}, (2, 12, 6)),
]
IDS = [f"{name}-{k}" for k, (name, *_) in enumerate(LAYERS)]
everything = pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS, ids=IDS)


def image(shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


@everything
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_equals_torchs(backend, request, name, args, options, shape):
    """The same arguments, the same state by name and shape, the same output from it."""
    skip_many_shapes(backend, request)
    theirs, ours = getattr(torch.nn, name)(*args, **options), getattr(nnx, name)(*args, **options)
    state = {k: v.numpy() for k, v in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: v.shape for k, v in state.items()}
    ours.load_state_dict(state)
    x = image(shape)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    assert_close(ours(nnx.asarray(x)), expected, 1e-5, 1e-5)
    assert_close(ours.eval()(nnx.asarray(x)), expected, 1e-5, 1e-5)
    assert name in repr(ours)


@pytest.mark.parametrize(
    "name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
)
def test_the_first_weights(name):
    """U(-k, k), k = 1/√fan in: PyTorch's fan in of a transposed convolution counts its outputs."""
    layer = getattr(nnx, name)(32, 64, 3)
    weight, bias = nnx.to_numpy(layer.weight), nnx.to_numpy(layer.bias)
    theirs = getattr(torch.nn, name)(32, 64, 3)
    k = 1.0 / np.sqrt(weight[0].size)
    for ours, other in ((weight, theirs.weight), (bias, theirs.bias)):
        assert ours.shape == tuple(other.shape)
        assert np.abs(ours).max() <= k
        assert float(other.detach().abs().max()) <= k
        assert np.abs(ours).max() > 0.9 * k
        assert abs(ours.std() - k / np.sqrt(3)) < 0.2 * k


def test_dtype(backend):
    layer = nnx.Conv2d(2, 3, 3, dtype="float64")
    assert layer(nnx.asarray(np.ones((1, 2, 4, 4)))).dtype == backend.xp.float64


def test_representations():
    assert repr(nnx.Conv2d(1, 6, 5, padding=2)) == "Conv2d(1, 6, kernel_size=(5, 5), padding=(2, 2))"
    shown = repr(nnx.Conv1d(2, 4, 3, 2, groups=2, bias=False, padding_mode="circular"))
    assert shown == "Conv1d(2, 4, kernel_size=(3,), stride=(2,), groups=2, padding_mode='circular', bias=False)"
    assert repr(nnx.ZeroPad2d(1)) == "ZeroPad2d((1, 1, 1, 1))"


def test_pools_return_the_places_that_won(backend):
    x = image((1, 2, 4, 4))
    y, places = nnx.MaxPool2d(2, return_indices=True)(nnx.asarray(x))
    expected, where = torch.nn.MaxPool2d(2, return_indices=True)(torch.from_numpy(x))
    assert_same(y, expected.numpy())
    np.testing.assert_array_equal(nnx.to_numpy(places), where.numpy())


def quadrants(n=48):
    """Images in which one of four quadrants is bright: which one is the class."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 1, 8, 8)).astype("float32") * 0.3, rng.integers(0, 4, n)
    for image, label in zip(x, y, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 1.0
    return nnx.asarray(x), nnx.asarray(y)


def network(library):
    return library.Sequential(
        library.Conv2d(1, 4, 3, padding=1),
        library.ReLU(),
        library.MaxPool2d(2),
        library.Conv2d(4, 6, 3, padding=1, padding_mode="replicate"),
        library.ReLU(),
        library.AvgPool2d(2),
        library.Flatten(),
        library.Linear(24, 4),
    )


def loss_of(model, x, y):
    return nnx.losses.cross_entropy(model(x), y)


def test_a_small_network_learns(backend):
    model, optimizer, (x, y) = network(nnx), nnx.optim.Adam(0.03), quadrants()

    @functools.partial(nnx.compile, state=(model, optimizer))
    def step(x, y):
        loss, grads = nnx.value_and_grad(loss_of)(model, x, y)
        optimizer.update(model, grads)
        return loss

    losses = [float(step(x, y)) for _ in range(26)]
    assert losses[-1] < 0.1 * losses[0]


def test_a_small_network_has_torchs_gradients(backend):
    ours, theirs, (x, y) = network(nnx), network(torch.nn), quadrants(6)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    loss, grads = nnx.value_and_grad(loss_of)(ours, x, y)
    inputs, targets = torch.from_numpy(nnx.to_numpy(x).copy()), torch.from_numpy(nnx.to_numpy(y).astype("int64"))
    expected = torch.nn.functional.cross_entropy(theirs(inputs), targets)
    expected.backward()
    assert_close(loss, expected.detach().numpy(), 1e-5)
    for name, parameter in theirs.named_parameters():
        assert_close(grads[name], parameter.grad.numpy(), 1e-4, 1e-5)


def test_frozen_convolutions_are_not_asked_for_a_gradient(monkeypatch):
    """The first layer's dx is a third of its work, and nobody wants it."""
    from nnx.functional import conv_core

    called = []
    monkeypatch.setattr(conv_core, "kernel", lambda name, x: called.append(name))
    model = nnx.Sequential(nnx.Conv2d(1, 2, 3), nnx.Flatten())
    nnx.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))(model, nnx.init.ones((1, 1, 4, 4)))
    assert called == ["convolve", "correlate"]


WRONG = [
    (lambda: nnx.Conv2d(0, 1, 3), "in_channels 0 and out_channels 1 must be at least 1"),
    (lambda: nnx.Conv2d(4, 6, 3, groups=4), "divide into groups=4"),
    (lambda: nnx.Conv2d(4, 6, 0), "Conv2d: kernel_size must be an integer >= 1 or a tuple of 2"),
    (lambda: nnx.Conv2d(4, 6, 3, padding_mode="mirror"), "padding_mode must be one of zeros, reflect, replicate"),
    (lambda: nnx.Conv2d(4, 6, 3, stride=2, padding="same"), "padding='same' keeps the size"),
    (lambda: nnx.ConvTranspose2d(4, 6, 3, padding_mode="reflect"), "padding_mode must be 'zeros'"),
    (lambda: nnx.ZeroPad2d((1, 2)), "padding must be an integer or 4 of them"),
    (lambda: nnx.ZeroPad2d(1)(np.ones((2, 3))), r"expected x of 3 or 4 axes, .* got shape \(2, 3\)"),
    (lambda: nnx.Conv2d(3, 6, 3)(np.ones((2, 4, 5, 5), "float32")), "x has 4 channels, weight .* takes 3"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_arguments_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_convolution_in_a_module_is_the_function():
    layer, x = nnx.Conv2d(2, 3, 2), nnx.init.ones((1, 2, 3, 3))
    assert_same(layer(x), F.conv2d(x, layer.weight, layer.bias))
