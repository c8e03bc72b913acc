"""Several optimizers for one model: each parameter goes to the last pattern that matches it."""

import numpy as np
import pytest

import nnx
from nnx import optim, train
from tests.support import assert_same

X = np.random.default_rng(0).standard_normal((24, 4)).astype("float32")
Y = np.arange(24) % 3


def network():
    nnx.seed(1)
    return nnx.Sequential(nnx.Linear(4, 6), nnx.ReLU(), nnx.Linear(6, 6), nnx.ReLU(), nnx.Linear(6, 3))


def both():
    return optim.ByPath({"*": optim.AdamW(1e-2), "[02].weight": optim.Muon(2e-2)})


def gradients(model):
    return nnx.grad(lambda model, x: nnx.losses.cross_entropy(model(x), nnx.asarray(Y)))(model, nnx.asarray(X))


def test_each_parameter_moves_as_its_optimizer_alone_would(backend):
    model, optimizer = network(), both()
    parts = {"0.weight": optim.Muon(2e-2), "2.weight": optim.Muon(2e-2)}
    oracles = {path: parts.get(path) or optim.AdamW(1e-2) for path in model.trainable()}
    for _ in range(2):
        params, grads = model.trainable(), gradients(model)
        optimizer.update(model, grads)
        for path, oracle in oracles.items():
            expected = oracle.apply({path: params[path]}, {path: grads[path]})[path]
            assert_same(dict(model.named_parameters())[path], nnx.to_numpy(expected))
    assert optimizer.steps == 2
    assert list(optimizer.state["0.weight"]) == list(optimizer._optimizers["[02].weight"].state["0.weight"])


def test_a_trainer_resumes_bit_for_bit(tmp_path):
    def trainer():
        optimizer = both()
        schedule = optim.ExponentialLR(optimizer, 0.5)
        return train.Trainer(network(), optimizer, nnx.losses.cross_entropy, schedule=schedule)

    whole, first, second = trainer(), trainer(), trainer()
    nnx.seed(5)
    whole.fit(X, Y, epochs=4, batch_size=8)
    nnx.seed(5)
    first.fit(X, Y, epochs=2, batch_size=8)
    first.save(tmp_path / "half.safetensors")
    second.resume(tmp_path / "half.safetensors")
    second.fit(X, Y, epochs=4, batch_size=8)
    for path, x in whole.model.named_parameters():
        np.testing.assert_array_equal(dict(second.model.named_parameters())[path], x)
    assert second.optimizer.steps == whole.optimizer.steps == 12
    assert second.schedule.get_last_lr() == [1e-2 / 16, 2e-2 / 16]


def test_a_cycle_moves_every_momentum():
    sgd, adam = optim.SGD(0.1, momentum=0.5, groups={"*.bias": {"momentum": 0.3}}), optim.Adam()
    optim.OneCycleLR(optim.ByPath({"*": sgd, "a": adam}), 0.5, total_steps=10)
    assert (sgd.momentum, sgd.groups["*.bias"]["momentum"], adam.betas) == (0.95, 0.95, (0.95, 0.999))


def test_what_makes_no_sense():
    model = network()
    with pytest.raises(ValueError, match=r"no pattern of 0\.\* matches '2\.weight': put a '\*' first"):
        optim.ByPath({"0.*": optim.SGD()}).init(model)
    with pytest.raises(ValueError, match=r"no parameter matches the group '7\.\*': there is 0\.weight"):
        optim.ByPath({"*": optim.SGD(), "7.*": optim.SGD()}).update(model, model.trainable())
    with pytest.raises(ValueError, match="got an empty dict"):
        optim.ByPath({})
    with pytest.raises(TypeError, match=r"expected an optimizer of nnx\.optim for 'a', got 3"):
        optim.ByPath({"a": 3})
    with pytest.raises(AttributeError, match="no lr of its own"):
        both().lr = 0.1
    with pytest.raises(AttributeError, match="no state of its own"):
        both().state = {}
    with pytest.raises(ValueError, match=r"got the state of one of \['\*'\]"):
        both().load_state_dict(optim.ByPath({"*": optim.SGD()}).state_dict())
    with pytest.raises(KeyError, match="no gradient for"):
        both().apply(model.trainable(), {})
