"""Between gradients and update: accumulation, clipping, averages; and when to validate, and when to end."""

import math
from datetime import timedelta

import numpy as np
import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, Checkpoint, EarlyStopping, GradientStats, Profiler, Trainer
from tests.train.networks import Calls, Stop, accuracy, loader, model, modes, points, records, trainer, weights

CE = nnx.losses.cross_entropy


def made(optimizer=None, **options):
    nnx.seed(7)
    return Trainer(model(dropout=0.0), optimizer or nnx.optim.SGD(0.1, momentum=0.9), CE, **options)


def close(a, b, rtol=2e-5):
    for path, x in a.model.state_dict().items():
        other = nnx.to_numpy(b.model.state_dict()[path])
        np.testing.assert_allclose(nnx.to_numpy(x), other, rtol=rtol, atol=1e-6, err_msg=path)


# ---- accumulation ----------------------------------------------------------------------------------------------------


def in_batches(sizes):
    x, y = points(sum(sizes))
    ends = np.cumsum(sizes)
    return [(nnx.asarray(x[e - n : e], "float32"), nnx.asarray(y[e - n : e])) for e, n in zip(ends, sizes, strict=True)]


def test_accumulated_batches_are_one_large_batch(backend):
    """Also of different sizes, and with a group at the end of the epoch that is not full."""
    b = made()
    b.fit(in_batches([20, 20, 5]), epochs=2)
    for compile in modes(backend):
        a = made(accumulate=3, compile=compile)
        a.fit(in_batches([10, 5, 5, 5, 10, 5, 5]), epochs=2)
        assert a.step == b.step == 6
        close(a, b)
        np.testing.assert_allclose(a.history["loss"][0], _mean_loss([20, 20, 5]), rtol=1e-4)


def _mean_loss(sizes):
    """Of the first epoch: each group's loss at the weights before its update."""
    t = made()
    total = 0.0
    for n, (x, y) in zip(sizes, in_batches(sizes), strict=True):
        loss, grads = nnx.value_and_grad(lambda m, x, y: CE(m(x), y))(t.model, x, y)
        t.optimizer.update(t.model, grads)
        total += n * float(loss)
    return total / sum(sizes)


def test_hooks_are_told_of_updates():
    log, losses, norms = Calls(), [], []

    class Look(Callback):
        def on_gradients(self, trainer, grads):
            norms.append(float(sum((nnx.to_numpy(g) ** 2).sum() for g in grads.values())))

        def on_batch_end(self, trainer, loss):
            losses.append(float(loss))

    t = made(accumulate=2)
    t.fit(in_batches([10, 10, 5]), callbacks=[log, Look()])
    assert log.log.count("on_gradients") == log.log.count("on_batch_end") == t.step == len(norms) == 2
    one = made()
    x, y = in_batches([20])[0]
    loss, grads = nnx.value_and_grad(lambda m, x, y: CE(m(x), y))(one.model, x, y)
    assert losses[0] == pytest.approx(float(loss), rel=1e-6)
    assert norms[0] == pytest.approx(float(sum((nnx.to_numpy(g) ** 2).sum() for g in grads.values())), rel=1e-5)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 8])
def test_accumulation_resumes_bit_for_bit(step, tmp_path):
    """7 batches an epoch and 2 an update: the last update of an epoch is made when the loader has ended."""

    def make():
        return trainer(nnx.optim.Adam(1e-2), accumulate=2)

    expected = make()
    nnx.seed(5)
    expected.fit(loader(), epochs=3)
    t = make()
    nnx.seed(5)
    checkpoint = Checkpoint(tmp_path / "d", every=1)
    checkpoint.last = False
    with pytest.raises(KeyboardInterrupt):
        t.fit(loader(), epochs=3, callbacks=[checkpoint, Stop(step)])
    found = make()
    found.resume(tmp_path / "d")
    assert found.step == step
    found.fit(loader(), epochs=3)
    assert weights(found) == weights(expected)
    assert records(found) == records(expected)
    assert found.step == 12


# ---- clipping --------------------------------------------------------------------------------------------------------


def test_clipping(backend):
    x, y = points(20)
    by_norm, by_value = made(clip_norm=0.01), made(clip_value=1e-3)
    hand = made(transform_grads=lambda g: nnx.optim.clip_grad_norm(g, 0.01)[0])
    hand_value = made(transform_grads=lambda g: nnx.optim.clip_grad_value(g, 1e-3))
    plain = made()
    for t in (by_norm, by_value, hand, hand_value, plain):
        t.fit(x, y, batch_size=20)
    close(by_norm, hand)
    close(by_value, hand_value)
    assert weights(by_norm) != weights(plain) != weights(by_value)


def test_clipping_by_value_comes_before_norm_and_both_before_the_transform():
    seen = []

    def keep(grads):
        seen.append(grads)
        return grads

    made(clip_value=1e-2, clip_norm=1.0, transform_grads=keep).fit(*points(20), batch_size=20)
    entries = np.concatenate([nnx.to_numpy(g).ravel() for g in seen[0].values()])
    assert np.abs(entries).max() == pytest.approx(1e-2, rel=1e-3), "the norm of what was clipped is below 1"


# ---- averages of the weights -----------------------------------------------------------------------------------------


def test_an_average_is_what_is_evaluated(backend, tmp_path):
    x, y = points(30)
    t = made(average=nnx.optim.EMA(0.5))
    plain, ema = made(), nnx.optim.EMA(0.5)

    class Follow(Callback):
        def on_batch_end(self, trainer, loss):
            ema.update(trainer.model)

    best = nnx.train.ModelCheckpoint(tmp_path / "m", "val_loss")
    history = t.fit(in_batches([15, 15]), validation=(x, y), epochs=2, callbacks=[best])
    plain.fit(in_batches([15, 15]), epochs=2, callbacks=[Follow()])
    close(t, plain)  # the model itself is trained as ever
    with ema.applied(plain.model):
        expected = plain.evaluate(x, y)["loss"]
        outputs = nnx.to_numpy(plain.predict(x))
        averaged = {path: nnx.to_numpy(p) for path, p in plain.model.state_dict().items()}
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(plain.evaluate(x, y)["loss"], rel=1e-4)
    np.testing.assert_allclose(nnx.to_numpy(t.predict(x)), outputs, rtol=1e-4, atol=1e-6)
    for path, p in nnx.io.load_safetensors(tmp_path / "m")[0].items():
        np.testing.assert_allclose(p, averaged[path], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["ema", "schedule-free"])
def test_averages_resume_bit_for_bit(kind, tmp_path):
    def make():
        if kind == "ema":
            return trainer(average=nnx.optim.EMA(0.9))
        return trainer(nnx.optim.AdamWScheduleFree(1e-2))

    def fit(t, *callbacks):
        t.fit(loader(), validation=points(30), epochs=3, callbacks=callbacks)
        with t.shown() as shown:
            return {path: nnx.to_numpy(x).tobytes() for path, x in shown.state_dict().items()}

    expected = make()
    nnx.seed(5)
    averaged = fit(expected)
    t = make()
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        fit(t, Checkpoint(tmp_path / "c", every=4), Stop(13))
    found = make()
    found.resume(tmp_path / "c")
    assert fit(found) == averaged != weights(found)
    assert weights(found) == weights(expected)
    assert records(found) == records(expected)


def test_a_schedule_free_optimizer_shows_its_average():
    x, y = points(30)
    t = made(nnx.optim.AdamWScheduleFree(0.05))
    t.fit(x, y, epochs=3, batch_size=10)
    before = weights(t)
    at_y = CE(t.model(nnx.asarray(x, "float32")), nnx.asarray(y))
    found = t.evaluate(x, y)["loss"]
    with t.optimizer.averaged(t.model):
        assert float(CE(t.model(nnx.asarray(x, "float32")), nnx.asarray(y))) == pytest.approx(found, rel=1e-5)
        assert t.evaluate(x, y)["loss"] == found, "and if they are in the model already"
        assert t.optimizer.evaluating
    assert found != pytest.approx(float(at_y), rel=1e-4)
    assert weights(t) == before
    t.optimizer.eval(t.model)
    t.fit(x, y, batch_size=10)  # train() is called for the user


def test_early_stopping_brings_back_the_best_averages():
    t = made(average=nnx.optim.EMA(0.5))
    shown = []

    class Told(Callback):
        def on_epoch_end(self, trainer, record):
            record["score"] = [2.0, 1.0, 3.0][record["epoch"] - 1]
            with trainer.shown() as model:
                shown.append({path: nnx.to_numpy(x).tobytes() for path, x in model.state_dict().items()})

    t.fit(loader(), epochs=3, callbacks=[Told(), EarlyStopping("score", patience=1)])
    assert weights(t) == shown[1]


# ---- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "steps", "epochs"),
    [
        ({}, 7, 1),
        ({"epochs": 2}, 14, 2),
        ({"max_steps": 10}, 10, 2),
        ({"max_steps": 14}, 14, 2),
        ({"epochs": 1, "max_steps": 100}, 7, 1),
        ({"epochs": 5, "max_steps": 3}, 3, 1),
    ],
)
def test_limits(limits, steps, epochs):
    t = trainer()
    t.fit(loader(), **limits)
    assert (t.step, t.epoch) == (steps, epochs)
    t.fit(loader(), **limits)
    assert t.step == 2 * steps, "each fit counts anew"


def test_a_limit_of_steps_resumes_in_all(tmp_path):
    t = trainer()
    t.fit(loader(), max_steps=10, callbacks=[Checkpoint(tmp_path / "c")])
    other = trainer()
    other.resume(tmp_path / "c")
    other.fit(loader(), max_steps=12)
    assert other.step == 12


@pytest.mark.parametrize("limit", [0.05, timedelta(seconds=0.05)])
def test_a_limit_of_time(limit, monkeypatch):
    from nnx.train import limits

    now = iter(k / 100.0 for k in range(1000))
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(now))
    t = trainer()
    t.fit(loader(), max_time=limit)
    assert 0 < t.step < 7


WRONG = {
    "max_steps": (lambda: trainer().fit(loader(), max_steps=0), "max_steps must be at least 1, got 0"),
    "max_time": (lambda: trainer().fit(loader(), max_time=0.0), "max_time must be more than 0 seconds, got 0.0"),
    "accumulate": (lambda: made(accumulate=0), "accumulate must be at least 1 batch, got 0"),
    "clip_norm": (lambda: made(clip_norm=0.0), "clip_norm must be more than 0, or None, got 0.0"),
    "clip_value": (lambda: made(clip_value=-1.0), "clip_value must be more than 0, or None, got -1.0"),
    "average": (lambda: made(average=0.99), "average must be one of nnx.optim, got float"),
    "validate_every alone": (
        lambda: trainer().fit(loader(), validate_every=2), "validate_every=2, but there is nothing to validate on",
    ),
    "validate_every 0": (
        lambda: trainer().fit(loader(), validation=points(), validate_every=0), "validate_every must be at least 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_misuse(case):
    call, words = WRONG[case]
    with pytest.raises((ValueError, TypeError), match=words):
        call()


# ---- validation within an epoch --------------------------------------------------------------------------------------


def test_validation_every_n_steps():
    told = []

    class Look(Callback):
        def on_validation(self, trainer, record):
            told.append((record["step"], record["val_loss"], trainer.evaluate(*points(30))["loss"]))
            assert trainer.latest["val_loss"] == record["val_loss"]

    t, plain = trainer(), trainer()
    nnx.seed(5)
    t.fit(loader(), validation=points(30), epochs=2, validate_every=3, callbacks=[Look()])
    assert [step for step, _, _ in told] == [3, 6, 9, 12] == t.validations["step"]
    assert all(found == expected for _, found, expected in told)
    nnx.seed(5)
    plain.fit(loader(), validation=points(30), epochs=2)
    assert weights(t) == weights(plain), "to look changes nothing"
    assert t.history["val_loss"] == plain.history["val_loss"]
    assert t.model.training


def test_a_validation_at_the_end_of_an_epoch_is_done_once(monkeypatch):
    from nnx.train import evaluation

    calls, original = [], evaluation.evaluate
    monkeypatch.setattr(evaluation, "evaluate", lambda *args: calls.append(1) or original(*args))
    t = trainer()
    t.fit(loader(), validation=points(30), epochs=1, validate_every=7)
    assert len(calls) == 1
    assert t.history["val_loss"] == t.validations["val_loss"]


# ---- where the time goes ---------------------------------------------------------------------------------------------


def test_the_profile_adds_up(monkeypatch):
    """A clock that each part moves by a time of its own; every second is in the table."""
    from nnx.train import clock

    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def slow(function, seconds):
        def call(*args, **options):
            now[0] += seconds
            return function(*args, **options)

        return call

    class Slow(Callback):
        def on_batch_end(self, trainer, loss):
            now[0] += 8.0

    def batches():
        class Loader:
            def __iter__(self):
                for batch in in_batches([10, 10, 10]):
                    now[0] += 1.0
                    yield batch

        return Loader()

    t = made(metrics={"accuracy": slow(accuracy, 4.0)})
    t.steps.gradients_of = slow(t.steps.gradients_of, 2.0)
    t.steps.update = slow(t.steps.update, 16.0)
    profiler = Profiler(synchronize=False, file=None)
    t.fit(batches(), epochs=2, callbacks=[Slow(), profiler])
    assert profiler.seconds == {
        "first step": 31.0,
        "data": 5.0,
        "forward+backward": 10.0,
        "update": 80.0,
        "metrics": 20.0,
        "callbacks": 40.0,
        "validation": 0.0,
    }
    lines = profiler.summary().splitlines()
    assert lines[0].endswith("of 6 steps")
    assert lines[4].split() == ["update", "80.000", "43.0%", "16000.000"]


def test_the_profile_is_printed_and_the_clock_taken_out(capsys, backend):
    t = trainer()
    t.fit(loader(), validation=points(30), epochs=2, callbacks=[Profiler()])
    printed = capsys.readouterr().out
    assert "forward+backward" in printed
    assert "of 14 steps" in printed
    assert type(t.clock) is nnx.train.clock.Clock


# ---- determinism -----------------------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_training():
    def fit(seed):
        nnx.seed(seed)
        t = Trainer(model(0.5), nnx.optim.Adam(0.01), CE)
        t.fit(*points(50), epochs=3, batch_size=8)
        return weights(t)

    assert fit(3) == fit(3) != fit(4)


def test_arrays_resume_bit_for_bit(tmp_path):
    """fit(x, y) draws the seed of its order; after a resume that draw must not move what is drawn later."""
    drawn = []

    def fit(t, *callbacks):
        t.fit(*points(50), epochs=3, batch_size=8, callbacks=callbacks)
        drawn.append(nnx.to_numpy(nnx.random.uniform((3,))).tolist())

    expected = trainer()
    nnx.seed(5)
    fit(expected)
    t = trainer()
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        fit(t, Checkpoint(tmp_path / "c", every=4), Stop(11))
    found = trainer()
    found.resume(tmp_path / "c")
    fit(found)
    assert weights(found) == weights(expected)
    assert found.history["loss"] == expected.history["loss"]
    assert drawn[0] == drawn[1], "and so is what is drawn on the host after it"


def test_verbose(capsys):
    trainer().fit(loader())
    assert capsys.readouterr().out == "", "quiet"
    trainer().fit(loader(), epochs=2, verbose=True)
    assert capsys.readouterr().out.count("epoch ") == 2
    trainer().fit(loader(), epochs=2, verbose=True, callbacks=[nnx.train.Progress()])
    assert capsys.readouterr().out.count("epoch ") == 2, "one display"


def test_what_is_watched_and_accumulated_and_compiled(backend):
    """δ over the batches of an update, in a compiled step: notes are results of the program."""
    found = []
    for compile in modes(backend):
        stats = GradientStats()
        t = made(accumulate=2, compile=compile)
        t.fit(in_batches([8, 8, 8, 8]), callbacks=[stats])
        found.append(stats.deltas[0])
        assert t.steps.watchers == []
    assert found[0].keys() == {"0", "3"}
    assert found[-1] == pytest.approx(found[0], rel=1e-4)
    assert all(math.isfinite(x) and x > 0 for x in found[0].values())


def test_batches_of_a_dataloader_keep_their_position():
    source = DataLoader(ArrayDataset(*points(20)), 5, shuffle=True, seed=1)
    t = trainer()
    with pytest.raises(KeyboardInterrupt):
        t.fit(source, epochs=2, callbacks=[Stop(6)])
    assert t.state_dict()["meta"]["loader"]["position"] == 2
