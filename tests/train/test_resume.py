"""A training that is broken off and resumed ends as one that was not, bit for bit on NumPy.

Model, optimizer, schedule, random state, loader position and callbacks, at the end of an epoch and in the middle.
"""

import numpy as np
import pytest

import nnx
from nnx.io import CheckpointError, save
from nnx.train import Callback, Checkpoint, EarlyStopping, Trainer
from tests.train.networks import EpochLoss, Stop, loader, points, records, trainer, weights

STEPS = 7
"""Batches an epoch of `loader()`."""

MADE = {
    "adam": lambda: trainer(),
    "sgd": lambda: trainer(nnx.optim.SGD(0.1, momentum=0.9)),
    "cosine by step": lambda: trainer(
        nnx.optim.SGD(0.1), lambda opt: nnx.optim.CosineAnnealingLR(opt, 40), schedule_every="step"
    ),
    "plateau": lambda: trainer(
        nnx.optim.SGD(0.1, nesterov=True, momentum=0.5), lambda opt: nnx.optim.ReduceLROnPlateau(opt, patience=0)
    ),
}


def whole(make, epochs=4):
    t = make()
    nnx.seed(5)
    t.fit(loader(), validation=points(30, seed=9), epochs=epochs)
    return t


def broken_off(make, path, step, every=None):
    """Ctrl-C at an update; the checkpoint is the last one before it."""
    t = make()
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        t.fit(
            loader(),
            validation=points(30, seed=9),
            epochs=4,
            callbacks=[Checkpoint(path, every=every), Stop(step)],
        )


def resumed(make, path, epochs=4):
    t = make()
    nnx.seed(999)  # whatever another process draws before
    source = loader()
    list(source)
    t.resume(path)
    t.fit(source, validation=points(30, seed=9), epochs=epochs)
    return t


@pytest.mark.parametrize(("step", "every"), [(2 * STEPS + 3, None), (2 * STEPS + 5, 4), (STEPS - 1, 1), (3 * STEPS, 7)])
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_bit_for_bit_on_numpy(make, step, every, tmp_path):
    expected = whole(make)
    broken_off(make, tmp_path / "c", step, every)
    found = resumed(make, tmp_path / "c")
    assert records(found) == records(expected)
    assert weights(found) == weights(expected)
    assert found.optimizer.steps == expected.optimizer.steps == 4 * STEPS
    one, other = found.optimizer.state_dict()["slots"], expected.optimizer.state_dict()["slots"]
    assert {k: x.tobytes() for k, x in one.items()} == {k: x.tobytes() for k, x in other.items()}
    if expected.schedule is not None:
        assert found.schedule.state_dict() == expected.schedule.state_dict()


@pytest.mark.parametrize("every", [None, 4])
def test_on_another_backend(backend, every, tmp_path):
    with nnx.use_backend("numpy"):
        expected = whole(MADE["adam"])
        broken_off(MADE["adam"], tmp_path / "c", 2 * STEPS + 5, every)
    found = resumed(MADE["adam"], tmp_path / "c")
    assert nnx.backend.backend_of(next(found.model.parameters())) is type(backend)
    for one, other in zip(records(found), records(expected), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_and_back_to_numpy(backend, tmp_path):
    broken_off(MADE["adam"], tmp_path / "c", STEPS + 5, 4)
    with nnx.use_backend("numpy"):
        found, expected = resumed(MADE["adam"], tmp_path / "c"), whole(MADE["adam"])
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-4)


def test_epochs_are_counted_in_all_after_a_resume(tmp_path):
    whole(MADE["sgd"], epochs=2).save(tmp_path / "c")
    t = resumed(MADE["sgd"], tmp_path / "c", epochs=3)
    assert (t.epoch, t.step, len(t.history)) == (3, 3 * STEPS, 3)
    t = resumed(MADE["sgd"], tmp_path / "c", epochs=2)
    assert t.epoch == 2, "done already"
    t.fit(loader(), epochs=2)
    assert t.epoch == 4, "the next one is a fit like any other"


def test_early_stopping_goes_on_with_its_best_weights(tmp_path):
    """The best epoch lies before the resume, and its weights come back after it."""

    class Told(Callback):
        def on_epoch_end(self, trainer, record):
            record["score"] = [3.0, 1.0, 2.0, 2.0, 2.0][record["epoch"] - 1]

    def fit(t, stop=()):
        early = EarlyStopping("score", patience=3)
        t.fit(loader(), epochs=5, callbacks=[*stop, Told(), early, Checkpoint(tmp_path / "c")])
        return early

    expected = MADE["adam"]()
    nnx.seed(5)
    fit(expected)
    t = MADE["adam"]()
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        fit(t, [Stop(3 * STEPS + 2)])
    found = MADE["adam"]()
    found.resume(tmp_path / "c")
    early = fit(found)
    assert (early.best_epoch, early.waited, found.epoch) == (2, 3, 5)
    assert weights(found) == weights(expected)


def test_an_iterable_without_a_position_begins_its_epoch_anew(tmp_path):
    batches = list(loader())
    t = trainer()
    with pytest.raises(KeyboardInterrupt):
        t.fit(batches, epochs=3, callbacks=[Checkpoint(tmp_path / "c", every=2), Stop(STEPS + 5)])
    other = trainer()
    other.resume(tmp_path / "c")
    assert (other.epoch, other.step, other.means.samples) == (1, 10, 3 * 8)
    counted = EpochLoss([8] * 6 + [2])
    other.fit(batches, epochs=2, callbacks=[counted])
    assert other.history["loss"][-1] == pytest.approx(counted.means[0], rel=1e-6)


def test_the_random_state_and_the_loader_are_part_of_it(tmp_path):
    t = whole(MADE["adam"], epochs=1)
    nnx.random.uniform((3,))
    before = nnx.random.get_state()
    t.save(tmp_path / "c")
    expected = nnx.to_numpy(nnx.random.uniform((3,)))
    nnx.seed(0)
    other = MADE["adam"]()
    other.resume(tmp_path / "c")
    assert nnx.random.get_state() == before
    np.testing.assert_array_equal(nnx.to_numpy(nnx.random.uniform((3,))), expected)
    source = loader()
    other.fit(source, epochs=1)
    assert source.state_dict() == t.loader.state_dict()


def test_weights_alone_are_no_checkpoint(tmp_path):
    t = trainer()
    save(tmp_path / "w", t.model)
    with pytest.raises(CheckpointError, match=r"expected a checkpoint of Trainer.save, got weights only: nnx.io.load"):
        t.resume(tmp_path / "w")


def test_the_checkpoint_of_another_model_changes_nothing(tmp_path):
    other = Trainer(nnx.Linear(2, 3), nnx.optim.Adam(1e-3), nnx.losses.cross_entropy)
    other.fit(loader())
    other.save(tmp_path / "c")
    t = trainer()
    before = weights(t), nnx.random.get_state(), t.optimizer.lr
    with pytest.raises(ValueError, match=r"the state dict does not fit Sequential: .*missing: 0.weight"):
        t.resume(tmp_path / "c")
    assert (weights(t), nnx.random.get_state(), t.optimizer.lr) == before
    assert t.epoch == 0
