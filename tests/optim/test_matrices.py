"""Optimizers that look at a whole parameter, and those of papers: against PyTorch's Muon, and against the formulas."""

import numpy as np
import pytest

import nnx
from nnx import optim
from tests.oracle import torch
from tests.support import assert_close

STEPS = 100
rng = np.random.default_rng(5)
START = {
    "wide": rng.standard_normal((3, 5)),
    "tall": rng.standard_normal((6, 2)),
    "square": rng.standard_normal((3, 3)),
}
NOISE = [{path: rng.standard_normal(x.shape) for path, x in START.items()} for _ in range(STEPS)]


def gradient(path, p, t):
    return p * 0.3 + NOISE[t][path]


def run(optimizer, steps, start=START):
    """Ours after so many steps; a sign for maximize."""
    params = {path: nnx.asarray(x) for path, x in start.items()}
    sign = -1.0 if optimizer.maximize else 1.0
    for t in range(steps):
        grads = {path: nnx.asarray(sign * gradient(path, nnx.to_numpy(p), t)) for path, p in params.items()}
        params = optimizer.apply(params, grads)
    return params


def steps_on(backend):
    return STEPS if backend.name in ("numpy", "array_api_strict") else 10


# ---- Muon ------------------------------------------------------------------------------------------------------------

MUON = [
    {},
    {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.01},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "ns_coefficients": (3.0, -3.2, 1.2), "eps": 1e-3},
    {"lr": 0.02, "adjust_lr_fn": "original"},
]


def torch_muon(options, steps):
    params = {path: torch.from_numpy(x.copy()).requires_grad_() for path, x in START.items()}
    optimizer = torch.optim.Muon(params.values(), **options)
    for t in range(steps):
        for path, p in params.items():
            p.grad = torch.from_numpy(gradient(path, p.detach().numpy(), t))
        optimizer.step()
    return {path: p.detach().numpy() for path, p in params.items()}


@pytest.mark.parametrize("options", MUON)
def test_muon_is_torchs_but_for_its_bfloat16(backend, options, monkeypatch):
    found = run(optim.Muon(**options), steps_on(backend))
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # torch's own lines, in float64
    for path, expected in torch_muon(options, steps_on(backend)).items():
        assert_close(found[path], expected, 1e-10, 1e-10)


def test_muon_and_torchs_bfloat16_go_the_same_way():
    moved, expected = run(optim.Muon(0.1, weight_decay=0.0), 1), torch_muon({"lr": 0.1, "weight_decay": 0.0}, 1)
    for path, start in START.items():
        np.testing.assert_allclose(nnx.to_numpy(moved[path]) - start, expected[path] - start, atol=6e-3)


def test_muon_steps_by_a_nearly_orthogonal_matrix(backend):
    step = START["wide"] - nnx.to_numpy(run(optim.Muon(1.0, weight_decay=0.0), 1)["wide"])
    values = np.linalg.svd(step, compute_uv=False)
    assert 0.6 < values.min() <= values.max() < 1.3


def test_muon_moves_matrices_alone(backend):
    model = nnx.Linear(3, 2)
    with pytest.raises(ValueError, match=r"'bias' has shape \(2,\): give it to another optimizer, e\.g\. ByPath"):
        optim.Muon().init(model)
    with pytest.raises(ValueError, match="'bias' has shape"):
        optim.Muon().update(model, model.trainable())


# ---- the papers' formulas, in plain NumPy ----------------------------------------------------------------------------


def lion(p, gradient, lr, betas, weight_decay):
    """Chen et al. 2023, algorithm 2, line by line."""
    b1, b2 = betas
    m = np.zeros_like(p)
    for t in range(STEPS):
        g = gradient(p, t)
        c = b1 * m + (1 - b1) * g
        p = p - lr * (np.sign(c) + weight_decay * p)
        m = b2 * m + (1 - b2) * g
        yield p


def lamb(p, gradient, lr, betas, eps, weight_decay):
    """You et al. 2020, algorithm 2, φ the identity."""
    b1, b2 = betas
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t in range(1, STEPS + 1):
        g = gradient(p, t - 1)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        u = r + weight_decay * p
        p = p - lr * np.linalg.norm(p) / np.linalg.norm(u) * u
        yield p


def schedule_free(x, gradient, lr, betas, eps, weight_decay, warmup_steps):
    """Defazio et al. 2024, algorithm 1; gives (y, x)."""
    b1, b2 = betas
    z, v, total = x, np.zeros_like(x), 0.0
    for t in range(1, STEPS + 1):
        y = (1 - b1) * z + b1 * x
        g = gradient(y, t - 1)
        v = b2 * v + (1 - b2) * g**2
        size = lr * np.sqrt(1 - b2**t) * min(1.0, t / warmup_steps)
        z = z - size * g / (np.sqrt(v) + eps) - size * weight_decay * y
        total += size**2
        c = size**2 / total
        x = (1 - c) * x + c * z
        yield (1 - b1) * z + b1 * x, x


PAPERS = {
    "Lion": (lion, {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1}),
    "LAMB": (lamb, {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.01}),
    "AdamWScheduleFree": (
        schedule_free,
        {"lr": 0.02, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "warmup_steps": 7},
    ),
}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", PAPERS)
def test_100_steps_equal_the_papers(backend, name, maximize):
    formula, options = PAPERS[name]
    steps = steps_on(backend)
    found = run(getattr(optim, name)(**options, maximize=maximize), steps)
    for path, start in START.items():
        paper = list(formula(start, lambda p, t, path=path: gradient(path, p, t), **options))[steps - 1]
        assert_close(found[path], paper[0] if isinstance(paper, tuple) else paper, 1e-10, 1e-10)


def test_lamb_where_a_norm_is_0(backend):
    zeros, ones = np.zeros((2, 2)), np.ones((2, 2))
    optimizer = optim.LAMB(0.1, weight_decay=0.0)
    params = {"p is 0": nnx.asarray(zeros), "g is 0": nnx.asarray(ones)}
    new = optimizer.apply(params, {"p is 0": nnx.asarray(ones), "g is 0": nnx.asarray(zeros)})
    assert_close(new["p is 0"], zeros - 0.1, 1e-5)
    assert_close(new["g is 0"], ones)


# ---- schedule-free: which weights the model holds --------------------------------------------------------------------


class Quadratic(nnx.Module):
    def __init__(self):
        self.wide, self.tall, self.square = (nnx.asarray(START[path]) for path in START)


def trained(steps=10, **options):
    model, optimizer = Quadratic(), optim.AdamWScheduleFree(0.02, (0.9, 0.99), warmup_steps=7, **options)
    go_on(model, optimizer, range(steps))
    return model, optimizer


def go_on(model, optimizer, steps):
    for t in steps:
        grads = {path: nnx.asarray(gradient(path, nnx.to_numpy(p), t)) for path, p in model.trainable().items()}
        optimizer.update(model, grads)


def values(model):
    return {path: np.array(nnx.to_numpy(p)) for path, p in model.named_parameters()}


def test_eval_and_train_switch_the_weights(backend):
    model, optimizer = trained()
    before, arrays = values(model), model.trainable()
    optimizer.eval(model)
    optimizer.eval(model)  # twice is once
    for path, start in START.items():
        steps = schedule_free(start, lambda p, t, path=path: gradient(path, p, t), 0.02, (0.9, 0.99), 1e-8, 0.0, 7)
        y, x = list(steps)[9]
        assert_close(getattr(model, path), x, 1e-9, 1e-10)
        assert abs(x - y).max() > 1e-4
    with pytest.raises(RuntimeError, match=r"optimizer\.train\(model\) comes before the next update"):
        optimizer.update(model, model.trainable())
    optimizer.train(model)
    optimizer.train(model)
    assert {path: id(p) for path, p in model.trainable().items()} == {path: id(p) for path, p in arrays.items()}
    with optimizer.averaged(model):
        assert (values(model)["wide"] != before["wide"]).any()
    assert all((values(model)[path] == before[path]).all() for path in before)


def test_a_checkpoint_taken_in_evaluation_goes_on(backend):
    model, optimizer = trained()
    optimizer.eval(model)
    state, arrays = optimizer.state_dict(), model.state_dict()
    optimizer.train(model)
    go_on(model, optimizer, range(10, 15))
    again, twin = optim.AdamWScheduleFree(), Quadratic()
    twin.load_state_dict(arrays)
    again.load_state_dict(state)
    assert again.evaluating
    again.train(twin)
    go_on(twin, again, range(10, 15))
    for path in START:
        assert_close(getattr(twin, path), values(model)[path], 1e-10, 1e-12)


def test_before_the_first_step_both_are_the_start(backend):
    model, optimizer = Quadratic(), optim.AdamWScheduleFree()
    with optimizer.averaged(model):
        assert_close(model.wide, START["wide"])


def test_a_rate_of_0_keeps_everything(backend):
    params = {"wide": nnx.asarray(START["wide"])}
    assert_close(optim.AdamWScheduleFree(0.0).apply(params, params)["wide"], START["wide"], 1e-12)
