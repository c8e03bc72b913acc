"""Parameter groups by pattern: as torch's param_groups, with schedules, checkpoints and errors that list the paths."""

import json

import numpy as np
import pytest

import nnx
from nnx import io, optim, train
from tests.optim.rows import ROWS
from tests.oracle import torch
from tests.support import assert_close

rng = np.random.default_rng(8)
SHAPES = {"body.0.weight": (3, 4), "body.0.bias": (3,), "head.weight": (2, 3), "head.bias": (2,)}
START = {path: rng.standard_normal(shape) for path, shape in SHAPES.items()}
NOISE = [{path: rng.standard_normal(shape) for path, shape in SHAPES.items()} for _ in range(40)]


def apply(optimizer, steps, params=None, after=lambda: None):
    params = params or {path: nnx.asarray(x) for path, x in START.items()}
    for t in steps:
        params = optimizer.apply(params, {path: p * 0.5 + nnx.asarray(NOISE[t][path]) for path, p in params.items()})
        after()
    return params


def torch_groups(optimizer, groups, steps, after=lambda: None):
    """groups: [(paths, options)]"""
    params = {path: torch.from_numpy(x.copy()).requires_grad_() for path, x in START.items()}
    theirs = optimizer([{"params": [params[path] for path in paths], **options} for paths, options in groups])
    step = after(theirs)
    for t in range(steps):
        for path, p in params.items():
            p.grad = p.detach() * 0.5 + torch.from_numpy(NOISE[t][path])
        theirs.step()
        step()
    return {path: p.detach().numpy() for path, p in params.items()}


GROUPS = {"*.bias": {"weight_decay": 0.0}, "head.*": {"lr": 1e-2, "maximize": True}}
DIVIDED = [
    (["body.0.weight"], {}),
    (["body.0.bias"], {"weight_decay": 0.0}),
    (["head.weight"], {"lr": 1e-2, "maximize": True}),
    (["head.bias"], {"weight_decay": 0.0, "lr": 1e-2, "maximize": True}),
]
ALIKE = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "weight_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), ALIKE)
def test_groups_are_torchs(backend, name, options):
    """Every pattern that matches counts: the head's bias has both, its own lr and no weight decay."""
    steps = 40 if backend.name in ("numpy", "array_api_strict") else 8
    found = apply(getattr(optim, name)(**options, groups=GROUPS), range(steps))
    kind = getattr(torch.optim, name)
    expected = torch_groups(lambda groups: kind(groups, **options), DIVIDED, steps, lambda theirs: lambda: None)
    for path in SHAPES:
        assert_close(found[path], expected[path], 1e-10, 1e-12)


@pytest.mark.float64("float32 cannot tell the steps apart")
def test_the_later_pattern_wins(backend):
    groups = {"*": {"lr": 0.0}, "*.weight": {"lr": 0.1}, "head.*": {"lr": 0.0}}
    found = apply(optim.SGD(0.5, groups=groups), range(1))
    moved = {path for path in SHAPES if (nnx.to_numpy(found[path]) != START[path]).any()}
    assert moved == {"body.0.weight"}


def test_slots_may_differ_by_group(backend):
    optimizer = optim.SGD(0.1, groups={"*.weight": {"momentum": 0.9}})
    params = apply(optimizer, range(3))
    assert set(optimizer.state_dict()["slots"]) == {"body.0.weight/velocity", "head.weight/velocity"}
    again = optim.SGD()
    again.load_state_dict(optimizer.state_dict())
    one, other = apply(again, range(3, 5), params), apply(optimizer, range(3, 5), params)
    assert all((nnx.to_numpy(one[path]) == nnx.to_numpy(other[path])).all() for path in SHAPES)


SCHEDULES = [
    ("CosineAnnealingLR", {"T_max": 15, "eta_min": 1e-3}),
    ("StepLR", {"step_size": 4, "gamma": 0.5}),
    ("OneCycleLR", {"max_lr": [0.3, 0.3, 0.2, 0.2], "total_steps": 25}),
    ("CyclicLR", {"base_lr": [0.1, 0.1, 0.02, 0.02], "max_lr": 0.5, "step_size_up": 5}),
    ("LambdaLR", {"lr_lambda": lambda t: 1.0 / (1.0 + t)}),
    ("SWALR", {"swa_lr": [0.02, 0.02, 0.03, 0.03], "anneal_epochs": 7}),
]


def of_ours(options):
    """torch has four groups, of which ours, with two learning rates, has the first and the third."""
    return {k: [v[0], v[2]] if isinstance(v, list) else v for k, v in options.items()}


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=lambda x: x if isinstance(x, str) else "")
def test_a_schedule_moves_every_groups_rate_as_torchs(name, options):
    module = torch.optim.swa_utils if name == "SWALR" else torch.optim.lr_scheduler
    settings = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}
    rates = []

    def after(theirs):
        schedule = getattr(module, name)(theirs, **options)

        def step():
            schedule.step()
            rates.append([theirs.param_groups[k]["lr"] for k in (0, 2)])

        return step

    expected = torch_groups(lambda groups: torch.optim.SGD(groups, **settings), DIVIDED, 20, after)
    ours = optim.SGD(**settings, groups=GROUPS)
    schedule, own = getattr(optim, name)(ours, **of_ours(options)), []

    def step():
        schedule.step()
        own.append(schedule.get_last_lr())

    found = apply(ours, range(20), after=step)
    np.testing.assert_allclose(own, rates, rtol=1e-12)
    assert ours.groups["head.*"]["lr"] == own[-1][1] != own[-1][0]
    for path in SHAPES:
        assert_close(found[path], expected[path], 1e-9, 1e-12)
    state = json.loads(json.dumps([ours.state_dict()["hyperparameters"], schedule.state_dict()]))
    again = optim.SGD()
    again.load_state_dict({"steps": 0, "hyperparameters": state[0], "slots": {}})
    resumed = getattr(optim, name)(again, **of_ours(options))
    again.load_state_dict({"steps": 0, "hyperparameters": state[0], "slots": {}})
    resumed.load_state_dict(state[1])
    schedule.step()
    resumed.step()
    assert resumed.get_last_lr() == schedule.get_last_lr()


def test_plateau_lowers_every_groups_rate():
    ours = optim.SGD(0.2, groups={"head.*": {"lr": 0.1}})
    schedule = optim.ReduceLROnPlateau(ours, patience=0, factor=0.5, min_lr=[0.0, 0.04])
    for _ in range(4):
        schedule.step(1.0)
    assert schedule.get_last_lr() == [0.025, 0.04]


def model():
    nnx.seed(1)
    return nnx.Sequential(nnx.Linear(4, 6), nnx.ReLU(), nnx.Linear(6, 3))


X = np.random.default_rng(0).standard_normal((24, 4)).astype("float32")
Y = np.arange(24) % 3


@pytest.mark.parametrize("name", ROWS)
def test_a_trainer_resumes_groups_bit_for_bit(name, tmp_path):
    def trainer():
        optimizer = ROWS[name](groups={"*.bias": {"lr": 3e-3}})
        schedule = optim.CosineAnnealingLR(optimizer, 8)
        return train.Trainer(model(), optimizer, nnx.losses.cross_entropy, schedule=schedule)

    whole, first, second = trainer(), trainer(), trainer()
    nnx.seed(5)
    whole.fit(X, Y, epochs=4, batch_size=8)
    nnx.seed(5)
    first.fit(X, Y, epochs=2, batch_size=8)
    first.save(tmp_path / "half.safetensors")
    second.resume(tmp_path / "half.safetensors")
    second.fit(X, Y, epochs=4, batch_size=8)
    assert second.optimizer.groups == whole.optimizer.groups
    for path, x in whole.model.named_parameters():
        np.testing.assert_array_equal(dict(second.model.named_parameters())[path], x)
    assert io.load_safetensors(tmp_path / "half.safetensors")[1]["optimizer"]["hyperparameters"]["groups"]


def test_a_pattern_without_a_parameter_lists_the_paths():
    optimizer = optim.SGD(groups={"haed.*": {"lr": 0.1}})
    with pytest.raises(ValueError, match=r"no parameter matches the group 'haed\.\*': there is 0\.weight, 0\.bias, 2"):
        optimizer.init(model())
    with pytest.raises(ValueError, match="no parameter matches"):
        optimizer.update(model(), model().trainable())
    with pytest.raises(ValueError, match=r"there is body\.0\.weight"):
        apply(optimizer, range(1))


def test_a_pattern_of_frozen_parameters_is_none_too_many():
    net, optimizer = model(), optim.SGD(0.1, groups={"2.*": {"lr": 0.2}})
    net[2].freeze()
    optimizer.update(net, net.trainable())
    net.unfreeze()
    before = net[2].bias
    optimizer.update(net, net.trainable())
    np.testing.assert_allclose(net[2].bias, before * 0.8, rtol=1e-6)


def test_groups_may_change_between_steps():
    optimizer = optim.SGD(0.5, groups={"*.bias": {"lr": 0.1}})
    params = apply(optimizer, range(1))
    optimizer.groups["*.bias"]["lr"] = 0.0
    optimizer.groups["head.*"] = {"lr": 0.0}
    after = apply(optimizer, range(1, 2), params)
    moved = {path for path in SHAPES if (nnx.to_numpy(after[path]) != nnx.to_numpy(params[path])).any()}
    assert moved == {"body.0.weight"}


REFUSED = [
    ({"*": {"momentum": 0.9}}, "group '\\*' sets momentum, and there is amsgrad, betas, decoupled"),
    ({"*": {"lr": -1.0}}, "lr must be >= 0"),
    ({"*": {"betas": (0.9, 1.0)}}, "betas must be in"),
]


@pytest.mark.parametrize(("groups", "message"), REFUSED)
def test_groups_that_make_no_sense(groups, message):
    with pytest.raises(ValueError, match=message):
        optim.Adam(groups=groups)


def test_the_users_dict_is_left_alone():
    given = {"*.bias": {"lr": 0.1}}
    optimizer = optim.SGD(groups=given)
    optim.ExponentialLR(optimizer, 0.5).step()
    assert given == {"*.bias": {"lr": 0.1}}
    assert optimizer.groups["*.bias"]["lr"] == 0.05
    state = optimizer.state_dict()
    optimizer.groups["*.bias"]["lr"] = 0.3
    assert state["hyperparameters"]["groups"]["*.bias"]["lr"] == 0.05


@pytest.mark.parametrize("make", [nnx.optim.SGD, nnx.optim.Adam, nnx.optim.Muon, nnx.optim.LBFGS])
def test_parameters_in_the_place_of_lr_are_refused_with_the_way_out(make):
    """As PyTorch's optimizers take them."""
    with pytest.raises(TypeError, match=r"first argument is lr, a number, got generator: .*update\(model, grads\)"):
        make(nnx.Linear(2, 2).parameters())
