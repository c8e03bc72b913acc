"""Weight and spectral normalisation of a layer, against torch.nn.utils.parametrizations."""

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.functional.reparametrized import as_matrix
from tests.layers.against_torch import assert_same_state, check_step, take_state
from tests.oracle import torch
from tests.support import assert_close

parametrizations = torch.nn.utils.parametrizations

# the function's name, its options, the layer's name, arguments and the shape of its input
CASES = [
    ("weight_norm", {}, "Linear", (3, 4), (5, 3)),
    ("weight_norm", {"dim": 1}, "Linear", (3, 4), (5, 3)),
    ("weight_norm", {"dim": None}, "Linear", (3, 4), (5, 3)),
    ("weight_norm", {"name": "bias"}, "Linear", (3, 4), (5, 3)),
    ("weight_norm", {"dim": -1}, "Bilinear", (2, 3, 4), (5, 2)),
    ("spectral_norm", {}, "Linear", (3, 4), (5, 3)),
    ("spectral_norm", {"n_power_iterations": 3, "dim": 1, "eps": 1e-4}, "Linear", (3, 4), (5, 3)),
    ("spectral_norm", {"name": "bias"}, "Linear", (3, 4), (5, 3)),
    ("spectral_norm", {"dim": 2}, "Bilinear", (2, 3, 4), (5, 2)),
]
IDS = [f"{name}-{options}-{layer}" for name, options, layer, _, _ in CASES]
every_case = pytest.mark.parametrize(("name", "options", "layer", "args", "shape"), CASES, ids=IDS)


def pair(name, options, layer, args):
    ours = getattr(nnx, name)(getattr(nnx, layer)(*args, dtype="float64"), **options)
    theirs = getattr(parametrizations, name)(getattr(torch.nn, layer)(*args), **options).double()
    take_state(ours, theirs, np.random.default_rng(0))
    return ours, theirs


@every_case
def test_outputs_gradients_and_buffers(backend, name, options, layer, args, shape):
    ours, theirs = pair(name, options, layer, args)
    rng = np.random.default_rng(1)
    shapes = [shape] if layer == "Linear" else [shape, (5, args[1])]
    for mode in (True, True, False):
        ours.train(mode), theirs.train(mode)
        check_step(ours, theirs, [rng.normal(size=s) for s in shapes], rng, 1e-9)
        assert_same_state(ours, theirs)


@every_case
def test_the_weight_at_first_and_after_removal(backend, name, options, layer, args, shape):
    plain = getattr(nnx, layer)(*args, dtype="float64")
    attribute = options.get("name", "weight")
    before = nnx.to_numpy(getattr(plain, attribute)).copy()
    layout = list(plain.state_dict())
    x = [
        nnx.asarray(np.random.default_rng(0).normal(size=s)) for s in ([shape, (5, args[1])][: 1 + (layer != "Linear")])
    ]
    made = getattr(nnx, name)(plain, **options)
    assert made is plain
    assert isinstance(made, getattr(nnx, layer))
    assert type(made).__name__ == f"Parametrized{layer}"
    assert attribute not in made.state_dict()
    if name == "weight_norm":
        assert_close(getattr(made, attribute), before, 1e-12)
    expected = made.eval()(*x)
    removed = getattr(nnx, f"remove_{name}")(made, attribute)
    assert removed is plain
    assert type(plain) is getattr(nnx, layer)
    assert sorted(plain.state_dict()) == sorted(layout)
    assert_close(plain(*x), nnx.to_numpy(expected), 1e-12, 1e-12)


def test_spectral_norm_is_one(backend):
    layer = nnx.spectral_norm(nnx.Linear(6, 5), n_power_iterations=30)
    layer.weight  # noqa: B018  (which iterates)
    assert abs(np.linalg.norm(nnx.to_numpy(layer.eval().weight), 2) - 1.0) < 1e-3


def test_vectors_move_in_training_alone(backend):
    layer = nnx.spectral_norm(nnx.Linear(6, 5))
    u = [nnx.to_numpy(layer.state_dict()["parametrizations.weight.0._u"])]
    for mode in (True, False):
        layer.train(mode)(nnx.asarray(np.ones((2, 6), "float32")))
        u.append(nnx.to_numpy(layer.state_dict()["parametrizations.weight.0._u"]))
    assert (u[0] != u[1]).any()
    np.testing.assert_array_equal(u[1], u[2])


def test_a_model_with_normalised_weights_trains(backend):
    model = nnx.Sequential(nnx.weight_norm(nnx.Linear(3, 8)), nnx.Tanh(), nnx.spectral_norm(nnx.Linear(8, 1)))
    x = nnx.asarray(np.random.default_rng(0).normal(size=(16, 3)).astype("float32"))
    y = x[:, :1] * 0.3
    optimizer = nnx.optim.SGD(lr=0.3)
    step = nnx.value_and_grad(lambda m, x, y: nnx.losses.mse_loss(m(x), y))
    losses = []
    for _ in range(30):
        loss, grads = step(model, x, y)
        optimizer.update(model, grads)
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 5
    assert not any(isinstance(a, nnx.Var) for a in [*model.parameters(), *model.buffers()])


def test_assigning_the_weight_sets_what_it_is_computed_from(backend):
    layer = nnx.weight_norm(nnx.Linear(3, 4))
    new = nnx.asarray(np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    layer.weight = new
    assert_close(layer.weight, nnx.to_numpy(new), 1e-6)
    assert sorted(layer.state_dict()) == ["bias", *(f"parametrizations.weight.original{k}" for k in (0, 1))]
    spectral = nnx.spectral_norm(nnx.Linear(3, 4))
    spectral.weight = new
    assert_close(spectral.parametrizations.weight.original, nnx.to_numpy(new), 0.0)


def test_several_of_one_layer_and_frozen_ones(backend):
    layer = nnx.Linear(3, 4).freeze()
    nnx.weight_norm(layer)
    nnx.weight_norm(layer, "bias")
    assert not layer.trainable()
    layer.unfreeze()
    assert len(layer.trainable()) == 4
    nnx.remove_weight_norm(layer)
    assert sorted(layer.state_dict()) == [
        "parametrizations.bias.original0",
        "parametrizations.bias.original1",
        "weight",
    ]
    nnx.remove_weight_norm(layer, "bias")
    assert type(layer) is nnx.Linear


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(again):
    layer = nnx.spectral_norm(nnx.Linear(3, 4))
    other = again(layer)
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(other.eval()(x), layer.eval()(x))
    assert type(other) is type(layer)
    other.parametrizations.weight.original = np.zeros((4, 3), "float32")
    assert layer.weight.any()


def test_moved_to_another_dtype(backend):
    layer = nnx.spectral_norm(nnx.Linear(3, 4)).to(dtype="float64")
    assert layer(nnx.asarray(np.ones((2, 3)))).dtype == backend.xp.float64


def test_what_cannot_be_normalised_is_named():
    layer = nnx.weight_norm(nnx.Linear(3, 4))
    with pytest.raises(ValueError, match=r"ParametrizedLinear\.weight is already computed"):
        nnx.spectral_norm(layer)
    with pytest.raises(ValueError, match="Linear has no parameter 'wight' of its own"):
        nnx.weight_norm(nnx.Linear(3, 4), "wight")
    with pytest.raises(ValueError, match=r"ParametrizedLinear\.weight is not computed by SpectralNorm"):
        nnx.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match=r"Linear\.weight is not computed by WeightNorm"):
        nnx.remove_weight_norm(nnx.Linear(3, 4))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        nnx.spectral_norm(nnx.Linear(3, 4), n_power_iterations=0)
    with pytest.raises(AttributeError, match="'ParametrizedLinear' object has no attribute 'nothing'"):
        layer.nothing  # noqa: B018


def test_transposed_convolutions_have_their_outputs_second():
    class ConvTranspose7d(nnx.Module):
        def __init__(self):
            self.weight = nnx.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)))

    layer = nnx.spectral_norm(ConvTranspose7d())
    assert layer.state_dict()["parametrizations.weight.0._u"].shape == (3,)
    assert as_matrix(np.ones((2, 3, 4)), 1).shape == (3, 8)


def test_a_recurrent_layers_weights(backend):
    layer, x = nnx.LSTM(3, 4), nnx.asarray(np.ones((2, 1, 3), "float32"))
    expected = nnx.to_numpy(layer(x)[0])
    nnx.weight_norm(layer, "weight_hh_l0")
    assert_close(layer(x)[0], expected, 1e-5, 1e-6)
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)[0]))(layer, x)
    assert np.abs(nnx.to_numpy(grads["parametrizations.weight_hh_l0.original0"])).max() > 0.0
