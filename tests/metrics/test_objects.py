"""Metrics as objects: nothing is read before compute, counts stay exact, edge cases, and training with them."""

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.train import Callback, Trainer
from tests.support import assert_close

rng = np.random.default_rng(21)
SCORES, LABELS = rng.standard_normal((40, 3)), rng.integers(0, 3, 40)
YES = (LABELS == 1).astype(int)
NUMBERS, TARGETS = rng.standard_normal((2, 40))

# an object, outputs, targets
CASES = [
    (metrics.Accuracy(), SCORES, LABELS),
    (metrics.Accuracy(2), SCORES, LABELS),
    (metrics.Precision("macro"), SCORES, LABELS),
    (metrics.Recall("weighted"), SCORES, LABELS),
    (metrics.F1Score("micro"), SCORES, LABELS),
    (metrics.FBetaScore(2.0, "macro"), SCORES, LABELS),
    (metrics.F1Score(threshold=0.0), SCORES[:, 0], YES),
    (metrics.ConfusionMatrix(), SCORES, LABELS),
    (metrics.AUROC(), SCORES, LABELS),
    (metrics.AUROC(), SCORES[:, 0], YES),
    (metrics.AveragePrecision("none"), SCORES, LABELS),
    (metrics.MeanAbsoluteError(), NUMBERS, TARGETS),
    (metrics.MeanSquaredError(), NUMBERS, TARGETS),
    (metrics.RootMeanSquaredError(), NUMBERS, TARGETS),
    (metrics.R2Score(), NUMBERS, TARGETS),
]
every_metric = pytest.mark.parametrize(("metric", "x", "y"), CASES, ids=[type(c[0]).__name__ for c in CASES])


@pytest.fixture
def fresh():
    for metric, _, _ in CASES:
        metric.reset()


def plain(found):
    return np.asarray(found) if isinstance(found, float) else nnx.to_numpy(found)


@every_metric
def test_over_batches_as_over_all(backend, fresh, metric, x, y):
    for part in (slice(0, 16), slice(16, 16), slice(16, 32), slice(32, 40)):
        assert metric.update(nnx.asarray(x[part]), nnx.asarray(y[part])) is metric
    whole = metric(nnx.asarray(x), nnx.asarray(y))
    assert not isinstance(whole, nnx.Var)
    np.testing.assert_allclose(plain(metric.compute()), nnx.to_numpy(whole), rtol=1e-12)
    assert np.all(np.isnan(metric.reset().compute()))


@every_metric
def test_in_the_dtype_of_the_scores(backend, fresh, metric, x, y):
    x, target = nnx.asarray(x, "float32"), nnx.asarray(y if y.dtype.kind == "i" else y.astype("float32"))
    found = metric(x, target)
    counts = isinstance(metric, metrics.ConfusionMatrix)
    assert found.dtype == (metric._of_batch(x, target)[0].dtype if counts else x.dtype)
    np.testing.assert_allclose(nnx.to_numpy(found), plain(metric.update(x, target).compute()), rtol=2e-6)


@every_metric
def test_state_goes_through_a_dict(backend, fresh, metric, x, y):
    x, y = nnx.asarray(x), nnx.asarray(y)
    state = metric.update(x[:16, ...], y[:16, ...]).state_dict()
    expected = plain(metric.update(x[16:, ...], y[16:, ...]).compute())
    again = metric.reset()
    again.load_state_dict(state)
    np.testing.assert_array_equal(plain(again.update(x[16:, ...], y[16:, ...]).compute()), expected)
    again.load_state_dict({})
    assert np.all(np.isnan(again.compute()))


@every_metric
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_update_reads_nothing(library, metric, x, y, fresh, request):
    count = request.getfixturevalue(f"reads_of_{library}")
    batches = [(nnx.asarray(x[k : k + 8]), nnx.asarray(y[k : k + 8])) for k in range(0, 40, 8)]
    before = count()
    for batch in batches:
        metric.update(*batch)
    assert count() == before
    found = metric.compute()
    assert isinstance(found, float) == (count() > before)


@pytest.fixture
def reads_of_torch():
    pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.found += function._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
            return function(*args, **(kwargs or {}))

    with nnx.use_backend("torch"), Counter() as counter:
        yield lambda: counter.found


@pytest.fixture
def reads_of_jax(monkeypatch):
    jax = pytest.importorskip("jax")
    kind = type(jax.numpy.ones(1))
    original, found = kind._value, []
    monkeypatch.setattr(kind, "_value", property(lambda self: found.append(1) or original.fget(self)))
    with nnx.use_backend("jax"):
        yield lambda: len(found)


def test_counts_stay_exact_where_floats_would_not(backend):
    """2²⁴ + 1 is no float32."""
    metric = metrics.Accuracy()
    metric.update(nnx.asarray(SCORES, "float32"), nnx.asarray(LABELS))
    right, _ = metric._state
    metric._state = (right * 0 + 2**24, 2**24)
    metric.update(nnx.asarray(np.eye(3), "float32"), nnx.asarray(np.asarray([0, 2, 1])))
    assert int(metric._state[0]) == 2**24 + 1
    assert metric._state[1] == 2**24 + 3


def test_an_update_leaves_the_arrays_alone(backend):
    x, y = nnx.asarray(SCORES), nnx.asarray(LABELS)
    for metric in (metrics.AUROC(), metrics.ConfusionMatrix(), metrics.Recall("macro")):
        metric.update(x, y).update(x, y).compute()
    np.testing.assert_array_equal(nnx.to_numpy(x), SCORES.astype(nnx.to_numpy(x).dtype))
    np.testing.assert_array_equal(nnx.to_numpy(y), LABELS)


def test_watched_outputs_are_taken_as_they_are(backend):
    model, x, y = nnx.Linear(3, 3), nnx.asarray(SCORES, "float32"), nnx.asarray(LABELS)
    meter = metrics.AUROC()

    def loss(model, x, y):
        output = model(x)
        meter.update(output, y)
        return nnx.losses.cross_entropy(output, y)

    nnx.value_and_grad(loss)(model, x, y)
    assert meter.compute() == pytest.approx(float(metrics.auroc(model(x), y)), rel=1e-6)


def test_pixels_are_samples(backend):
    image, truth = SCORES.reshape(2, 20, 3).transpose(0, 2, 1).copy(), LABELS.reshape(2, 20)
    x, y, flat = nnx.asarray(image), nnx.asarray(truth), nnx.asarray(SCORES)
    for f in (metrics.confusion_matrix, lambda x, y: metrics.f1_score(x, y, "macro")):
        assert_close(f(x, y), nnx.to_numpy(f(flat, nnx.asarray(LABELS))), 1e-12)
    meter = metrics.Accuracy(2)
    assert meter.update(x, y).compute() == pytest.approx(float(metrics.accuracy(flat, nnx.asarray(LABELS), 2)))


def test_nan_scores_have_no_order(backend):
    scores = SCORES[:, 0].copy()
    scores[3] = np.nan
    for f in (metrics.auroc, metrics.average_precision):
        assert np.isnan(float(f(nnx.asarray(scores), nnx.asarray(YES))))


def test_booleans_and_numbers_as_targets_of_a_ranking(backend):
    x = nnx.asarray(SCORES[:, 0])
    expected = nnx.to_numpy(metrics.auroc(x, nnx.asarray(YES)))
    for target in (YES.astype(bool), YES.astype("float32")):
        assert_close(metrics.auroc(x, nnx.asarray(target)), expected)


def test_labels_out_of_range(backend):
    said = nnx.asarray(np.asarray([0, 1, 2, 5]))
    true = nnx.asarray(np.asarray([0, 1, 1, 1]))
    if type(backend).host:
        with pytest.raises(ValueError, match="label 5 is out of range for 3 classes"):
            metrics.confusion_matrix(said, true, 3)
    else:  # never in another class's place
        found = nnx.to_numpy(metrics.confusion_matrix(said, true, 3))
        np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 1], [0, 0, 0]])


REFUSED = [
    (lambda: metrics.precision(SCORES, LABELS), "of 3 classes needs another average than 'binary': e.g. 'macro'"),
    (lambda: metrics.recall(LABELS, LABELS, "macro"), "recall of labels needs num_classes"),
    (lambda: metrics.confusion_matrix(LABELS, LABELS), "confusion_matrix of labels needs num_classes"),
    (lambda: metrics.f1_score(SCORES, LABELS, "median"), "average must be one of binary, micro"),
    (lambda: metrics.fbeta_score(SCORES, LABELS, -1.0, "macro"), "beta must be >= 0, got -1.0"),
    (lambda: metrics.ConfusionMatrix(3, "rows"), "normalize must be 'true', 'pred', 'all' or None, got 'rows'"),
    (lambda: metrics.confusion_matrix(SCORES, LABELS, 4), "scores of 3 classes, num_classes is 4"),
    (lambda: metrics.auroc(SCORES, LABELS, "binary"), "average must be one of macro, weighted"),
    (lambda: metrics.auroc(SCORES, LABELS[:5]), r"got \(40, 3\) and \(5,\)"),
    (lambda: metrics.auroc(SCORES, LABELS + 1), "label 3 is out of range"),
    (lambda: metrics.precision(SCORES, LABELS[:5], "macro"), "one label a row"),
    (lambda: metrics.r2_score(NUMBERS, TARGETS[:5]), "they must be equal"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kinds_that_do_not_fit():
    with pytest.raises(TypeError, match="precision's target must be an array of labels"):
        metrics.precision(SCORES, TARGETS)
    with pytest.raises(TypeError, match="labels are integers"):
        metrics.auroc(SCORES, TARGETS)
    with pytest.raises(TypeError, match="Recall cannot take up what Precision has seen"):
        metrics.Recall().merge(metrics.Precision())


def test_r2_of_what_has_no_spread(backend):
    same = nnx.asarray(np.full(4, 2.0))
    other = nnx.asarray(np.asarray([1.0, 2.0, 2.0, 2.0]))
    assert [float(metrics.r2_score(x, same)) for x in (same, other)] == [1.0, 0.0]
    assert np.isnan(float(metrics.r2_score(same[:1], same[:1])))


# ---- in the training loop --------------------------------------------------------------------------------------------


class Evaluates(Callback):
    """Asks for another evaluation in the middle of an epoch."""

    def on_batch_end(self, trainer, loss):
        trainer.evaluate(nnx.asarray(SCORES[:5], "float32"), nnx.asarray(LABELS[:5]))


def trained(objects, **options):
    nnx.seed(4)
    model = nnx.Linear(3, 3)
    trainer = Trainer(model, nnx.optim.SGD(0.0), nnx.losses.cross_entropy, objects)
    x, y = nnx.asarray(SCORES, "float32"), nnx.asarray(LABELS)
    history = trainer.fit(x, y, validation=(x, y), epochs=2, batch_size=16, **options)
    return history.records, model(x), y, trainer


def test_the_trainer_takes_them(backend):
    meter = metrics.AUROC()
    objects = {"auroc": meter, "f1": metrics.F1Score("macro"), "accuracy": metrics.accuracy}
    records, output, y, trainer = trained(objects, callbacks=[Evaluates()])
    expected = float(metrics.auroc(output, y)), float(metrics.f1_score(output, y, "macro"))
    for record in records:  # a learning rate of 0: every epoch sees the same network, in batches of three sizes
        for prefix in ("", "val_"):
            assert record[prefix + "auroc"] == pytest.approx(expected[0], rel=1e-6)
            assert record[prefix + "f1"] == pytest.approx(expected[1], rel=1e-6)
    assert trainer.evaluate(nnx.asarray(SCORES, "float32"), y)["auroc"] == pytest.approx(expected[0], rel=1e-6)
    assert np.isnan(meter.compute()), "the user's own object is left alone"


def test_a_checkpoint_within_an_epoch_keeps_them(tmp_path):
    class Saves(Callback):
        def on_batch_end(self, trainer, loss):
            if trainer.step == 2:
                trainer.save(tmp_path / "half.safetensors")

    def made():
        nnx.seed(5)
        trainer = Trainer(
            nnx.Linear(3, 3),
            nnx.optim.SGD(0.1),
            nnx.losses.cross_entropy,
            {"auroc": metrics.AUROC(), "r": metrics.Recall("macro")},
        )
        data = nnx.data.DataLoader(nnx.data.ArrayDataset(SCORES.astype("float32"), LABELS), 8, shuffle=True, seed=0)
        return trainer, data

    trainer, data = made()
    whole = trainer.fit(data, epochs=1, callbacks=[Saves()]).records[-1]
    other, data = made()
    other.resume(tmp_path / "half.safetensors")
    again = other.fit(data, epochs=1).records[-1]
    assert {k: again[k] for k in ("loss", "auroc", "r")} == {k: whole[k] for k in ("loss", "auroc", "r")}


def test_the_trainer_refuses_an_array(backend):
    with pytest.raises(TypeError, match=r"the metric 'matrix' computes an array of shape \(3, 3\)"):
        trained({"matrix": metrics.ConfusionMatrix()})
