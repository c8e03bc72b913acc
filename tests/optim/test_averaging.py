"""EMA and SWA against torch's AveragedModel; averages are copies, and the model gets its own arrays back."""

import json

import numpy as np
import pytest

import nnx
from nnx import optim
from tests.oracle import torch
from tests.support import assert_close, assert_same

rng = np.random.default_rng(6)
WEIGHTS = [{"weight": rng.standard_normal((2, 3)), "bias": rng.standard_normal(2)} for _ in range(12)]
STATS = [rng.standard_normal(2) for _ in range(12)]
KINDS = {
    "ema": (lambda **more: optim.EMA(0.9, **more), lambda swa: {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.9)}),
    "swa": (lambda **more: optim.SWA(**more), lambda swa: {}),
}


class Layer(nnx.Module):
    def __init__(self):
        self.weight, self.bias = nnx.asarray(WEIGHTS[0]["weight"]), nnx.asarray(WEIGHTS[0]["bias"])
        self.register_buffer("stat", nnx.asarray(STATS[0]))
        self.register_buffer("count", nnx.asarray([3]))


def go(model, average, steps):
    for t in steps:
        model.update({path: nnx.asarray(x) for path, x in WEIGHTS[t].items()})
        model.stat = nnx.asarray(STATS[t])
        average.update(model)


def theirs(options, use_buffers):
    layer = torch.nn.Linear(3, 2).double()
    layer.register_buffer("stat", torch.zeros(2, dtype=torch.float64))
    swa = torch.optim.swa_utils
    average = swa.AveragedModel(layer, use_buffers=use_buffers, **options(swa))
    for weights, stat in zip(WEIGHTS, STATS, strict=True):
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights["weight"]))
            layer.bias.copy_(torch.from_numpy(weights["bias"]))
            layer.stat.copy_(torch.from_numpy(stat))
        average.update_parameters(layer)
    return {path: x.numpy() for path, x in average.module.state_dict().items()}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_torchs(backend, kind, use_buffers):
    make, options = KINDS[kind]
    model, average = Layer(), make(use_buffers=use_buffers)
    go(model, average, range(len(WEIGHTS)))
    expected, own = theirs(options, use_buffers), model.trainable()
    with average.applied(model) as averaged:
        assert averaged is model
        for path in ("weight", "bias", "stat"):
            assert_close(getattr(model, path), expected[path], 1e-12, 1e-14)
        assert_same(model.count, np.asarray([3]))
    assert all(model.trainable()[path] is own[path] for path in own)
    assert_same(model.stat, STATS[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_from_its_state(backend, kind):
    model, average = Layer(), KINDS[kind][0]()
    go(model, average, range(5))
    state = average.state_dict()
    again, twin = KINDS[kind][0](), Layer()
    again.load_state_dict({**json.loads(json.dumps({"count": state["count"]})), "arrays": state["arrays"]})
    go(model, average, range(5, 9))
    go(twin, again, range(5, 9))
    for path in average.arrays:
        assert_same(again.arrays[path], nnx.to_numpy(average.arrays[path]))
    assert again.count == average.count == 9


def test_averages_are_copies(backend):
    model, average = Layer(), optim.SWA()
    average.update(model)
    held = [*average.arrays.values()]
    assert not any(a is b for a in held for b in model.trainable().values())
    assert not any(a is b for a in held for b in average.state_dict()["arrays"].values())
    with average.applied(model):
        assert not any(a is b for a in held for b in model.trainable().values())
    average.copy_to(model)
    assert not any(a is b for a in held for b in model.trainable().values())
    if backend.name == "numpy":
        model.weight += 7.0
        assert_same(average.arrays["weight"], WEIGHTS[0]["weight"])


def test_the_models_own_weights_come_back_after_an_error():
    model, average = Layer(), optim.EMA(0.5)
    go(model, average, range(2))
    own = model.weight

    def fail():
        with average.applied(model):
            assert model.weight is not own
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert model.weight is own


def test_what_came_later_begins_there_and_what_went_is_forgotten(backend):
    model, average = nnx.Sequential(nnx.Linear(2, 2)), optim.EMA(0.5)
    average.update(model)
    model.append(nnx.Linear(2, 3))
    average.update(model)
    assert_same(average.arrays["1.weight"], nnx.to_numpy(model[1].weight))
    with average.applied(model):
        assert model[1].weight is not None
    model[1].weight = nnx.asarray(np.ones((5, 2), "float32"))
    average.update(model)
    assert average.arrays["1.weight"].shape == (5, 2)
    model.pop()
    average.update(model)
    assert set(average.arrays) == {"0.weight", "0.bias"}


def test_shared_arrays_stay_shared(backend):
    model, average = nnx.Sequential(nnx.Linear(2, 2), nnx.Linear(2, 2)), optim.SWA()
    model[1].weight = shared = model[0].weight
    average.update(model)
    with average.applied(model):
        assert model[0].weight is model[1].weight is not shared
    assert model[0].weight is model[1].weight is shared


def test_nothing_averaged_yet():
    with pytest.raises(ValueError, match=r"EMA has averaged nothing yet: call update\(model\) first"):  # noqa: SIM117
        with optim.EMA().applied(Layer()):
            pass
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\]"):
        optim.EMA(1.5)


def test_update_bn_is_torchs(backend):
    batches = [rng.standard_normal((4, 3)).astype("float32") for _ in range(3)]
    bn = torch.nn.BatchNorm1d(3)
    torch.optim.swa_utils.update_bn([torch.from_numpy(x) for x in batches], bn)
    model = nnx.Sequential(nnx.BatchNorm1d(3)).eval()
    model[0].running_mean = model[0].running_mean + 5.0
    optim.update_bn([(nnx.asarray(x), None) for x in batches], model)
    assert_close(model[0].running_mean, bn.running_mean.numpy(), 1e-5, 1e-6)
    assert_close(model[0].running_var, bn.running_var.numpy(), 1e-5, 1e-6)
    assert model[0].momentum == 0.1
    assert not model.training
    assert not model[0].training
    plain = nnx.Sequential(nnx.Linear(3, 3))
    optim.update_bn(iter(()), plain)
    assert plain.training
