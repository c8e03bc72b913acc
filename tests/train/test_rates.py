"""Learning rates: lowered on a plateau, and found by a sweep that leaves no trace."""

import math

import numpy as np
import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, Checkpoint, LearningRateFinder, ReduceLROnPlateau, Trainer
from tests.train.networks import Stop, loader, points, trainer, weights


class Told(Callback):
    def __init__(self, *scores):
        self.scores = scores

    def on_epoch_end(self, trainer, record):
        record["score"] = self.scores[record["epoch"] - 1]


@pytest.mark.parametrize(
    ("options", "scores", "lrs"),
    [
        ({"patience": 0}, [3.0, 2.0, 2.0, 1.0], [1.0, 1.0, 0.1, 0.1]),
        ({"patience": 1, "factor": 0.5}, [3.0, 3.0, 3.0, 3.0, 3.0], [1.0, 1.0, 0.5, 0.5, 0.25]),
        ({"patience": 0, "mode": "max"}, [1.0, 2.0, 1.5], [1.0, 1.0, 0.1]),
        ({"patience": 0, "min_delta": 0.5}, [3.0, 2.7, 2.0], [1.0, 0.1, 0.1]),
        ({"patience": 0, "factor": 0.5, "cooldown": 1}, [1.0] * 5, [1.0, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 0, "min_lr": 0.05}, [1.0] * 4, [1.0, 0.1, 0.05, 0.05]),
    ],
)
def test_the_plateau(options, scores, lrs):
    found = []

    class Look(Callback):
        def on_epoch_end(self, trainer, record):
            found.append(trainer.optimizer.lr)

    t = trainer(nnx.optim.SGD(1.0))
    t.fit(loader(), epochs=len(scores), callbacks=[Told(*scores), ReduceLROnPlateau("score", **options), Look()])
    assert found == pytest.approx(lrs)


def test_the_plateau_of_an_accuracy_is_of_the_largest():
    t = trainer(nnx.optim.SGD(1.0))

    class Rising(Callback):
        def on_epoch_end(self, trainer, record):
            record["my_accuracy"] = float(record["epoch"])

    t.fit(loader(), epochs=3, callbacks=[Rising(), ReduceLROnPlateau("my_accuracy", patience=0)])
    assert t.optimizer.lr == 1.0


def test_the_plateau_goes_on_after_a_resume(tmp_path):
    def fit(t, *stop):
        told, plateau = Told(3.0, 3.0, 3.0, 3.0), ReduceLROnPlateau("score", patience=2)
        t.fit(loader(), epochs=4, callbacks=[*stop, told, plateau, Checkpoint(tmp_path / "c")])

    t = trainer(nnx.optim.SGD(1.0))
    with pytest.raises(KeyboardInterrupt):
        fit(t, Stop(23))
    found = trainer(nnx.optim.SGD(1.0))
    found.resume(tmp_path / "c")
    assert found.optimizer.lr == 1.0
    fit(found)
    assert found.optimizer.lr == pytest.approx(0.1), "three epochs without an improvement, two of them before"


def test_misuse_of_the_plateau():
    with pytest.raises(ValueError, match=r"factor must be in \[0, 1\), got 2.0"):
        ReduceLROnPlateau(factor=2.0)
    with pytest.raises(ValueError, match="ReduceLROnPlateau watches 'val_loss', but there is nothing to validate on"):
        trainer().fit(loader(), callbacks=[ReduceLROnPlateau()])
    with pytest.raises(ValueError, match="ReduceLROnPlateau watches 'f1', which is not recorded"):
        trainer().fit(loader(), callbacks=[ReduceLROnPlateau("f1")])


# ---- the finder ------------------------------------------------------------------------------------------------------


def quadratic(curvature, start=1.0):
    """A loss curvature/2 · w², which gradient descent lowers for lr < 2/curvature and raises beyond."""
    model = nnx.Linear(1, 1, bias=False)
    model.weight = nnx.asarray([[start]], "float32")
    return Trainer(
        model, nnx.optim.SGD(1.0), lambda output, target: 0.5 * curvature * nnx.namespace(output).mean(output * output)
    )


def one(n=4):
    return nnx.asarray([[1.0]] * n, "float32"), nnx.asarray([0] * n)


@pytest.mark.parametrize("curvature", [0.1, 10.0, 1000.0])
def test_the_rate_that_is_found_is_that_of_the_curvature(curvature, backend):
    t = quadratic(curvature)
    finder = LearningRateFinder(1e-6, 1e3, steps=60)
    found = finder.find(t, [one()])
    assert 0.01 / curvature < found < 2.0 / curvature
    assert finder.lrs[0] == 1e-6
    ratios = [b / a for a, b in zip(finder.lrs, finder.lrs[1:], strict=False)]
    assert ratios == pytest.approx([1e9 ** (1 / 59)] * len(ratios), rel=1e-6)
    assert len(finder.losses) < 60, "it ended when the loss had grown"
    assert finder.losses[0] == pytest.approx(0.5 * curvature)


def test_the_sweep_leaves_no_trace():
    """Dropout, running statistics, momenta and the loader's order included."""

    def fit(finder):
        nnx.seed(3)
        net = nnx.Sequential(nnx.Linear(2, 8), nnx.BatchNorm1d(8), nnx.ReLU(), nnx.Dropout(0.3), nnx.Linear(8, 3))
        t = Trainer(net, nnx.optim.Adam(0.01), nnx.losses.cross_entropy)
        t.fit(loader(), epochs=1)
        t.fit(loader(), epochs=2, callbacks=finder)
        return t

    finder = LearningRateFinder(steps=20, update=False)
    found, expected = fit([finder]), fit([])
    assert len(finder.lrs) > 10
    assert weights(found) == weights(expected)
    assert found.history["loss"] == expected.history["loss"]
    assert found.optimizer.steps == expected.optimizer.steps


def test_the_suggestion_is_trained_with():
    t = quadratic(10.0)
    finder = LearningRateFinder(1e-6, 1e3, steps=60)
    t.fit([one()], epochs=30, callbacks=[finder])
    assert t.optimizer.lr == finder.suggestion
    assert t.history["loss"][-1] < 0.5 * t.history["loss"][0]


def test_a_resumed_training_keeps_its_rate(tmp_path):
    source = DataLoader(ArrayDataset(*points(40)), 8, shuffle=True, seed=0)
    t = trainer()
    t.fit(source, callbacks=[LearningRateFinder(steps=20), Checkpoint(tmp_path / "c")])
    other, finder = trainer(), LearningRateFinder(steps=20)
    other.resume(tmp_path / "c")
    other.fit(source, epochs=2, callbacks=[finder])
    assert finder.lrs == []
    assert other.optimizer.lr == t.optimizer.lr != 0.01


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_not_taken_for_a_fall(seed):
    """Small batches, weights of samples, dropout: where the loss falls fastest is among the first rates, 1e-7."""
    r = np.random.default_rng(seed)
    nnx.seed(seed)
    x = r.normal(size=(400, 10)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0.5).astype(np.int64)
    net = nnx.Sequential(nnx.Linear(10, 32), nnx.ReLU(), nnx.Dropout(0.2), nnx.Linear(32, 2))
    t, finder = Trainer(net, nnx.optim.Adam(), nnx.losses.cross_entropy), LearningRateFinder()
    t.fit(x, y, batch_size=16, callbacks=[finder], sample_weight=r.uniform(size=400).astype(np.float32), max_steps=1)
    assert finder.suggestion is not None
    assert 1e-3 < finder.suggestion < 0.3


def test_one_batch_far_above_the_others_does_not_end_the_sweep():
    """Only the smoothed loss does: heavy-tailed losses of small batches jump by more than stop_at."""
    t = quadratic(1.0)
    finder = LearningRateFinder(1e-6, 1e-4, steps=20)
    high = nnx.asarray([[3.0]] * 4, "float32"), nnx.asarray([0] * 4)
    finder.find(t, [one(), one(), high])
    assert len(finder.lrs) == 20
    assert finder.losses[2] > 4.0 * finder.losses[0]


def test_a_loss_that_never_falls_has_no_suggestion():
    t = quadratic(1.0, start=0.0)
    finder = LearningRateFinder(1e-3, 1.0, steps=12)
    t.fit([one()], callbacks=[finder])
    assert finder.suggestion is None
    assert t.optimizer.lr == 1.0


def test_a_loss_that_is_nan_ends_the_sweep():
    t = trainer()
    finder = LearningRateFinder(1e-3, 1e30, steps=40, stop_at=1e300)
    before = weights(t)
    with nnx.use_backend("numpy"), pytest.MonkeyPatch.context() as patch:
        original = t.steps.gradients
        patch.setattr(
            t.steps, "gradients", lambda b: original(b) if len(finder.lrs) < 5 else original(b)._replace(loss=math.nan)
        )
        finder.find(t, loader())
    assert len(finder.lrs) == 5
    assert weights(t) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_lr": 0.0}, "expected 0 < min_lr < max_lr, got 0.0 and 10.0"),
        ({"min_lr": 2.0, "max_lr": 1.0}, "got 2.0 and 1.0"),
        ({"steps": 3}, "steps must be at least 10 and stop_at more than 1, got 3"),
        ({"stop_at": 1.0}, "got 100 and 1.0"),
    ],
)
def test_misuse_of_the_finder(options, words):
    with pytest.raises(ValueError, match=words):
        LearningRateFinder(**options)


def test_no_batch_to_find_a_rate_on():
    with pytest.raises(ValueError, match="expected batches to try rates on, got none"):
        LearningRateFinder().find(trainer(), [])
