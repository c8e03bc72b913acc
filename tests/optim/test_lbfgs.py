"""L-BFGS against torch's, with and without the line search, on functions that are hard enough to need it."""

import json
import sys

import numpy as np
import pytest

import nnx
from nnx import optim
from nnx.optim.wolfe import Point, strong_wolfe
from tests.oracle import torch
from tests.support import assert_close

rng = np.random.default_rng(4)
W, B = rng.standard_normal((2, 3)), np.asarray([-1.2, 1.0])
X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))


class Net(nnx.Module):
    def __init__(self):
        self.w, self.b = nnx.asarray(W), nnx.asarray(B)


def hard(w, b, x, y, total):
    """Rosenbrock's valley in b, and a logistic fit in w."""
    fit = total(((x @ w.T + b * 0.1) - y) ** 4)
    return (1.0 - b[0]) ** 2 + 100.0 * (b[1] - b[0] ** 2) ** 2 + fit


def ours(model, x, y):
    return hard(model.w, model.b, x, y, nnx.namespace(x).sum)


OPTIONS = [
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3, "lr": 0.5},
    {"line_search_fn": "strong_wolfe", "max_iter": 10, "max_eval": 6},
    {"lr": 1e-3, "max_iter": 5},
    {"lr": 1e-3, "max_iter": 1},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 1.0, "tolerance_change": 1e-3},
]


def torch_run(options, steps):
    w, b = (torch.from_numpy(p.copy()).requires_grad_() for p in (W, B))
    optimizer = torch.optim.LBFGS([w, b], **options)
    x, y, losses = torch.from_numpy(X), torch.from_numpy(Y), []

    def closure():
        optimizer.zero_grad()
        loss = hard(w, b, x, y, torch.sum)
        loss.backward()
        return loss

    with np.errstate(all="ignore"):
        for _ in range(steps):
            losses.append(float(optimizer.step(closure).detach()))
    return losses, w.detach().numpy(), b.detach().numpy(), optimizer.state[w]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.float64("line searches branch on the last digits")
def test_equals_torchs(backend, options):
    steps = 8 if backend.name in ("numpy", "array_api_strict") else 2
    model, optimizer = Net(), optim.LBFGS(**options)
    x, y = nnx.asarray(X), nnx.asarray(Y)
    found = [float(nnx.to_numpy(optimizer.step(ours, model, x, y))) for _ in range(steps)]
    losses, w, b, state = torch_run(options, steps)
    np.testing.assert_allclose(found, losses, rtol=1e-7, atol=1e-12)  # a search branches on rounded numbers
    assert_close(model.w, w, 1e-5, 1e-7)
    assert_close(model.b, b, 1e-5, 1e-7)
    assert (optimizer._memory.iterations, optimizer._memory.evaluations) == (state["n_iter"], state["func_evals"])
    assert optimizer.steps == steps


def test_the_first_steps_are_exact():
    """Before rounding has grown: to the last digits."""
    for options in OPTIONS[:2]:
        model, optimizer = Net(), optim.LBFGS(**{**options, "max_iter": 5})
        optimizer.step(ours, model, X, Y)
        _, w, b, _ = torch_run({**options, "max_iter": 5}, 1)
        assert_close(model.w, w, 1e-10, 1e-12)
        assert_close(model.b, b, 1e-10, 1e-12)


def test_finds_the_bottom_of_the_valley(backend):
    model, optimizer = Net(), optim.LBFGS(line_search_fn="strong_wolfe", max_iter=100)
    valley = lambda model: (1.0 - model.b[0]) ** 2 + 100.0 * (model.b[1] - model.b[0] ** 2) ** 2
    optimizer.step(valley, model)
    assert_close(model.b, np.ones(2), 1e-3)
    assert_close(model.w, W)


def test_goes_on_from_a_checkpoint_bit_for_bit(backend):
    x, y = nnx.asarray(X), nnx.asarray(Y)
    model, optimizer = Net(), optim.LBFGS(line_search_fn="strong_wolfe", max_iter=4)
    optimizer.step(ours, model, x, y)
    state, arrays = optimizer.state_dict(), model.state_dict()
    numbers = json.loads(json.dumps({k: v for k, v in state.items() if k != "slots"}))
    again, twin = optim.LBFGS(), Net()
    again.load_state_dict({**numbers, "slots": state["slots"]})
    twin.load_state_dict(arrays)
    for m, o in ((model, optimizer), (twin, again)):
        o.step(ours, m, x, y)
    for path in ("w", "b"):
        np.testing.assert_array_equal(nnx.to_numpy(getattr(twin, path)), nnx.to_numpy(getattr(model, path)))
    assert again.hyperparameters() == optimizer.hyperparameters()


def test_an_error_in_the_loss_changes_nothing():
    model, optimizer = Net(), optim.LBFGS(line_search_fn="strong_wolfe", max_iter=3)
    optimizer.step(ours, model, X, Y)
    before, memory, calls = model.b.copy(), json.dumps(optimizer.state_dict()["memory"]), [0]

    def failing(model, x, y):
        calls[0] += 1
        if calls[0] == 3:
            raise RuntimeError("out of data")
        return ours(model, x, y)

    with pytest.raises(RuntimeError, match="out of data"):
        optimizer.step(failing, model, X, Y)
    np.testing.assert_array_equal(model.b, before)
    assert json.dumps(optimizer.state_dict()["memory"]) == memory
    assert optimizer.steps == 1


def test_frozen_parameters_stay_and_a_new_structure_forgets(backend):
    model, optimizer = Net(), optim.LBFGS(line_search_fn="strong_wolfe", max_iter=3)
    x, y = nnx.asarray(X), nnx.asarray(Y)
    optimizer.step(ours, model, x, y)
    model.register_buffer("b", model.b)  # no parameter any more
    before = np.array(nnx.to_numpy(model.b))
    optimizer.step(ours, model, x, y)
    assert_close(model.b, before)
    assert optimizer._memory.paths == [["w", [2, 3]]]


def test_update_says_what_to_call():
    model = Net()
    with pytest.raises(TypeError, match=r"call optimizer\.step\(loss_fn, model, \*batch\)"):
        optim.LBFGS().update(model, model.trainable())


def test_parameters_of_two_dtypes():
    model = Net()
    model.b = model.b.astype("float32")
    with pytest.raises(ValueError, match="expected one dtype, got float32, float64"):
        optim.LBFGS().step(ours, model, X, Y)


LINES = {
    "cubic": (lambda t: t**3 - 2.0 * t, lambda t: 3.0 * t * t - 2.0),
    "far": (lambda t: (t - 30.0) ** 2, lambda t: 2.0 * (t - 30.0)),
    "wall": (lambda t: 1.0 / (1.1 - t) - 3.0 * t if t < 1.1 else float("inf"), lambda t: 1.0 / (1.1 - t) ** 2 - 3.0),
    "waves": (lambda t: np.cos(3.0 * t) - t, lambda t: -3.0 * np.sin(3.0 * t) - 1.0),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("t", [0.01, 1.0, 1.8])
def test_a_line_search_ends_where_wolfe_wants_it(name, t):
    f, slope = LINES[name]
    origin = Point(0.0, float(f(0.0)), float(slope(0.0)), None)
    evaluate = lambda t: Point(t, float(f(t)), float(slope(t)), None)
    found, used = strong_wolfe(evaluate, origin, t, 1.0, 1e-9, 25)
    assert found.f <= origin.f + 1e-4 * found.t * origin.slope
    assert abs(found.slope) <= 0.9 * abs(origin.slope)
    assert 1 <= used <= 25


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"wall"}))  # torch's does not come back from an infinite value
@pytest.mark.parametrize("most", [3, 25])
@pytest.mark.parametrize("seed", range(12))
def test_a_line_search_is_torchs(name, most, seed):
    """The same step after the same number of evaluations, from first steps of all sizes, on wavy lines too."""
    f, slope = LINES[name]
    w, a = np.random.default_rng(seed).uniform(2.0, 30.0), 0.3 * np.random.default_rng(seed + 100).uniform()
    value = lambda t: float(f(t) + a * np.sin(w * t))
    rise = lambda t: float(slope(t) + a * w * np.cos(w * t))
    if rise(0.0) >= 0.0:
        value, rise = (lambda t: float(f(t))), (lambda t: float(slope(t)))
    first, d = 10.0 ** (seed / 4.0 - 2.0), torch.ones(1, dtype=torch.float64)

    def theirs(x, t, d):
        return value(float(t)), torch.tensor([rise(float(t))], dtype=torch.float64)

    g = torch.tensor([rise(0.0)], dtype=torch.float64)
    with np.errstate(all="ignore"):
        _, _, t, used = sys.modules["torch.optim.lbfgs"]._strong_wolfe(
            theirs, None, first, d, value(0.0), g, g.dot(d), max_ls=most, tolerance_change=1e-9
        )
        evaluate = lambda t: Point(t, value(t), rise(t), None)
        found, count = strong_wolfe(evaluate, evaluate(0.0), first, 1.0, 1e-9, most)
    assert count == used
    assert found.t == pytest.approx(float(t), rel=1e-9)
