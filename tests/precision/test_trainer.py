"""Trainer(precision=...): Lightning's names, float32 wherever anybody looks, and a scaler that is saved."""

import numpy as np
import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, Trainer
from tests.precision.halves import HAVE

NAMES = {"16-mixed": "float16", "bf16-mixed": "bfloat16"}


def points(n=48):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, (x[:, 0] > x[:, 1]).astype("int64")


def accuracy(z, y):
    xp = nnx.namespace(z)
    assert z.dtype == xp.float32
    return xp.mean(xp.astype(xp.argmax(z, axis=1) == y, xp.float32))


def trainer(precision, **options):
    nnx.seed(0)
    model = nnx.Sequential(nnx.Linear(4, 8), nnx.ReLU(), nnx.Linear(8, 2))
    metrics = {"accuracy": accuracy}
    compile = nnx.get_backend().name == "jax"
    options = {"compile": compile, "precision": precision, **options}
    return Trainer(model, nnx.optim.Adam(3e-2), nnx.losses.cross_entropy, metrics, **options)


class Kinds(Callback):
    """The dtypes of gradients and of the loss."""

    def __init__(self):
        self.seen = set()

    def on_gradients(self, trainer, grads):
        self.seen |= {str(g.dtype).rpartition(".")[2] for g in grads.values()}

    def on_batch_end(self, trainer, loss):
        self.seen.add(str(loss.dtype).rpartition(".")[2])


@pytest.mark.parametrize("precision", NAMES)
def test_it_trains_as_float32_does(backend, precision):
    if backend.name not in HAVE[NAMES[precision]]:
        with pytest.raises(ValueError, match="has no such dtype"):
            trainer(precision).fit(*points(), epochs=1)
        return
    kinds, found, plain = Kinds(), trainer(precision, clip_norm=1.0), trainer("32", clip_norm=1.0)
    batches = [DataLoader(ArrayDataset(*points()), 16, seed=0) for _ in range(2)]
    history = found.fit(batches[0], validation=points(), epochs=12, callbacks=[kinds])
    expected = plain.fit(batches[1], validation=points(), epochs=12)
    assert kinds.seen == {"float32"}
    assert expected["loss"][-1] < 0.35
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], atol=0.08)
    outputs = found.predict(nnx.asarray(points()[0]))
    assert outputs.dtype == backend.xp.float32
    assert np.abs(nnx.to_numpy(outputs) - nnx.to_numpy(plain.predict(nnx.asarray(points()[0])))).max() > 0.0


def test_the_scaler_is_saved_and_goes_on(tmp_path):
    def batches():
        return DataLoader(ArrayDataset(*points()), 16, shuffle=True, seed=0)

    first, loader = trainer("16-mixed"), batches()
    first.precision.scaler.growth_interval = 4
    first.fit(loader, epochs=2)
    first.save(tmp_path / "state")
    first.fit(loader, epochs=2)
    second = trainer("16-mixed")
    second.resume(tmp_path / "state")
    second.fit(batches(), epochs=4)
    found = second.precision.scaler.state_dict()
    assert found == first.precision.scaler.state_dict()
    assert (found["growth_interval"], found["scale"] != 65536.0) == (4, True)
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_failed_resume_leaves_the_scaler():
    t = trainer("16-mixed")
    t.fit(*points(), epochs=1)
    state, before = t.state_dict(), t.precision.scaler.state_dict()
    state["meta"]["scaler"] = {**before, "scale": 2.0, "growth_factor": 3.0}
    state["meta"]["random"] = {**state["meta"]["random"], "host": {}}  # is put back last
    with pytest.raises(KeyError):
        t.load_state_dict(state)
    assert t.precision.scaler.state_dict() == before


@pytest.mark.parametrize("name", ["16", "64", "half", None])
def test_names(name):
    with pytest.raises(ValueError, match="precision must be one of '32', '32-true', '16-mixed', 'bf16-mixed', got"):
        trainer(name)


def test_32_is_the_default():
    assert trainer(32).precision.scaler is trainer("32-true").precision.scaler is None
    assert trainer("bf16-mixed").precision.scaler is None
