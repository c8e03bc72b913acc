"""Every optimizer against torch.optim over 100 steps, and what they share."""

import contextlib
import inspect
import itertools

import numpy as np
import pytest

import nnx
from nnx import optim
from tests.optim.rows import ROWS
from tests.oracle import torch
from tests.support import assert_close, assert_same

STEPS = 100
OPTIMIZERS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.4}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.5, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "betas": (0.5, 0.9)}),
    ("AdamW", {"lr": 0.02, "amsgrad": True, "betas": (0.5, 0.9), "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.03, "betas": (0.5, 0.9)}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.02, "weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.02, "alpha": 0.5, "t0": 20.0, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "weight_decay": 0.1, "eps": 1e-3}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.7, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3}),
]
IDS = ["-".join([name, *map(str, options)]) for name, options in OPTIMIZERS]
every_optimizer = pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=IDS)

rng = np.random.default_rng(11)
START = {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(4)}
CURVATURE = {path: rng.uniform(0.1, 2.0, x.shape) for path, x in START.items()}
NOISE = [{path: rng.standard_normal(x.shape) * 0.1 for path, x in START.items()} for _ in range(STEPS)]


@contextlib.contextmanager
def numbers_in(dtype):
    """The dtype in which torch keeps what are Python's numbers here (NAdam's product, ASGD's eta)."""
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def torch_run(name, options, steps=STEPS, dtype="float64"):
    """torch's parameters after so many steps of a noisy quadratic."""
    params = {k: torch.from_numpy(x.astype(dtype)).requires_grad_() for k, x in START.items()}
    optimizer = getattr(torch.optim, name)(params.values(), **options)
    up = -1.0 if options.get("maximize") else 1.0  # or it would run away
    with numbers_in(dtype):
        for t in range(steps):
            for path, p in params.items():
                curvature, noise = (torch.from_numpy(x[path].astype(dtype)) for x in (CURVATURE, NOISE[t]))
                p.grad = up * (p.detach() * curvature + noise)
            optimizer.step()
    return {k: p.detach().numpy() for k, p in params.items()}


class Quadratic(nnx.Module):
    def __init__(self, dtype="float64"):
        self.w, self.b = (nnx.asarray(START[name].astype(dtype)) for name in ("w", "b"))


def gradients(params, t):
    home = {path: nnx.asarray(NOISE[t][path], str(p.dtype).rpartition(".")[2]) for path, p in params.items()}
    curvature = {path: nnx.asarray(CURVATURE[path], str(p.dtype).rpartition(".")[2]) for path, p in params.items()}
    return {path: p * curvature[path] + home[path] for path, p in params.items()}


def run(optimizer, model, steps):
    for t in steps:
        grads = gradients(model.trainable(), t)
        optimizer.update(model, {path: -g for path, g in grads.items()} if optimizer.maximize else grads)


@every_optimizer
def test_100_steps_equal_torchs(backend, name, options):
    steps = STEPS if backend.name in ("numpy", "array_api_strict") else 25  # the others do the same arithmetic, slowly
    model = Quadratic()
    run(getattr(optim, name)(**options), model, range(steps))
    for path, expected in torch_run(name, options, steps).items():
        assert_close(getattr(model, path), expected, 1e-10, 1e-10)


@every_optimizer
def test_float32_stays_float32(backend, name, options):
    model = Quadratic("float32")
    device = model.w.device
    run(getattr(optim, name)(**options), model, range(5))
    for path, expected in torch_run(name, options, 5, "float32").items():
        assert_close(getattr(model, path), expected, 1e-4, 1e-5)
    assert model.w.device == device


@every_optimizer
def test_old_parameters_and_gradients_are_left_alone(backend, name, options):
    params = {k: nnx.asarray(x.copy()) for k, x in START.items()}
    grads = gradients(params, 0)
    before = {k: np.array(nnx.to_numpy(g)) for k, g in grads.items()}
    new = getattr(optim, name)(**options).apply(params, grads)
    for path in params:
        assert_same(params[path], START[path])
        assert_same(grads[path], before[path])
        assert new[path] is not params[path]


@every_optimizer
def test_state_dict_round_trip(backend, name, options):
    model = Quadratic()
    optimizer = getattr(optim, name)(**options)
    run(optimizer, model, range(5))
    state, arrays = optimizer.state_dict(), model.state_dict()
    run(optimizer, model, range(5, 10))  # what was taken is a copy: this must not change it
    held = [x for slots in optimizer.state.values() for x in slots]
    assert not any(x is y for x in optimizer.state_dict()["slots"].values() for y in held), "a user may hold it"
    again, twin = getattr(optim, name)(lr=0.7), Quadratic()
    state["hyperparameters"] = {k: list(v) if isinstance(v, tuple) else v for k, v in state["hyperparameters"].items()}
    again.load_state_dict(state)
    twin.load_state_dict(arrays)
    assert again.hyperparameters() == optimizer.hyperparameters()
    run(again, twin, range(5, 10))
    for path in START:
        assert_same(getattr(twin, path), nnx.to_numpy(getattr(model, path)))
    assert again.steps == optimizer.steps == 10


@pytest.mark.parametrize("t0", [1e6, 4.0, 0.0])
def test_the_average_of_asgd_is_torchs(backend, t0):
    model, optimizer = Quadratic(), optim.ASGD(lr=0.05, t0=t0)
    run(optimizer, model, range(12))
    params = {k: torch.from_numpy(x.copy()).requires_grad_() for k, x in START.items()}
    with numbers_in("float64"):
        theirs = torch.optim.ASGD(params.values(), lr=0.05, t0=t0)
        for t in range(12):
            for path, p in params.items():
                p.grad = p.detach() * torch.from_numpy(CURVATURE[path]) + torch.from_numpy(NOISE[t][path])
            theirs.step()
    for path, p in params.items():
        assert_close(optimizer.state[path][0], theirs.state[p]["ax"].numpy(), 1e-10)


ABOUT_TORCH = {"params", "foreach", "fused", "capturable", "differentiable"}  # how it computes, not what
NOT_OURS = {
    "Optimizer": "the base class: nnx.optim.Optimizer",
    "Adafactor": "factored moments: not asked for yet",
    "SparseAdam": "for sparse gradients, which nnx does not have",
}


def arguments(kind, leave_out=()):
    found = inspect.signature(kind).parameters.values()
    return [(p.name, p.default) for p in found if p.name not in leave_out]


@pytest.mark.parametrize("name", sorted(set(torch.optim.__all__) - NOT_OURS.keys()) if torch else [])
def test_every_optimizer_of_torch_is_there_with_its_arguments(name):
    if not isinstance(getattr(torch.optim, name), type) or not issubclass(
        getattr(torch.optim, name), torch.optim.Optimizer
    ):
        return
    theirs = arguments(getattr(torch.optim, name), ABOUT_TORCH)
    more = {"groups", "maximize"} - {argument for argument, _ in theirs}  # Muon has no maximize there
    assert arguments(getattr(optim, name), more) == theirs
    assert {name for name, _ in OPTIMIZERS} | {"LBFGS", "Muon"} >= {name}


# ---- what optimizers share -------------------------------------------------------------------------------------------

one_of_each = pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)


def network():
    return nnx.Sequential(nnx.Linear(3, 4), nnx.Tanh(), nnx.Linear(4, 2))


def step(model, optimizer):
    x = nnx.asarray(np.ones((5, 3), "float32"))
    loss, grads = nnx.value_and_grad(lambda model, x: nnx.namespace(x).mean(model(x) ** 2))(model, x)
    optimizer.update(model, grads)
    return float(loss)


@one_of_each
def test_the_loss_falls(backend, make):
    model, optimizer = network(), make()
    found = [step(model, optimizer) for _ in range(20)]
    assert found[-1] < 0.9 * found[0]


@one_of_each
def test_frozen_parameters_stay(backend, make):
    model, optimizer = network(), make()
    step(model, optimizer)
    model[0].freeze()
    before = {path: nnx.to_numpy(x).copy() for path, x in model.state_dict().items()}
    step(model, optimizer)
    for path, x in model.state_dict().items():
        assert (nnx.to_numpy(x) == before[path]).all() == path.startswith("0."), path


LATE = [("Adam", {}), ("SGD", {"momentum": 0.9, "dampening": 0.5, "lr": 0.1}), ("RAdam", {"betas": (0.9, 0.8)})]
LATE += [("Adamax", {}), ("NAdam", {}), ("ASGD", {"lambd": 0.1, "lr": 0.1}), ("Rprop", {}), ("Adadelta", {})]


@pytest.mark.parametrize(("name", "options"), LATE)
def test_a_parameter_that_was_frozen_takes_the_steps_that_torch_takes(backend, name, options):
    frozen = {0, 1, 4, 5, 6}  # the steps without b
    params = {k: torch.from_numpy(x.copy()).requires_grad_() for k, x in START.items()}
    theirs = getattr(torch.optim, name)(params.values(), **options)
    model, ours = Quadratic(), getattr(optim, name)(**options)
    for t in range(9):
        grads = gradients({"w": model.w, "b": model.b}, t)
        for path, p in params.items():
            skipped = path == "b" and t in frozen
            p.grad = None if skipped else torch.from_numpy(np.array(nnx.to_numpy(grads[path]))).to(p)
            if skipped:
                del grads[path]
        with numbers_in("float64"):
            theirs.step()
        trained = {path: getattr(model, path) for path in grads}
        model.update(ours.apply(trained, grads))
        if t == 5:  # a checkpoint in between knows of it, too
            state, ours = ours.state_dict(), getattr(optim, name)(**options)
            ours.load_state_dict(state)
    for path, p in params.items():
        assert_close(getattr(model, path), p.detach().numpy(), 1e-10)


def test_a_shared_parameter_moves_once(backend):
    model = nnx.Sequential(nnx.Linear(3, 3), nnx.Linear(3, 3))
    model[1].weight = model[0].weight
    before = nnx.to_numpy(model[0].weight).copy()
    optimizer = optim.SGD(lr=0.5)
    x = nnx.asarray(np.ones((2, 3), "float32"))
    _, grads = nnx.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))(model, x)
    optimizer.update(model, grads)
    assert model[0].weight is model[1].weight
    assert_close(model[0].weight, before - 0.5 * nnx.to_numpy(grads["0.weight"]), 1e-6)


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"plain", "AdamWScheduleFree"}))  # whose average has seen more
def test_a_parameter_of_another_shape_begins_anew(backend, name):
    optimizer, alone = ROWS[name](), ROWS[name]()
    old = {"w": nnx.asarray(START["w"]), "b": nnx.asarray(START["b"])}
    optimizer.apply(old, old)
    new = {"w": nnx.asarray(START["w"][:2, :] + 1.0), "b": old["b"]}
    found = optimizer.apply(new, new)["w"]
    assert_same(found, nnx.to_numpy(alone.apply({"w": new["w"]}, {"w": new["w"]})["w"]))
    assert optimizer.state["w"][0].shape == (2, 4)


def test_missing_and_unexpected_gradients_are_named(backend):
    model, optimizer = network(), optim.Adam()
    grads = dict(model.trainable())
    grads["3.bias"] = grads.pop("0.bias")
    with pytest.raises(KeyError, match=r"no gradient for \['0\.bias'\], unexpected \['3\.bias'\]"):
        optimizer.update(model, grads)
    assert optimizer.steps == 0
    assert not optimizer.state


def test_update_takes_a_module():
    with pytest.raises(TypeError, match=r"apply\(params, grads\)"):
        optim.SGD().update({"w": START["w"]}, {"w": START["w"]})


def test_init_makes_the_slots_before_the_first_step(backend):
    model, optimizer = network(), optim.Adam()
    optimizer.init(model)
    assert list(optimizer.state) == list(model.trainable())
    made = optimizer.state["0.weight"]
    optimizer.init(model)
    assert optimizer.state["0.weight"] is made
    assert_same(made[0], np.zeros((4, 3), "float32"))
    assert_same(optim.Adagrad(initial_accumulator_value=0.5)._fresh(model[0].bias)[0], np.full(4, 0.5, "float32"))


def test_loaded_slots_go_to_their_parameters(backend):
    with nnx.use_backend("numpy"):
        model, optimizer = Quadratic(), optim.Adam()
        run(optimizer, model, range(3))
        state, arrays = optimizer.state_dict(), model.state_dict()
    twin, again = Quadratic(), optim.Adam()
    twin.load_state_dict(arrays)
    with nnx.use_backend("numpy"):  # the active backend is not the model's
        again.load_state_dict(state)
    run(again, twin, range(3, 6))
    with nnx.use_backend("numpy"):
        run(optimizer, model, range(3, 6))
    assert_close(twin.w, model.w, 1e-12)


def test_another_optimizers_state_is_refused():
    with pytest.raises(ValueError, match="no hyperparameter 'betas'"):
        optim.SGD().load_state_dict(optim.Adam().state_dict())


def test_arrays_of_two_backends(backend):
    if backend.name == "numpy":
        pytest.skip("needs another library than NumPy")
    model = Quadratic()
    with pytest.raises(nnx.MixedBackends, match="numpy"):
        optim.Adam().update(model, START)


def test_momentum_may_begin_later(backend):
    model, optimizer = Quadratic(), optim.SGD(lr=0.1)
    run(optimizer, model, range(2))
    assert optimizer.state_dict()["slots"] == {}
    optimizer.momentum = 0.9
    run(optimizer, model, range(2, 4))
    assert set(optimizer.state_dict()["slots"]) == {"w/velocity", "b/velocity"}


REFUSED = [
    (optim.SGD, {"lr": -0.1}, "lr must be >= 0"),
    (optim.SGD, {"lr": float("nan")}, "lr must be >= 0"),
    (optim.SGD, {"momentum": -1.0}, "momentum must be >= 0"),
    (optim.SGD, {"nesterov": True}, "nesterov needs momentum > 0"),
    (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "no dampening"),
    (optim.Adam, {"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\)"),
    (optim.AdamW, {"eps": -1.0}, "AdamW: eps must be >= 0"),
    (optim.NAdam, {"momentum_decay": -1.0}, "NAdam: momentum_decay must be >= 0"),
    (optim.Adadelta, {"rho": 1.5}, r"rho must be in \[0, 1\]"),
    (optim.Rprop, {"etas": (0.5, 0.9)}, "one above 1"),
    (optim.ASGD, {"lambd": -0.1}, "lambd must be >= 0"),
    (optim.Lion, {"betas": (0.9, 1.0)}, r"Lion: betas must be in \[0, 1\)"),
    (optim.LAMB, {"weight_decay": -1.0}, "LAMB: weight_decay must be >= 0"),
    (optim.Muon, {"adjust_lr_fn": "other"}, "adjust_lr_fn must be 'original'"),
    (optim.Muon, {"ns_steps": 100}, r"ns_steps in \[0, 100\)"),
    (optim.AdamWScheduleFree, {"betas": (0.0, 0.9)}, r"betas\[0\] must be in \(0, 1\)"),
    (optim.LBFGS, {"line_search_fn": "armijo"}, "must be 'strong_wolfe' or None"),
    (optim.LBFGS, {"history_size": 0}, "history_size must be >= 1"),
    (optim.RMSprop, {"alpha": -0.1}, "alpha must be >= 0"),
    (optim.Adagrad, {"lr_decay": -0.1}, "lr_decay must be >= 0"),
]


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_numbers_out_of_range(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


# ---- clipping and penalties ------------------------------------------------------------------------------------------

GRADS = {"w": START["w"], "b": START["b"], "empty": np.empty((0, 2)), "scalar": np.asarray(3.0)}


NORMS = list(itertools.product([0.5, 100.0], [2.0, 1.0, 3.0, float("inf")]))


@pytest.mark.parametrize(("max_norm", "norm_type"), NORMS)
def test_clip_grad_norm(backend, max_norm, norm_type):
    params = [torch.from_numpy(g.copy()).requires_grad_() for g in GRADS.values()]
    for p, g in zip(params, GRADS.values(), strict=True):
        p.grad = torch.from_numpy(g.copy())
    if norm_type == float("inf"):  # torch's norm of nothing is an error there
        params[2].grad = None
    expected = torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type)
    own = {path: nnx.asarray(g) for path, g in GRADS.items()}
    found, total = optim.clip_grad_norm(own, max_norm, norm_type)
    assert_close(total, expected.numpy(), 1e-12)
    for path, p in zip(GRADS, params, strict=True):
        assert_close(found[path], GRADS[path] if p.grad is None else p.grad.numpy(), 1e-12)
        assert_same(own[path], GRADS[path])


def test_clip_grad_norm_keeps_dtypes(backend):
    grads = {"a": nnx.asarray(np.ones(4, "float32")), "b": nnx.asarray(np.ones(4))}
    found, total = optim.clip_grad_norm(grads, 1.0)
    assert_close(found["a"], np.full(4, 8**-0.5, "float32"), 1e-5)
    assert_close(found["b"], np.full(4, 8**-0.5), 1e-5)
    assert_close(total, np.asarray(8**0.5, "float32"), 1e-6)


def test_clip_grad_norm_of_what_is_not_finite(backend):
    grads = {"w": nnx.asarray(np.asarray([1.0, np.inf]))}
    with pytest.raises(RuntimeError, match="norm is inf"):
        optim.clip_grad_norm(grads, 1.0, error_if_nonfinite=True)
    with np.errstate(invalid="ignore"):  # inf times 0
        found, total = optim.clip_grad_norm(grads, 1.0)
    assert np.isinf(nnx.to_numpy(total))
    assert_same(found["w"], np.asarray([0.0, np.nan]))


def test_clip_grad_value(backend):
    params = [torch.zeros(3, 4, dtype=torch.float64).requires_grad_()]
    params[0].grad = torch.from_numpy(START["w"].copy())
    torch.nn.utils.clip_grad_value_(params, 0.6)
    assert_same(optim.clip_grad_value({"w": nnx.asarray(START["w"])}, 0.6)["w"], params[0].grad.numpy())


def test_clipping_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="max_norm must be >= 0"):
        optim.clip_grad_norm(START, -1.0)
    with pytest.raises(ValueError, match="norm_type > 0"):
        optim.clip_grad_norm(START, 1.0, norm_type=0.0)
    with pytest.raises(ValueError, match="at least one gradient"):
        optim.clip_grad_norm({}, 1.0)
    with pytest.raises(ValueError, match="clip_value must be >= 0"):
        optim.clip_grad_value(START, -1.0)


def test_l2_penalty_is_weight_decay(backend):
    decayed, penalised = Quadratic(), Quadratic()
    run(optim.SGD(lr=0.1, weight_decay=0.3), decayed, range(3))
    optimizer = optim.SGD(lr=0.1)
    for t in range(3):
        _, extra = nnx.value_and_grad(lambda model: optim.l2_penalty(model) * 0.3)(penalised)
        grads = gradients(penalised.trainable(), t)
        optimizer.update(penalised, {path: g + extra[path] for path, g in grads.items()})
    assert_close(penalised.w, nnx.to_numpy(decayed.w), 1e-12)


def test_l1_penalty(backend):
    model = Quadratic()
    value, grads = nnx.value_and_grad(optim.l1_penalty)(model)
    assert_close(value, np.asarray(sum(np.abs(x).sum() for x in START.values())), 1e-12)
    assert_same(grads["w"], np.sign(START["w"]))
    model.freeze()
    with pytest.raises(ValueError, match="penalty of no parameters"):
        optim.l1_penalty(model)


def test_penalty_of_some_parameters(backend):
    def loss(model):
        return optim.l2_penalty({path: p for path, p in model.named_parameters() if path == "w"})

    grads = nnx.grad(loss)(Quadratic())
    assert_same(grads["w"], START["w"])
    assert_same(grads["b"], np.zeros(4))
