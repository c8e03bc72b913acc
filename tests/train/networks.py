"""Small networks and data that the tests of training share."""

import numpy as np

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Callback, Trainer


def points(n=50, seed=1):
    """Three classes in the plane, float64 and int64, on the host."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(size=(n, 2)) + 2.0 * np.stack([np.cos(2 * y), np.sin(2 * y)], 1), y


def accuracy(output, target):
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))


def model(dropout=0.25):
    return nnx.Sequential(nnx.Linear(2, 8), nnx.ReLU(), nnx.Dropout(dropout), nnx.Linear(8, 3))


def trainer(optimizer=None, schedule=None, **options):
    """A Trainer of a new network; schedule: a function of the optimizer."""
    nnx.seed(7)
    optimizer = optimizer or nnx.optim.Adam(1e-2)
    options = {"metrics": {"accuracy": accuracy}, **options}
    made = None if schedule is None else schedule(optimizer)
    return Trainer(model(), optimizer, nnx.losses.cross_entropy, schedule=made, **options)


def modes(backend):
    """compile= False and True; torch's compiler takes seconds a program, and one test of a whole Trainer is enough."""
    return (False,) if backend.name == "torch" else (False, True)


def loader(n=50, batch_size=8):
    return DataLoader(ArrayDataset(*points(n)), batch_size, shuffle=True, seed=3)


def weights(trainer):
    return {path: nnx.to_numpy(x).tobytes() for path, x in trainer.model.state_dict().items()}


def records(trainer):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in trainer.history]


class Stop(Callback):
    """Raises at a given update, as Ctrl-C or a fault would."""

    def __init__(self, step, error=KeyboardInterrupt):
        self.step, self.error = step, error

    def on_batch_end(self, trainer, loss):
        if trainer.step == self.step:
            raise self.error


class EpochLoss(Callback):
    """The mean over the samples of each epoch, counted on the host; told how many samples a batch has."""

    def __init__(self, sizes):
        self.sizes, self.losses, self.means = sizes, [], []

    def on_epoch_begin(self, trainer):
        self.losses = []

    def on_batch_end(self, trainer, loss):
        self.losses.append(float(loss))

    def on_epoch_end(self, trainer, record):
        pairs = list(zip(self.losses, self.sizes, strict=True))
        self.means.append(sum(loss * n for loss, n in pairs) / sum(self.sizes))


class Calls(Callback):
    """Writes down which hooks were called."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log

    def __getattribute__(self, hook):
        if hook.startswith("on_"):
            return lambda *args: self.log.append(self.name + hook)
        return super().__getattribute__(hook)
