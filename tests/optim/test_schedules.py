"""Every schedule against torch.optim.lr_scheduler over 200 steps."""

import inspect
import json

import numpy as np
import pytest

import nnx
from nnx import optim
from tests.oracle import torch

STEPS = 200
SCHEDULES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 10, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [5, 30, 60], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.95}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 12}),
    ("CosineAnnealingWarmRestarts", {"T_0": 9, "T_mult": 2, "eta_min": 0.02}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 200}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 20, "steps_per_epoch": 11, "anneal_strategy": "linear", "pct_start": 0.4}),
    (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 220, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
    ),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 40}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.2, "total_iters": 20}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 60, "power": 2.5}),
    ("LambdaLR", {"lr_lambda": lambda t: 1.0 / (1.0 + t)}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9 + 0.1 / t}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 13, "step_size_down": 29, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20, "mode": "exp_range", "gamma": 0.99}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20, "scale_fn": lambda k: 1.0 / k}),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.5,
            "step_size_up": 20,
            "scale_fn": lambda t: 0.98**t,
            "scale_mode": "iterations",
            "cycle_momentum": False,
        },
    ),
    ("SWALR", {"swa_lr": 0.05}),
    ("SWALR", {"swa_lr": 0.5, "anneal_epochs": 50, "anneal_strategy": "linear"}),
    ("SWALR", {"swa_lr": 0.05, "anneal_epochs": 0}),
]
IDS = [f"{name}-{k}" for k, (name, _) in enumerate(SCHEDULES)]
every_schedule = pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)


def theirs(lr=0.2, **options):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, **options)


def rates_of_torch(optimizer, schedule, steps=STEPS - 1):
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def rates(schedule, steps=STEPS - 1):
    found = [schedule.optimizer.lr]
    for _ in range(steps):
        schedule.step()
        found.append(schedule.optimizer.lr)
    return found


def of_torch(name):
    return getattr(torch.optim.swa_utils if name == "SWALR" else torch.optim.lr_scheduler, name)


@every_schedule
def test_200_rates_equal_torchs(name, options):
    other = theirs(momentum=0.5)
    expected = rates_of_torch(other, of_torch(name)(other, **options))
    schedule = getattr(optim, name)(optim.SGD(lr=0.2, momentum=0.5), **options)
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-12, atol=1e-15)
    assert schedule.get_last_lr() == [schedule.optimizer.lr]
    assert schedule.at(3) == pytest.approx(expected[3], rel=1e-12)


EXCLUDED = {"LRScheduler": "the base class: Schedule"}
NOT_OURS = {"last_epoch": "load_state_dict continues a schedule"}


@pytest.mark.parametrize("name", sorted({*torch.optim.lr_scheduler.__all__, "SWALR"} - EXCLUDED.keys()))
def test_every_schedule_of_torch_is_there_with_its_arguments(name):
    found, expected = (inspect.signature(kind).parameters for kind in (getattr(optim, name), of_torch(name)))
    assert [(p.name, p.default) for p in found.values()] == [
        (p.name, p.default) for p in expected.values() if p.name not in NOT_OURS
    ]
    assert name in {"SequentialLR", "ChainedScheduler", "ReduceLROnPlateau", *(row[0] for row in SCHEDULES)}


@every_schedule
def test_continues_from_a_checkpoint(name, options):
    schedule = getattr(optim, name)(optim.SGD(lr=0.2, momentum=0.5), **options)
    rates(schedule, 13)
    state = json.loads(json.dumps(schedule.state_dict()))
    again = getattr(optim, name)(optim.SGD(lr=0.9, momentum=0.5), **options)
    again.load_state_dict(state)
    assert rates(again, 20) == rates(schedule, 20)


@pytest.mark.parametrize(("ours", "other"), [(optim.SGD(momentum=0.5), "SGD"), (optim.Adam(), "Adam")])
def test_a_cycle_moves_the_momentum_against_the_rate(ours, other):
    options = {"momentum": 0.5} if other == "SGD" else {}
    torchs = getattr(torch.optim, other)([torch.zeros(1, requires_grad=True)], **options)
    settings = {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "mode": "triangular2", "base_momentum": 0.7}
    reference, schedule = torch.optim.lr_scheduler.CyclicLR(torchs, **settings), optim.CyclicLR(ours, **settings)
    for _ in range(40):
        group = torchs.param_groups[0]
        found, expected = (ours.momentum, group["momentum"]) if other == "SGD" else (ours.betas[0], group["betas"][0])
        assert found == pytest.approx(expected, rel=1e-12)
        torchs.step()
        reference.step()
        schedule.step()


@pytest.mark.parametrize(("ours", "other"), [(optim.SGD(momentum=0.5), "SGD"), (optim.Adam(), "Adam")])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_moves_the_momentum_against_the_rate(ours, other, three_phase):
    options = {"momentum": 0.5} if other == "SGD" else {}
    torchs = getattr(torch.optim, other)([torch.zeros(1, requires_grad=True)], **options)
    reference = torch.optim.lr_scheduler.OneCycleLR(torchs, 0.1, total_steps=50, three_phase=three_phase)
    schedule = optim.OneCycleLR(ours, 0.1, total_steps=50, three_phase=three_phase)
    for _ in range(49):
        torchs.step()
        reference.step()
        schedule.step()
        group = torchs.param_groups[0]
        found, expected = (ours.momentum, group["momentum"]) if other == "SGD" else (ours.betas[0], group["betas"][0])
        assert found == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="made for 50 steps, and this is step 51"):
        rates(schedule, 5)


def test_sequential():
    def build(optimizer, module):
        parts = [
            module.LinearLR(optimizer, 0.1, 1.0, 10),
            module.CosineAnnealingLR(optimizer, 40),
            module.ExponentialLR(optimizer, 0.9),
        ]
        return module.SequentialLR(optimizer, parts, milestones=[10, 50])

    other = theirs()
    expected = rates_of_torch(other, build(other, torch.optim.lr_scheduler))
    schedule = build(optim.SGD(lr=0.2), optim)
    np.testing.assert_allclose(rates(schedule, 30), expected[:31], rtol=1e-12, atol=1e-15)
    again = build(optim.SGD(lr=0.7), optim)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    np.testing.assert_allclose(rates(again, 169), expected[30:], rtol=1e-12, atol=1e-15)


CHAINS = [
    lambda optimizer, m: [m.ConstantLR(optimizer, 0.1, 20), m.ExponentialLR(optimizer, 0.98)],
    lambda optimizer, m: [m.LinearLR(optimizer, 0.2, 1.0, 30), m.StepLR(optimizer, 25, 0.7)],
    lambda optimizer, m: [m.MultiplicativeLR(optimizer, lambda t: 0.99), m.MultiStepLR(optimizer, [10, 50], 0.5)],
    lambda optimizer, m: [m.ExponentialLR(optimizer, 0.99), m.CosineAnnealingLR(optimizer, 40, 0.01)],
    lambda optimizer, m: [m.LinearLR(optimizer, 0.2, 1.0, 10), m.PolynomialLR(optimizer, 150, 2.0)],
    lambda optimizer, m: [m.StepLR(optimizer, 3), m.LambdaLR(optimizer, lambda t: 1.0 / (1.0 + t))],
    lambda optimizer, m: [m.CosineAnnealingWarmRestarts(optimizer, 20), m.ExponentialLR(optimizer, 0.9)],
    lambda optimizer, m: [m.CyclicLR(optimizer, 0.01, 0.2, 15), m.ExponentialLR(optimizer, 0.9)],
    lambda optimizer, m: [
        m.ExponentialLR(optimizer, 0.99),
        m.SequentialLR(optimizer, [m.StepLR(optimizer, 4, 0.5), m.ExponentialLR(optimizer, 0.9)], [20]),
    ],
]


@pytest.mark.parametrize("parts", CHAINS)
def test_chained(parts):
    other, own = theirs(momentum=0.5), optim.SGD(lr=0.2, momentum=0.5)
    chain = torch.optim.lr_scheduler.ChainedScheduler(parts(other, torch.optim.lr_scheduler))
    expected = rates_of_torch(other, chain)
    schedule = optim.ChainedScheduler(parts(own, optim))
    assert schedule.at(9) == pytest.approx(expected[9], rel=1e-12)
    found = rates(schedule, 60)
    again = optim.ChainedScheduler(parts(optim.SGD(lr=0.2, momentum=0.9), optim), None)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    np.testing.assert_allclose([*found, *rates(again, 139)[1:]], expected, rtol=1e-11, atol=1e-15)
    assert own.momentum == pytest.approx(own.momentum if "CyclicLR" not in str(schedule._schedules) else 0.9, abs=0.11)


def test_swalr_takes_over_from_another():
    def build(optimizer, m):
        swa = torch.optim.swa_utils if m is torch.optim.lr_scheduler else optim
        return m.ExponentialLR(optimizer, 0.9), swa.SWALR(optimizer, 0.5, anneal_epochs=6)

    other, own = theirs(), optim.SGD(lr=0.2)
    pairs = zip(build(other, torch.optim.lr_scheduler), build(own, optim), strict=True)
    for (reference, schedule), steps in zip(pairs, (7, 9), strict=True):
        np.testing.assert_allclose(rates(schedule, steps), rates_of_torch(other, reference, steps), rtol=1e-12)
    assert own.lr == 0.5


def test_warmup_cosine():
    other = theirs()
    parts = [
        torch.optim.lr_scheduler.LinearLR(other, 1 / 11, 1.0, 10),
        torch.optim.lr_scheduler.CosineAnnealingLR(other, 50, 0.01),
    ]
    expected = rates_of_torch(other, torch.optim.lr_scheduler.SequentialLR(other, parts, milestones=[10]), 60)
    found = rates(optim.warmup_cosine(optim.SGD(lr=0.2), 10, 60, min_lr=0.01))
    np.testing.assert_allclose(found[:61], expected, rtol=1e-12)
    np.testing.assert_allclose(found[60:], 0.01)
    assert rates(optim.warmup_cosine(optim.SGD(lr=0.2), 0, 10), 1)[0] == 0.2


rng = np.random.default_rng(3)
CURVE = np.abs(np.concatenate([np.linspace(3.0, 1.0, 20), 1.0 + 0.1 * rng.standard_normal(60), np.linspace(1, 2, 20)]))
PLATEAUS = [
    {},
    {"patience": 2, "factor": 0.5},
    {"mode": "max", "patience": 3},
    {"threshold_mode": "abs", "threshold": 0.05, "patience": 1, "factor": 0.6},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.05, "patience": 1, "factor": 0.6},
    {"patience": 1, "cooldown": 4, "min_lr": 0.01, "factor": 0.3},
    {"patience": 0, "eps": 1e-3, "factor": 0.5},
]


@pytest.mark.parametrize("options", PLATEAUS)
def test_reduce_on_plateau(options):
    other, own = theirs(), optim.SGD(lr=0.2)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    schedule = optim.ReduceLROnPlateau(own, **options)
    for t, value in enumerate(CURVE):
        reference.step(value)
        schedule.step(np.asarray(value))
        assert own.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-12), t
        if t == 50:
            state = json.loads(json.dumps(schedule.state_dict()))
            schedule = optim.ReduceLROnPlateau(own, **options)
            schedule.load_state_dict(state)
    assert own.lr < 0.2
    assert schedule.get_last_lr() == [own.lr]


def test_the_rate_of_the_first_schedule_is_the_base_of_the_next():
    optimizer = optim.SGD(lr=0.2)
    optim.LinearLR(optimizer, 0.1)
    assert optim.ExponentialLR(optimizer, 0.9).base_lr == 0.2


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_an_optimizer_follows_its_schedule(name):
    pytest.importorskip(name, reason=f"{name} is not installed")
    with nnx.use_backend(name):
        model, optimizer = nnx.Linear(1, 1, bias=False), optim.SGD(lr=1.0)
        schedule = optim.StepLR(optimizer, 1, gamma=0.5)
        grads = {"weight": nnx.asarray(np.ones((1, 1), "float32"))}
        start = float(nnx.to_numpy(model.weight)[0, 0])
        for _ in range(3):
            optimizer.update(model, grads)
            schedule.step()
        assert float(nnx.to_numpy(model.weight)[0, 0]) == pytest.approx(start - 1.75)


REFUSED = [
    (lambda o: optim.OneCycleLR(o, 0.1), "total_steps, or epochs and steps_per_epoch"),
    (lambda o: optim.OneCycleLR(o, 0.1, total_steps=10, pct_start=1.5), "pct_start in"),
    (lambda o: optim.OneCycleLR(o, 0.1, total_steps=10, anneal_strategy="cosine"), "'cos' or 'linear'"),
    (lambda o: optim.OneCycleLR(optim.Adagrad(), 0.1, total_steps=10), "no momentum to cycle"),
    (lambda o: optim.CosineAnnealingWarmRestarts(o, 0), "must be >= 1"),
    (lambda o: optim.SequentialLR(o, [optim.ConstantLR(o)], [3]), "need 0 milestones"),
    (lambda o: optim.ChainedScheduler([]), "at least one schedule"),
    (lambda o: optim.ChainedScheduler([optim.ConstantLR(o)], optim.SGD()), "the same optimizer"),
    (lambda o: optim.CyclicLR(o, 0.1, 0.2, mode="square"), "mode must be 'triangular'"),
    (lambda o: optim.CyclicLR(o, 0.1, 0.2, scale_mode="batch"), "scale_mode must be 'cycle'"),
    (lambda o: optim.CyclicLR(o, 0.1, [0.2, 0.3]), "have 1 learning rates, got 2 values"),
    (lambda o: optim.CyclicLR(optim.Adagrad(), 0.1, 0.2), "no momentum to cycle"),
    (lambda o: optim.SWALR(o, 0.1, anneal_strategy="cosine"), "'cos' or 'linear'"),
    (lambda o: optim.SWALR(o, 0.1, -1), "anneal_epochs must be >= 0"),
    (lambda o: optim.LambdaLR(o, [abs, abs]), "LambdaLR: lr_lambda: the optimizer and its groups have 1"),
    (lambda o: optim.SequentialLR(o, [optim.ConstantLR(optim.SGD())], []), "the same optimizer"),
    (lambda o: optim.warmup_cosine(o, 10, 10), "warmup_steps must be in"),
    (lambda o: optim.ReduceLROnPlateau(o, factor=1.0), "factor must be in"),
    (lambda o: optim.ReduceLROnPlateau(o, mode="best"), "mode must be"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make(optim.SGD())


def test_a_sequence_takes_schedules_of_t_alone():
    optimizer = optim.SGD()
    with pytest.raises(TypeError, match="takes schedules of t alone, got ReduceLROnPlateau"):
        optim.SequentialLR(optimizer, [optim.ReduceLROnPlateau(optimizer)], [])


def test_a_schedule_takes_an_optimizer():
    with pytest.raises(TypeError, match=r"takes an optimizer of nnx\.optim, got Linear"):
        optim.ExponentialLR(nnx.Linear(1, 1), 0.9)
