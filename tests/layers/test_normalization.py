"""The normalisation layers against PyTorch's: outputs, gradients, buffers over several steps, state dicts, errors."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from tests.layers.against_torch import assert_same_state, check_layer, check_step, take_state
from tests.oracle import torch
from tests.support import assert_close

# name, arguments, options, shape of x
LAYERS = [
    ("BatchNorm1d", (4,), {}, (5, 4)),
    ("BatchNorm1d", (4,), {"momentum": None}, (2, 4, 3)),
    ("BatchNorm1d", (4,), {"affine": False, "momentum": 0.3}, (5, 4)),
    ("BatchNorm2d", (4,), {"eps": 0.1}, (2, 4, 3, 2)),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, (2, 4, 3, 2)),
    ("BatchNorm2d", (4,), {"bias": False}, (2, 4, 3, 2)),
    ("BatchNorm2d", (4,), {"momentum": None, "affine": False}, (2, 4, 3, 2)),
    ("BatchNorm3d", (4,), {}, (2, 4, 3, 2, 2)),
    ("LayerNorm", (4,), {}, (5, 4)),
    ("LayerNorm", ((3, 2),), {"eps": 0.1}, (2, 4, 3, 2)),
    ("LayerNorm", (4,), {"bias": False}, (5, 4)),
    ("LayerNorm", ([4],), {"elementwise_affine": False}, (5, 4)),
    ("RMSNorm", (3,), {}, (2, 4, 3)),
    ("RMSNorm", ((4, 3),), {"eps": 0.1}, (2, 4, 3)),
    ("RMSNorm", (4,), {"elementwise_affine": False}, (5, 4)),
    ("GroupNorm", (2, 4), {}, (5, 4)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3, 2)),
    ("GroupNorm", (1, 4), {"bias": False, "eps": 0.1}, (2, 4, 3)),
    ("GroupNorm", (4, 4), {"affine": False}, (2, 4, 3)),
    ("InstanceNorm1d", (4,), {}, (2, 4, 3)),
    ("InstanceNorm1d", (4,), {"affine": True, "track_running_stats": True}, (2, 4, 3)),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True, "momentum": 0.3}, (2, 4, 3, 2)),
    ("InstanceNorm2d", (4,), {"affine": True, "bias": False}, (2, 4, 3, 2)),
    ("InstanceNorm3d", (4,), {"track_running_stats": True}, (2, 4, 3, 2, 2)),
    ("LocalResponseNorm", (1,), {"alpha": 0.5}, (2, 4, 3)),
    ("LocalResponseNorm", (2,), {"alpha": 0.5, "beta": 0.6, "k": 1.5}, (2, 4, 3, 2)),
    ("LocalResponseNorm", (5,), {"alpha": 0.5}, (2, 4, 3)),
    ("LocalResponseNorm", (12,), {"alpha": 0.5}, (2, 4, 3)),
]
IDS = [
    "-".join([name, *map(str, args), *(f"{k}={v}" for k, v in options.items())]) for name, args, options, _ in LAYERS
]
every_layer = pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS, ids=IDS)


def pair(name, args, options, dtype="float64"):
    has_dtype = {} if name == "LocalResponseNorm" else {"dtype": dtype}
    return getattr(nnx, name)(*args, **options, **has_dtype), getattr(torch.nn, name)(*args, **options)


@every_layer
def test_outputs_gradients_and_buffers(backend, name, args, options, shape):
    check_layer(*pair(name, args, options), shape)


@pytest.mark.parametrize(("name", "args", "options", "shape"), [LAYERS[k] for k in (3, 8, 12, 16)])
def test_float32(backend, name, args, options, shape):
    check_layer(*pair(name, args, options, "float32"), shape, dtype="float32")


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["BatchNorm", "InstanceNorm", "GroupNorm"]),
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    per_group=st.integers(1, 2),
    space=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    options=st.fixed_dictionaries({"eps": st.sampled_from([1e-5, 0.5]), "affine": st.booleans()}),
    tracked=st.booleans(),
)
def test_a_grid_of_arguments(kind, n, groups, per_group, space, options, tracked):
    c = groups * per_group
    shape = (n, c, *space)
    name = kind if kind == "GroupNorm" else f"{kind}{len(space)}d"
    args = (groups, c) if kind == "GroupNorm" else (c,)
    options = options if kind == "GroupNorm" else {**options, "track_running_stats": tracked}
    ours, theirs = pair(name, args, options)
    with nnx.use_backend("numpy"):
        try:
            theirs.double()(torch.zeros(shape, dtype=torch.float64))
        except ValueError:
            with pytest.raises(ValueError, match="more than one value a channel"):
                ours(np.zeros(shape))
        else:
            check_layer(*pair(name, args, options), shape)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    normalized=st.integers(1, 4),
    rms=st.booleans(),
    eps=st.sampled_from([1e-5, 0.5]),
    affine=st.booleans(),
)
def test_a_grid_of_shapes_for_the_last_axes(shape, normalized, rms, eps, affine):
    name = "RMSNorm" if rms else "LayerNorm"
    args, options = (shape[-normalized:],), {"eps": eps, "elementwise_affine": affine}
    with nnx.use_backend("numpy"):
        check_layer(*pair(name, args, options), tuple(shape))


# ---- whole runs ------------------------------------------------------------------------------------------------------


def nets():
    kinds = {"dtype": "float64"}
    ours = nnx.Sequential(
        nnx.Linear(4, 4, **kinds), nnx.BatchNorm1d(4, **kinds), nnx.Tanh(),
        nnx.Linear(4, 4, **kinds), nnx.GroupNorm(2, 4, **kinds), nnx.LayerNorm(4, **kinds), nnx.Linear(4, 1, **kinds),
    )  # fmt: skip
    nn = torch.nn
    theirs = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(),
        nn.Linear(4, 4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.Linear(4, 1),
    ).double()  # fmt: skip
    take_state(ours, theirs, np.random.default_rng(0))
    return ours, theirs


def test_a_training_run_equals_torchs(backend):
    ours, theirs = nets()
    rng = np.random.default_rng(1)
    own, other = nnx.optim.SGD(lr=0.05, momentum=0.9), torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    step = nnx.value_and_grad(lambda m, x, y: nnx.losses.mse_loss(m(x), y))
    for _ in range(6):
        x, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 1))
        loss, grads = step(ours, nnx.asarray(x), nnx.asarray(y))
        own.update(ours, grads)
        other.zero_grad()
        expected = torch.nn.functional.mse_loss(theirs(torch.from_numpy(x)), torch.from_numpy(y))
        expected.backward()
        other.step()
        np.testing.assert_allclose(float(loss), expected.item(), rtol=1e-6)
    assert_same_state(ours, theirs, 1e-6)


def test_running_statistics_move_in_a_training_step_and_stay_plain(backend):
    model = nnx.BatchNorm1d(4)
    before = model.running_mean
    x = backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")
    nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)
    assert not any(isinstance(b, nnx.Var) for b in model.buffers())
    assert model.running_mean is not before
    assert int(model.num_batches_tracked) == 1
    moved = model.running_mean
    model.eval()
    nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)
    assert model.running_mean is moved


def test_the_statistics_are_constants_while_a_gradient_is_taken(backend):
    model, x = nnx.BatchNorm1d(4), backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")

    def loss(m, x):
        y = m(x)
        assert all(isinstance(b, nnx.Var) and not b.watched for b in m.buffers())
        return nnx.namespace(y).sum(y)

    nnx.grad(loss)(model, x)


def test_frozen_parameters_have_no_gradient_and_the_statistics_still_move(backend):
    model = nnx.Sequential(nnx.BatchNorm1d(4), nnx.Linear(4, 1))
    model[0].freeze()
    x = backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)
    assert sorted(grads) == ["1.bias", "1.weight"]
    assert int(model[0].num_batches_tracked) == 1
    assert np.abs(nnx.to_numpy(model[0].running_mean)).max() > 0.0


def test_the_statistics_are_no_part_of_the_gradient(backend):
    """y depends on x through μ and σ², the running ones of the next step do not count."""
    x = backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float64")
    model = nnx.BatchNorm1d(4, dtype="float64")

    def twice(x):
        model.train()
        y = model(x)
        model.eval()
        return nnx.namespace(x).sum(y * y * 0.0) + nnx.namespace(x).sum(model(nnx.stop_gradient(x)))

    assert_close(nnx.grad(twice)(x), np.zeros((5, 4)), 0.0, 1e-12)


def test_reset(backend):
    model = nnx.BatchNorm1d(4)
    fresh = {k: nnx.to_numpy(v).copy() for k, v in model.state_dict().items()}
    model(backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32"))
    assert int(model.num_batches_tracked) == 1
    model.reset_running_stats()
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(nnx.to_numpy(x), fresh[name])
    nnx.BatchNorm1d(4, track_running_stats=False).reset_running_stats()


def test_the_count_is_an_integer_array_without_axes(backend):
    model = nnx.BatchNorm1d(4)
    for _ in range(2):
        model(backend.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32"))
        assert nnx.backend.is_array(model.num_batches_tracked)
        assert not nnx.backend.is_scalar(model.num_batches_tracked)
        assert nnx.to_numpy(model.num_batches_tracked).dtype == "int64"
    again = pickle.loads(pickle.dumps(copy.deepcopy(model))) if backend.name == "numpy" else copy.deepcopy(model)
    assert int(again.num_batches_tracked) == 2


# ---- empty batches ---------------------------------------------------------------------------------------------------

EMPTY = [
    ("BatchNorm1d", (4,), {"momentum": None}, (0, 4)),
    ("BatchNorm2d", (4,), {}, (0, 4, 3, 2)),
    ("BatchNorm1d", (4,), {}, (2, 4, 0)),
    ("LayerNorm", (4,), {}, (0, 4)),
    ("RMSNorm", (4,), {}, (0, 4)),
    ("GroupNorm", (2, 4), {}, (0, 4, 3)),
    ("InstanceNorm1d", (4,), {}, (0, 4, 3)),
    ("LocalResponseNorm", (3,), {}, (0, 4, 3)),
]


@pytest.mark.parametrize(("name", "args", "options", "shape"), EMPTY)
def test_empty_batch(backend, name, args, options, shape):
    ours, theirs = pair(name, args, options)
    theirs.double()
    x = np.zeros(shape)
    expected = theirs(torch.from_numpy(x))
    y, pullback = nnx.vjp(lambda m, x: m(x), ours, nnx.asarray(x))
    assert_close(y, expected.detach().numpy())
    grads, dx = pullback(y)
    assert_close(dx, x)
    for g in grads.values():
        assert_close(g, np.zeros(g.shape))
    assert_same_state(ours, theirs)


# ---- errors ----------------------------------------------------------------------------------------------------------

WRONG = [
    ("BatchNorm2d", (3,), (2, 4, 5, 5), r"BatchNorm2d\(3\) expected x of shape \(n, 3, h, w\), got \(2, 4, 5, 5\)"),
    ("BatchNorm2d", (3,), (2, 3, 5), r"\(n, 3, h, w\), got \(2, 3, 5\)"),
    ("BatchNorm1d", (3,), (3,), r"\(n, 3\) or \(n, 3, l\), got \(3,\)"),
    ("BatchNorm1d", (3,), (1, 3), r"more than one value a channel in training, got x of shape \(1, 3\).*eval"),
    ("BatchNorm3d", (3,), (2, 3, 5, 5), r"\(n, 3, d, h, w\)"),
    ("InstanceNorm1d", (3,), (2, 3, 1), r"more than one value a channel, got x of shape \(2, 3, 1\)"),
    ("InstanceNorm2d", (3,), (2, 3), r"\(n, 3, h, w\), got \(2, 3\)"),
    ("LayerNorm", (3,), (3, 4), r"x of shape \(\.\.\., 3\), got \(3, 4\)"),
    ("LayerNorm", ((3, 4),), (4,), r"x of shape \(\.\.\., 3, 4\), got \(4,\)"),
    ("RMSNorm", (3,), (3, 4), r"rms_norm expected x of shape \(\.\.\., 3\), got \(3, 4\)"),
    ("GroupNorm", (2, 4), (2, 6, 3), r"expected 4 channels, got x of shape \(2, 6, 3\), whose axis 1 has 6"),
    ("GroupNorm", (2, 4), (4,), r"\(n, c, \.\.\.\), got \(4,\)"),
    ("LocalResponseNorm", (2,), (2, 3), r"\(n, c, l, \.\.\.\)"),
    ("LocalResponseNorm", (0,), (2, 3, 4), "size of at least 1"),
]


@pytest.mark.parametrize(("name", "args", "shape", "message"), WRONG)
def test_what_does_not_fit_is_named(backend, name, args, shape, message):
    with pytest.raises(ValueError, match=message):
        getattr(nnx, name)(*args)(nnx.asarray(np.ones(shape, "float32")))


def test_what_cannot_be_made():
    with pytest.raises(ValueError, match=r"num_channels \(5\) must be divisible by num_groups \(2\)"):
        nnx.GroupNorm(2, 5)
    with pytest.raises(ValueError, match="num_features must be at least 1"):
        nnx.BatchNorm1d(0)
    with pytest.raises(ValueError, match="at least one axis"):
        nnx.LayerNorm(())(np.ones((2, 3), "float32"))


def test_instance_norm_warns_of_a_number_that_makes_no_difference():
    with pytest.warns(UserWarning, match=r"InstanceNorm1d\(4\) expected.*no difference without affine"):
        nnx.InstanceNorm1d(4)(np.random.default_rng(0).normal(size=(2, 3, 5)))
    with pytest.raises(ValueError, match=r"InstanceNorm1d\(4\) expected"):
        nnx.InstanceNorm1d(4, affine=True)(np.ones((2, 3, 5), "float32"))


def test_one_sample_is_normalised_in_evaluation(backend):
    ours, theirs = pair("BatchNorm1d", (3,), {})
    theirs.double()
    take_state(ours, theirs, np.random.default_rng(0))
    ours.eval(), theirs.eval()
    check_step(ours, theirs, [np.random.default_rng(1).normal(size=(1, 3))], np.random.default_rng(2), 1e-9)
