"""Inside of an epoch nobody waits for the device: values are read once an epoch, for its line.

Counted where the libraries themselves read a value: on torch in its dispatcher, on JAX in the array's own property.
"""

import io

import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, EarlyStopping, GradientStats, MetricsLog, Progress, Trainer
from tests.train.networks import accuracy, model, points

LINE = 4
"""Numbers a log line: loss and accuracy, in training and in validation."""


class Marks(Callback):
    """How many values had been read when each batch and each epoch ended."""

    def __init__(self, count):
        self.count, self.batches, self.epochs = count, [], []

    def on_batch_end(self, trainer, loss):
        self.batches.append(self.count())

    def on_epoch_end(self, trainer, record):
        self.epochs.append(self.count())


def fit(count, *callbacks):
    marks = Marks(count)
    nnx.seed(0)
    t = Trainer(model(), nnx.optim.Adam(1e-2), nnx.losses.cross_entropy, {"accuracy": accuracy})
    batches = DataLoader(ArrayDataset(*points(40)), 8, shuffle=True, seed=0)
    t.fit(batches, validation=points(20), epochs=3, callbacks=[marks, *callbacks])
    return marks


@pytest.fixture
def reads_of_torch():
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.found += function._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
            return function(*args, **(kwargs or {}))

    with nnx.use_backend("torch"), Counter() as counter:
        float(torch.ones(()))
        assert counter.found == 1, "the counter counts"
        counter.found = 0
        yield lambda: counter.found


@pytest.fixture
def reads_of_jax(monkeypatch):
    jax = pytest.importorskip("jax")
    kind = type(jax.numpy.ones(1))
    original = kind._value
    found = []
    monkeypatch.setattr(kind, "_value", property(lambda self: found.append(1) or original.fget(self)))
    with nnx.use_backend("jax"):
        float(jax.numpy.ones(()))
        assert found, "the counter counts"
        found.clear()
        yield lambda: len(found)


@pytest.mark.parametrize("reads", ["reads_of_torch", "reads_of_jax"])
def test_values_are_read_once_an_epoch(reads, request, tmp_path):
    count = request.getfixturevalue(reads)
    progress = Progress(3, live=True, file=io.StringIO())
    marks = fit(count, MetricsLog(tmp_path / "m"), EarlyStopping("loss"), progress)
    assert marks.epochs == [LINE, 2 * LINE, 3 * LINE]
    assert marks.batches == [0] * 5 + [LINE] * 5 + [2 * LINE] * 5


@pytest.mark.parametrize("reads", ["reads_of_torch", "reads_of_jax"])
def test_gradient_stats_read_once_an_epoch(reads, request):
    count = request.getfixturevalue(reads)
    marks = fit(count, GradientStats())
    parameters, layers = 4, 2
    assert marks.batches == [k * (LINE + parameters + layers) for k in range(3) for _ in range(5)]


def test_jax_moves_nothing_by_mistake(monkeypatch):
    """An epoch's steps with every implicit read of a device refused."""
    jax = pytest.importorskip("jax")
    original = Trainer._train_batch

    def guarded(self, *batch):
        with jax.transfer_guard_device_to_host("disallow"):
            original(self, *batch)

    monkeypatch.setattr(Trainer, "_train_batch", guarded)
    with nnx.use_backend("jax"):
        assert len(fit(lambda: 0).batches) == 15


def test_no_step_depends_on_a_value():
    """array-api-strict with data-dependent shapes and boolean indexing off, on a device that lets nothing out."""
    strict = pytest.importorskip("array_api_strict")
    before = strict.get_array_api_strict_flags()
    strict.set_array_api_strict_flags(boolean_indexing=False, data_dependent_shapes=False)
    try:
        with nnx.use_backend("array_api_strict", "device1"):
            assert len(fit(lambda: 0).batches) == 15
    finally:
        strict.set_array_api_strict_flags(
            boolean_indexing=before["boolean_indexing"], data_dependent_shapes=before["data_dependent_shapes"]
        )
