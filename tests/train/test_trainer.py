"""fit, evaluate, predict: the numbers they give are those of the loop written out by hand."""

import math

import numpy as np
import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, Diverged, EarlyStopping, GradientStats, Trainer
from tests.support import assert_close
from tests.train.networks import Calls, EpochLoss, Stop, accuracy, loader, points, records, trainer, weights


def test_fit_is_the_loop_by_hand():
    a, b = trainer(), trainer()
    nnx.seed(11)
    history = a.fit(loader(), epochs=2)
    nnx.seed(11)
    step = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))
    for epoch, batches in enumerate([(same := loader()), same]):
        losses, n = 0.0, 0
        for x, y in batches:
            loss, grads = step(b.model, x, y)
            b.optimizer.update(b.model, grads)
            losses, n = losses + float(loss) * len(y), n + len(y)
        assert history["loss"][epoch] == pytest.approx(losses / n, rel=1e-6)
    assert n == 50, "a smaller last batch counts by its samples"
    assert weights(a) == weights(b)


def test_it_learns_on_each_backend(backend):
    t = trainer()
    x, y = points(60)
    history = t.fit(x, y, validation=points(30, seed=2), epochs=12, batch_size=10)
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_accuracy"][-1] > 0.6
    assert list(history.records[0]) == [
        "epoch",
        "step",
        "lr",
        "loss",
        "accuracy",
        "seconds",
        "val_loss",
        "val_accuracy",
    ]
    assert history["step"] == [6 * k for k in range(1, 13)]
    assert nnx.backend.backend_of(next(t.model.parameters())) is type(backend)


def test_evaluate_is_the_whole_sets_loss(backend):
    t = trainer()
    x, y = points(50)
    with_all = nnx.losses.cross_entropy(t.model.eval()(nnx.asarray(x, "float32")), nnx.asarray(y))
    t.model.train()
    for batch_size in (7, 50, 256):
        found = t.evaluate(x, y, batch_size=batch_size)
        assert found["loss"] == pytest.approx(float(with_all), rel=1e-5)
    assert t.evaluate((x, y)) == t.evaluate(DataLoader(ArrayDataset(x, y), 256))
    assert t.model.training, "as it was before"


def test_predict_takes_what_fit_takes():
    t, x = trainer(), points()[0]
    np.testing.assert_array_equal(t.predict(x.tolist()), t.predict(x))


def test_predict_is_the_model_in_parts(backend):
    t = trainer()
    x, _ = points(50)
    for source in (x, nnx.asarray(x, "float32")):
        parts = t.predict(source, batch_size=16)
        assert nnx.backend.backend_of(parts) is type(backend)
        assert_close(parts, nnx.to_numpy(t.model.eval()(nnx.asarray(x, "float32"))), rtol=1e-5, atol=1e-6)
        t.model.train()
    assert t.model.training


def test_evaluation_draws_no_random_number():
    t = trainer()
    before = nnx.random.get_state()
    t.evaluate(*points())
    t.predict(points()[0])
    assert nnx.random.get_state() == before


def test_the_model_trains_in_training_mode_and_validates_in_evaluation_mode():
    modes = []

    class Look(nnx.Module):
        def __init__(self):
            self.inner = nnx.Linear(2, 3)

        def __call__(self, x):
            modes.append(self.training)
            return self.inner(x)

    t = Trainer(Look().eval(), nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
    t.fit(*points(20), validation=points(20), epochs=1, batch_size=10)
    assert modes == [True, True, False]


@pytest.mark.parametrize("form", ["list", "iterable", "dict", "two inputs"])
def test_batches_of_every_form(backend, form):
    x, y = points(30)
    if form == "list":
        batches = list(DataLoader(ArrayDataset(x, y), 10))
    elif form == "iterable":
        batches = type("Own", (), {"__iter__": lambda self: iter(DataLoader(ArrayDataset(x, y), 10))})()
    else:
        batches = [
            {"a": a[:, 0:1], "b": a[:, 1:2], "y": b} if form == "dict" else (a[:, 0:1], a[:, 1:2], b)
            for a, b in DataLoader(ArrayDataset(x, y), 10)
        ]

    class Two(nnx.Module):
        def __init__(self):
            self.inner = nnx.Linear(2, 3)

        def __call__(self, a, b=None):
            return self.inner(a if b is None else nnx.namespace(a).concat([a, b], axis=1))

    def trained(batches):
        nnx.seed(7)
        t = Trainer(Two(), nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
        t.fit(batches, validation=batches, epochs=2)
        return t.history["val_loss"]

    assert trained(batches) == pytest.approx(trained(DataLoader(ArrayDataset(x, y), 10)), rel=1e-6)


def test_fit_twice_trains_on():
    once, again = trainer(), loader()
    once.fit(loader(), epochs=4)
    twice = trainer()
    twice.fit(again, epochs=2)
    twice.fit(again, epochs=2)
    assert twice.epoch == 4
    assert records(twice) == records(once)
    assert weights(twice) == weights(once)


def test_fit_after_ctrl_c_begins_a_clean_epoch():
    t = trainer()
    ends = Calls()
    with pytest.raises(KeyboardInterrupt):
        t.fit(*points(), epochs=5, batch_size=10, callbacks=[Stop(7), ends])
    assert ends.log[-1] == "on_train_end"
    assert (t.epoch, t.step) == (1, 7)
    counted = EpochLoss([10] * 5)
    t.fit(*points(), epochs=1, batch_size=10, callbacks=[counted])
    assert t.epoch == 2
    assert t.history["loss"][-1] == pytest.approx(counted.means[0], rel=1e-6), "without the sums of the broken epoch"


def test_stop_ends_after_the_batch():
    class AtStep3(Callback):
        def on_batch_end(self, trainer, loss):
            if trainer.step == 3:
                trainer.stop()

    t = trainer()
    t.fit(loader(), epochs=5, callbacks=[AtStep3()])
    assert (t.step, t.epoch) == (3, 1)
    t.fit(loader(), epochs=1)
    assert t.epoch == 2, "a stop is for one fit"


@pytest.mark.parametrize("where", ["x", "loss"])
def test_diverged(where):
    x, y = points()
    if where == "x":
        x[7, 1] = math.nan
    t = trainer()
    if where == "loss":
        t = Trainer(t.model, t.optimizer, lambda output, target: nnx.losses.cross_entropy(output, target) + math.inf)
    ends = Calls()
    with pytest.raises(Diverged, match=r"the loss of epoch 1 is (nan|inf): lower lr \(now 0.01\), clip the gradients"):
        t.fit(x, y, callbacks=[ends])
    assert ends.log[-1] == "on_train_end"


def test_diverged_in_the_validation():
    x, y = points()
    x[0] = math.nan
    with pytest.raises(Diverged, match="the val_loss of epoch 1 is nan"):
        trainer().fit(*points(), validation=(x, y))


def test_gradients_are_clipped_before_the_update(backend):
    norms = []

    def clip(grads):
        clipped, _ = nnx.optim.clip_grad_norm(grads, 1e-3)
        norms.append(math.sqrt(sum(float(nnx.to_numpy(g * g).sum()) for g in clipped.values())))
        return clipped

    t = trainer(nnx.optim.SGD(1.0), transform_grads=clip)
    before = t.model.state_dict()
    t.fit(*points(20), batch_size=20)
    assert norms == pytest.approx([1e-3], rel=1e-2)
    after = t.model.state_dict()
    moved = math.sqrt(sum(float(((nnx.to_numpy(after[k]) - nnx.to_numpy(before[k])) ** 2).sum()) for k in before))
    assert moved == pytest.approx(1e-3, rel=2e-2)


def test_a_schedule_by_epoch_and_by_step():
    t = trainer(nnx.optim.SGD(0.1), lambda opt: nnx.optim.StepLR(opt, 1, gamma=0.5))
    assert t.fit(loader(), epochs=3)["lr"] == pytest.approx([0.1, 0.05, 0.025])
    t = trainer(nnx.optim.SGD(0.1), lambda opt: nnx.optim.StepLR(opt, 7, gamma=0.5), schedule_every="step")
    history = t.fit(loader(), epochs=3)
    assert len(loader()) == 7
    assert history["lr"] == pytest.approx([0.05, 0.025, 0.0125])


def test_a_schedule_that_watches_the_validation():
    class Watching:
        seen = ()

        def step(self, metrics):
            self.seen = (*self.seen, metrics)

    schedule = Watching()
    t = trainer(schedule=lambda opt: schedule)
    t.fit(loader(), validation=points(), epochs=2)
    t.fit(loader(), epochs=1)
    assert schedule.seen == (*t.history["val_loss"], t.history["loss"][-1])


def test_the_plateau_of_nnx():
    t = trainer(nnx.optim.SGD(1e-9), lambda opt: nnx.optim.ReduceLROnPlateau(opt, patience=0, factor=0.5, eps=0.0))
    history = t.fit(loader(), validation=points(), epochs=4)
    assert history["lr"][-1] < 1e-9


def test_early_stopping_puts_the_best_weights_back():
    """Of a loss that is told, the third epoch is the best: its weights come back after two more."""
    told = iter([3.0, 2.0, 1.0, 1.5, 1.0, 0.1])
    kept = []

    class Told(Callback):
        def on_epoch_end(self, trainer, record):
            record["score"] = next(told)
            kept.append(weights(trainer))

    t = trainer()
    early = EarlyStopping("score", patience=2)
    t.fit(loader(), epochs=10, callbacks=[Told(), early])
    assert t.epoch == 5
    assert early.best_epoch == 3
    assert weights(t) == kept[2] != kept[4]


@pytest.mark.parametrize(
    ("monitor", "options", "values", "epochs"),
    [
        ("score", {}, [1.0, 1.0, 1.0], 3),
        ("score", {"min_delta": 0.5}, [3.0, 2.6, 2.4, 2.3, 2.2], 5),
        ("accuracy2", {}, [0.1, 0.2, 0.3, 0.2, 0.3], 5),
        ("score", {"mode": "max"}, [0.1, 0.2, 0.3, 0.2, 0.3], 5),
        ("score", {}, [math.nan, math.nan], 2),
    ],
)
def test_what_counts_as_better(monitor, options, values, epochs):
    told = iter(values)

    class Told(Callback):
        def on_epoch_end(self, trainer, record):
            record[monitor] = next(told)

    t = trainer()
    t.fit(loader(), epochs=len(values), callbacks=[Told(), EarlyStopping(monitor, patience=2, **options)])
    assert t.epoch == epochs == len(values)


def test_early_stopping_counts_anew_in_each_fit():
    t = trainer(nnx.optim.SGD(1e-12))
    early = EarlyStopping("loss", patience=2, min_delta=10.0)
    for _ in range(2):
        before = t.epoch
        t.fit(loader(), epochs=10, callbacks=[early])
        assert t.epoch - before == 3


def test_history():
    t = trainer()
    history = t.fit(loader(), epochs=3)
    assert len(history) == 3
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history.best("loss")["loss"] == min(history["loss"])
    assert history.best("accuracy", "max")["accuracy"] == max(history["accuracy"])
    with pytest.raises(KeyError, match="nothing named 'val_loss' was recorded: there is accuracy, epoch, loss"):
        history["val_loss"]
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'largest'"):
        history.best("loss", "largest")


def test_metrics_are_means_over_samples(backend):
    """50 samples in batches of 8: the last one of 2 counts a quarter."""
    t = trainer(
        metrics={
            "label": lambda output, target: nnx.namespace(output).mean(
                nnx.namespace(output).astype(target, output.dtype)
            )
        }
    )
    x, y = points(50)
    assert t.fit(x, y, batch_size=8)["label"] == pytest.approx([float(np.mean(y))], rel=1e-6)
    assert t.evaluate(x, y, batch_size=8)["label"] == pytest.approx(float(np.mean(y)), rel=1e-6)
    assert accuracy(nnx.asarray([[0.0, 1.0]]), nnx.asarray([1])) == 1.0


def test_compiled_is_eager(backend):
    """With dropout, running statistics, clipping, a schedule and a last batch that is short."""
    found = []
    for compile in (False, True):
        nnx.seed(0)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(21, 4)).astype("float32"), rng.integers(0, 3, 21)
        first = [nnx.Linear(4, 8, bias=False), nnx.BatchNorm1d(8), nnx.ReLU(), nnx.Dropout(0.3)]
        model, optimizer = nnx.Sequential(*first, nnx.Linear(8, 3)), nnx.optim.Adam(lr=0.01)
        trained = Trainer(
            model,
            optimizer,
            nnx.losses.cross_entropy,
            {"accuracy": nnx.metrics.accuracy},
            schedule=nnx.optim.StepLR(optimizer, 2),
            transform_grads=lambda grads: nnx.optim.clip_grad_norm(grads, 1.0)[0],
            compile=compile,
        )
        history = trained.fit(x, y, validation=(x, y), epochs=3, batch_size=8, callbacks=[GradientStats()])
        found.append([history[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr")])
        if compile and backend.name == "jax":
            assert trained.steps.gradients_of.traces == 2
            assert trained.steps.update.traces == 1
    np.testing.assert_allclose(found[1], found[0], rtol=2e-3)
