"""A scaled loss trains as an unscaled one does; an overflow leaves everything as it was but for the scale."""

import json
import math

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.precision import GradScaler

RULES = {
    "sgd": lambda: nnx.optim.SGD(0.1),
    "momentum": lambda: nnx.optim.SGD(0.1, momentum=0.9),
    "adam": lambda: nnx.optim.Adam(1e-2),
}


def points(n=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype("float32")
    return nnx.asarray(x), nnx.asarray((x[:, :1] * x[:, 1:2] > 0).astype("int64")[:, 0])


def network():
    nnx.seed(1)
    return nnx.Sequential(nnx.Linear(4, 16), nnx.ReLU(), nnx.Dropout(0.05), nnx.Linear(16, 2))


def loss_in(dtype):
    def loss_of(model, x, y):
        with nnx.autocast(dtype or "float16", enabled=dtype is not None):
            return losses.cross_entropy(model(x), y)

    return loss_of


def arrays(tree):
    return {name: nnx.to_numpy(x).copy() for name, x in tree.items()}


def slots(optimizer):
    return {(path, k): nnx.to_numpy(x).copy() for path, kept in optimizer.state.items() for k, x in enumerate(kept)}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, x in found.items():
        np.testing.assert_array_equal(x, expected[name], err_msg=str(name))


def trained(dtype, scaler, steps=40, compiled=False):
    model, optimizer, (x, y) = network(), nnx.optim.Adam(3e-2), points()
    take = (scaler or nnx).value_and_grad(loss_in(dtype))

    def step(x, y):
        loss, grads = take(model, x, y)
        optimizer.update(model, grads) if scaler is None else scaler.update(optimizer, model, grads)
        return loss

    if compiled:
        step = nnx.compile(step, state=(model, optimizer, *([scaler] if scaler else [])))
    nnx.seed(2)
    return model, [float(step(x, y)) for _ in range(steps)]


def test_it_learns_what_float32_learns(half):
    scaler, compiled = GradScaler(growth_interval=10) if half == "float16" else None, nnx.get_backend().name == "jax"
    model, found = trained(half, scaler, compiled=compiled)
    _, expected = trained(None, None, compiled=compiled)
    assert expected[-1] < 0.35 < expected[0]
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert {str(p.dtype).rpartition(".")[2] for p in model.parameters()} == {"float32"}
    if scaler is not None:
        assert scaler.get_scale() != 65536.0, "it grew, or was taken back"


def test_scaling_by_a_power_of_two_changes_nothing(backend):
    """In float32: the same numbers, dropout's masks included."""
    compiled = backend.name == "jax"
    model, found = trained(None, GradScaler(2.0**10), 4, compiled)
    plain, expected = trained(None, None, 4, compiled)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for name, x in arrays(model.state_dict()).items():
        np.testing.assert_allclose(x, nnx.to_numpy(plain.state_dict()[name]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_an_overflow_skips_the_step_and_halves_the_scale(backend, rule, bad):
    model, optimizer, scaler, (x, y) = network(), RULES[rule](), GradScaler(1024.0), points()
    for _ in range(2):
        _, grads = scaler.value_and_grad(loss_in(None))(model, x, y)
        scaler.update(optimizer, model, grads)
    weights, kept = arrays(model.state_dict()), slots(optimizer)
    broken = {**grads, "3.bias": grads["3.bias"] * bad}
    scaler.update(optimizer, model, broken)
    assert_equal(arrays(model.state_dict()), weights)
    assert_equal(slots(optimizer), kept)
    assert (scaler.get_scale(), scaler.state_dict()["_growth_tracker"]) == (512.0, 0)
    assert optimizer.steps == 3
    scaler.update(optimizer, model, grads)
    assert scaler.state_dict()["_growth_tracker"] == 1
    after = arrays(model.state_dict())
    assert all(np.isfinite(x).all() and not np.array_equal(x, weights[name]) for name, x in after.items())


def test_the_first_step_may_be_the_one_that_is_left_out(backend):
    model, optimizer, scaler, (x, y) = network(), nnx.optim.Adam(1e-2), GradScaler(), points()
    _, grads = scaler.value_and_grad(loss_in(None))(model, x, y)
    before = arrays(model.state_dict())
    scaler.update(optimizer, model, {name: g * math.inf for name, g in grads.items()})
    assert_equal(arrays(model.state_dict()), before)
    assert all(not x.any() for x in slots(optimizer).values())


def test_a_real_overflow_in_float16(float16):
    model, optimizer, scaler, (x, y) = network(), nnx.optim.SGD(0.1), GradScaler(2.0**31), points()
    take = scaler.value_and_grad(loss_in(float16))
    before, scales = arrays(model.state_dict()), []
    for _ in range(3):
        loss, grads = take(model, x, y)
        assert math.isfinite(float(loss))
        assert not all(np.isfinite(g).all() for g in arrays(grads).values())
        scaler.update(optimizer, model, grads)
        scales.append(scaler.get_scale())
    assert scales == [2.0**30, 2.0**29, 2.0**28]
    assert_equal(arrays(model.state_dict()), before)


def test_small_gradients_do_not_vanish(float16):
    """1e-9 is 0 in float16; times 65536 it is not, and comes out as it was."""
    w = nnx.asarray([[1.0]], "float32")

    def loss_of(w, x):
        with nnx.autocast(float16):
            y = nnx.functional.linear(x, w)
            return losses.mse_loss(y, y * 0.0, reduction="sum") * 5e-10

    x = nnx.asarray([[1.0]], "float32")
    assert float(nnx.grad(loss_of)(w, x)[0, 0]) == 0.0
    _, g = GradScaler().value_and_grad(loss_of)(w, x)
    assert float(g[0, 0]) == pytest.approx(1e-9, rel=2e-3)


def test_the_scale_grows_after_the_interval(backend):
    model, optimizer, (x, y) = network(), nnx.optim.SGD(0.1), points()
    scaler = GradScaler(8.0, growth_factor=4.0, backoff_factor=0.25, growth_interval=3)
    _, grads = scaler.value_and_grad(loss_in(None))(model, x, y)
    bad = {name: g * math.nan for name, g in grads.items()}
    found = []
    for g in [grads] * 3 + [bad] + [grads] * 4 + [bad]:
        scaler.update(optimizer, model, g)
        state = scaler.state_dict()
        found.append((state["scale"], state["_growth_tracker"]))
    assert found == [(8, 1), (8, 2), (32, 0), (8, 0), (8, 1), (8, 2), (32, 0), (32, 1), (8, 0)]


def test_a_scale_that_would_be_infinite_does_not_grow(backend):
    model, optimizer, (x, y) = network(), nnx.optim.SGD(0.1), points()
    scaler = GradScaler(3e38, growth_interval=1)
    grads = nnx.grad(loss_in(None))(model, x, y)
    scaler.update(optimizer, model, grads)
    assert scaler.get_scale() == pytest.approx(3e38)


def test_it_follows_pytorchs_scaler(monkeypatch):
    """The same scales, and the same steps left out, over a run of good and bad gradients."""
    torch = pytest.importorskip("torch")
    options = {"init_scale": 16.0, "growth_factor": 3.0, "backoff_factor": 0.5, "growth_interval": 2}
    theirs = torch.amp.GradScaler("cpu", **options)
    p = torch.nn.Parameter(torch.zeros(2))
    sgd = torch.optim.SGD([p], lr=1.0)
    with nnx.use_backend("torch"):
        model, ours, optimizer = nnx.Linear(2, 1, bias=False), GradScaler(**options), nnx.optim.SGD(1.0)
        model.weight = nnx.asarray([[0.0, 0.0]], "float32")
        for factor in [1.0, 2.0, math.inf, 1.0, 3.0, 1.0, math.nan, math.nan, 1.0]:
            sgd.zero_grad()
            theirs.scale((p * torch.tensor([1.0, factor])).sum()).backward()
            theirs.step(sgd)
            theirs.update()
            x = nnx.asarray([[1.0, factor]], "float32")
            _, grads = ours.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))(model, x)
            ours.update(optimizer, model, grads)
            assert ours.state_dict() == theirs.state_dict()
            np.testing.assert_array_equal(nnx.to_numpy(model.weight)[0], p.detach().numpy())


def test_state_goes_through_json_and_on(backend):
    model, optimizer, (x, y) = network(), nnx.optim.SGD(0.1), points()
    scaler, other = GradScaler(32.0, growth_interval=3), GradScaler()
    grads = nnx.grad(loss_in(None))(model, x, y)
    scaler.update(optimizer, model, grads)
    state = json.loads(json.dumps(scaler.state_dict()))
    other.load_state_dict(state)
    assert other.state_dict() == state == {
        "scale": 32.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3, "_growth_tracker": 1,
    }  # fmt: skip
    for one in (scaler, other):
        one.update(optimizer, model, grads)
        one.update(optimizer, model, grads)
        assert one.get_scale() == 64.0


def test_clipping_between():
    model, optimizer, scaler, (x, y) = network(), nnx.optim.SGD(1.0), GradScaler(), points()
    _, grads = scaler.value_and_grad(loss_in(None))(model, x, y)
    _, plain = nnx.value_and_grad(loss_in(None))(model, x, y)
    norm = nnx.optim.clip_grad_norm(plain, 1.0)[1]
    nnx.seed(2)
    clipped, found = nnx.optim.clip_grad_norm(grads, float(norm) / 2)
    assert float(found) == pytest.approx(float(norm), rel=0.5)
    before = arrays(model.state_dict())
    with np.errstate(invalid="ignore"):
        bad, _ = nnx.optim.clip_grad_norm({**grads, "0.bias": grads["0.bias"] * math.inf}, 1.0)
    scaler.update(optimizer, model, bad)
    assert_equal(arrays(model.state_dict()), before)
    scaler.update(optimizer, model, clipped)
    assert not np.array_equal(arrays(model.state_dict())["0.bias"], before["0.bias"])


def test_without_a_scaler(backend):
    model, optimizer, scaler, (x, y) = network(), nnx.optim.SGD(0.1), GradScaler(enabled=False), points()
    nnx.seed(3)
    loss, grads = scaler.value_and_grad(loss_in(None), has_aux=False)(model, x, y)
    nnx.seed(3)
    plain, expected = nnx.value_and_grad(loss_in(None))(model, x, y)
    assert float(loss) == float(plain)
    assert_equal(arrays(grads), arrays(expected))
    scaler.update(optimizer, model, {name: g * math.nan for name, g in grads.items()})
    assert all(np.isnan(x).all() for x in arrays(model.state_dict()).values())
    assert (scaler.get_scale(), scaler.state_dict()) == (1.0, {})


def test_auxiliary_results_and_several_arguments():
    scaler = GradScaler(8.0)
    w, v = nnx.asarray([2.0], "float32"), nnx.asarray([3.0], "float32")
    found = scaler.value_and_grad(lambda w, v: (nnx.namespace(w).sum(w * v), w + v), argnums=(0, 1), has_aux=True)(w, v)
    (loss, aux), (dw, dv) = found
    assert (float(loss), float(aux[0]), float(dw[0]), float(dv[0])) == (6.0, 5.0, 3.0, 2.0)


def test_errors():
    model, optimizer, scaler = nnx.Linear(2, 1).to(dtype="float16"), nnx.optim.SGD(0.1), GradScaler()
    x = nnx.asarray([[1.0, 2.0]], "float16")
    with pytest.raises(ValueError, match="a gradient is float16, as its parameter is: keep the parameters in float32"):
        scaler.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))(model, x)
    with pytest.raises(ValueError, match="needs at least one gradient"):
        scaler.update(optimizer, model.freeze(), {})
    with pytest.raises(KeyError, match="expected scale, growth_factor"):
        scaler.load_state_dict({})
    for wrong in ({"init_scale": 0.0}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"growth_interval": 0}):
        with pytest.raises(ValueError, match="GradScaler: expected init_scale > 0"):
            GradScaler(**wrong)


def test_compile_carries_the_scaler():
    """One trace; the scale of a compiled run moves as that of an eager one, overflows and all."""
    pytest.importorskip("jax")
    found = {}
    with nnx.use_backend("jax"):
        for compiled in (False, True):
            model, optimizer, scaler = nnx.Linear(2, 1), nnx.optim.Adam(0.1), GradScaler(8.0, growth_interval=2)
            model.load_state_dict({"weight": nnx.asarray([[1.0, 2.0]]), "bias": nnx.asarray([0.5])})
            take = scaler.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))

            def step(x, take=take, scaler=scaler, model=model, optimizer=optimizer):
                loss, grads = take(model, x)
                scaler.update(optimizer, model, grads)
                return loss

            run = nnx.compile(step, state=(model, optimizer, scaler)) if compiled else step
            states = []
            for x in [1.0, 2.0, math.inf, 1.0, 1.0, 1.0]:
                run(nnx.asarray([[1.0, x]], "float32"))
                states.append(scaler.state_dict())
            found[compiled] = states, arrays(model.state_dict()), optimizer.steps
            assert not compiled or (run.traces == 1 and not optimizer.missed)
    assert found[True][0] == found[False][0]
    assert found[True][2] == found[False][2] == 6
    for name, x in found[True][1].items():
        np.testing.assert_allclose(x, found[False][1][name], rtol=1e-6)
