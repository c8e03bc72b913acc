"""One training, the same on every backend: what `nnx train` trains by default, over its first 50 steps.

Weights, the order of samples and dropout's masks are the same bits; losses differ by rounding alone.
"""

import argparse
import sys
from functools import cache

import numpy as np
import pytest

import nnx
from nnx.cli import config, task, train
from nnx.random import bits, keep_mask
from nnx.train import Callback
from tests.support import assert_same

STEPS = 50
RTOL = 1e-4


class Losses(Callback):
    def __init__(self):
        self.losses = []

    def on_batch_end(self, trainer, loss):
        self.losses.append(loss)
        if trainer.step == STEPS:
            trainer.stop()


def default_run():
    """The Trainer and loader that `nnx train` makes without options, on the active backend."""
    args, _ = config.complete(argparse.Namespace())
    trainer, splits, _, _ = train.made(args, nnx.get_backend())
    return trainer, task.make_loader(splits, args)


def first_losses():
    trainer, loader = default_run()
    record = Losses()
    trainer.fit(loader, epochs=STEPS, callbacks=[record])
    return [float(loss) for loss in record.losses], {k: nnx.to_numpy(x) for k, x in trainer.model.state_dict().items()}


@cache
def on_numpy():
    with nnx.use_backend("numpy"):
        return first_losses()


def test_the_default_training_has_dropout_and_fifty_steps():
    trainer, loader = default_run()
    assert any(isinstance(layer, nnx.Dropout) and layer.p > 0 for layer in trainer.model.modules())
    losses, _ = on_numpy()
    assert len(losses) == STEPS
    assert len(loader) < STEPS, "an epoch's end, with its smaller batch, is among them"
    assert losses[-1] < 0.8 * losses[0]


def test_losses_agree_with_numpy(backend):
    losses, weights = first_losses()
    expected_losses, expected_weights = on_numpy()
    np.testing.assert_allclose(losses, expected_losses, rtol=RTOL)
    for path, w in weights.items():
        np.testing.assert_allclose(w, expected_weights[path], rtol=1e-3, atol=1e-4)


def test_initial_weights_are_the_same_bits(backend):
    trainer, _ = default_run()
    with nnx.use_backend("numpy"):
        expected = default_run()[0].model.state_dict()
    assert trainer.model.state_dict().keys() == expected.keys()
    for path, w in trainer.model.state_dict().items():
        assert_same(w, expected[path])


def test_batches_are_the_same_bits(backend):
    _, loader = default_run()
    with nnx.use_backend("numpy"):
        expected = list(default_run()[1])
    for (x, y), (x0, y0) in zip(loader, expected, strict=True):
        assert_same(x, x0)
        np.testing.assert_array_equal(nnx.to_numpy(y), y0)  # int32 on JAX without x64


@pytest.mark.parametrize("seed", [0, 2**31 + 7, 2**63 + 12345])
def test_masks_are_the_same_bits(backend, seed):
    like = nnx.asarray([1.0], "float32")
    plain = np.ones(1, np.float32)
    for shape in ((1,), (30, 128), (64, 128), (3, 5, 7)):
        nnx.seed(seed)
        masks = [keep_mask(shape, 0.8, like) for _ in range(3)]
        nnx.seed(seed)
        expected = [keep_mask(shape, 0.8, plain) for _ in range(3)]
        for mask, mask0 in zip(masks, expected, strict=True):
            assert_same(mask, mask0)
    assert not np.array_equal(expected[0], expected[1])


def test_one_wrong_entry_of_one_mask_is_noticed(monkeypatch):
    """The tolerance is narrow enough: a single entry of a mask that differs, of 50 · 64 · 128, is out of it."""
    expected, _ = on_numpy()  # before anything is patched: it is computed once, by whoever asks first
    calls = []

    def perturbed(n, like):
        words = bits(n, like)
        calls.append(n)
        if len(calls) == 5:
            words[np.flatnonzero(words >> 8 >= round(0.8 * 2**24))[0]] = 0
        return words

    kind = type(nnx.get_backend("numpy"))
    monkeypatch.setattr(kind, "compiler", classmethod(lambda cls: None))  # so that every step calls it
    # the function hides the module of its name
    monkeypatch.setattr(sys.modules["nnx.functional.dropout"], "bits", perturbed)
    losses, _ = first_losses()
    assert len(calls) == STEPS
    np.testing.assert_array_equal(losses[:4], expected[:4])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose(losses, expected, rtol=RTOL)
