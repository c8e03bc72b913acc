"""One table of wrong uses: what is called, the error, and the message, which names both sides and the way out."""

import math

import numpy as np
import pytest

import nnx
from nnx import data, train
from nnx.io import CheckpointError, load, save, save_safetensors
from nnx.train import Checkpoint, EarlyStopping, GradientStats, ModelCheckpoint, Trainer

F = nnx.functional
X = np.zeros((6, 2), np.float32)
Y = np.arange(6) % 3


def linear(**options):
    return nnx.Linear(2, 3, **options)


def trainer(model=None, **options):
    return Trainer(model or linear(), nnx.optim.SGD(0.1), nnx.losses.cross_entropy, **options)


def torch():
    return pytest.importorskip("torch")


def write(path, content):
    path.write_bytes(content)
    return path


def truncated(path):
    save(path, linear())
    return write(path, path.read_bytes()[:-7])


def weights_of_another(path):
    save_safetensors(path, {"weight": np.zeros((3, 5), np.float32), "gain": X})
    return path


def half_a_batch():
    return data.DataLoader(data.ArrayDataset(X, Y), batch_size=7, drop_last=True)


def wrong_argnums():
    return nnx.grad(lambda x: x, argnums=1)(np.float64(1.0))


def on_numpy_and_torch():
    return F.linear(torch().zeros(6, 2), np.zeros((3, 2), np.float32))


# name: (call, error, pattern of the message); a call that takes an argument gets a path to write to
DATA = {
    "no sample": (lambda: data.ArrayDataset(X[:0], Y[:0]), ValueError, r"expected rows in array 0, got an empty array"),
    "no array": (
        lambda: data.ArrayDataset(),
        ValueError,
        r"expected at least one array, got none: ArrayDataset\(x, y\)",
    ),
    "lengths": (
        lambda: data.ArrayDataset(X, Y[:4]),
        ValueError,
        r"expected arrays of one length, got lengths \[6, 4\]",
    ),
    "text": (lambda: data.ArrayDataset(["a"]), ValueError, r"expected numbers in array 0, got dtype <U1: map names"),
    "batch_size 0": (
        lambda: data.DataLoader(data.ArrayDataset(X), batch_size=0),
        ValueError,
        r"expected batch_size of at least 1, got 0",
    ),
    "drop_last": (
        half_a_batch,
        ValueError,
        r"at least batch_size=7 samples with drop_last=True, got 6.*: lower batch_size",
    ),
    "fractions": (
        lambda: data.train_val_test_split(X, Y, (0.8, 0.1, 0.2)),
        ValueError,
        r"expected fractions that add up to 1, got \[0\.8, 0\.1, 0\.2\], sum 1\.1",
    ),
    "lengths of parts": (
        lambda: data.random_split(data.ArrayDataset(X), [4, 4]),
        ValueError,
        r"expected lengths that add up to the dataset's 6 samples, got \[4, 4\], sum 8",
    ),
    "part of none": (
        lambda: data.train_val_test_split(X[:2], Y[:2]),
        ValueError,
        r"expected enough samples for .*, got 2, which makes parts of \[\d, \d, 0\]",
    ),
    "nan": (
        lambda: data.check_finite([[1.0, math.nan]], "x"),
        ValueError,
        r"x holds nan at row 0, column 1 \(1 of its 2 values is not finite\): drop such rows, or fill them",
    ),
    "label too large": (
        lambda: data.check_labels([0, 3], 3),
        ValueError,
        r"expected labels from 0 to 2 \(num_classes=3\), got 3 at row 1 .*: raise num_classes, or renumber",
    ),
    "labels are no integers": (
        lambda: data.check_labels([0.0], 3),
        TypeError,
        r"expected integer labels, got float64: use",
    ),
    "subset": (
        lambda: data.Subset(data.ArrayDataset(X), [6]),
        IndexError,
        r"expected indices below the dataset's 6 samples, got 6",
    ),
    "other features": (
        lambda: data.Standardize().fit(X)(X[:, :1]),
        ValueError,
        r"expected x of shape \(n, 2\), as it was fitted, got \(6, 1\): same features, same order",
    ),
    "another loader's state": (
        lambda: data.DataLoader(data.ArrayDataset(X), 2).load_state_dict(
            data.DataLoader(data.ArrayDataset(X), 3).state_dict()
        ),
        ValueError,
        r"expected a state saved with batch_size=2, as this loader has, got batch_size=3",
    ),
}

LOSSES = {
    "label out of range": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.asarray([0, 3])),
        ValueError,
        r"label 3 is out of range for 3 classes: labels are integers in \[0, 3\); .*ignore_index=3",
    ),
    "label below 0": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.asarray([0, -1])),
        ValueError,
        r"label -1 is out of range for 3 classes",
    ),
    "label out of range while a gradient is taken": (
        lambda: nnx.grad(nnx.losses.cross_entropy)(np.zeros((2, 3)), np.asarray([0, 3])),
        ValueError,
        r"label 3 is out of range for 3 classes",
    ),
    "labels that are floats": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.asarray([0.0, 1.0])),
        TypeError,
        r"cross_entropy's target has dtype float64: labels are integers, e\.g\. nnx\.asarray\(y, 'int64'\)",
    ),
    "labels in a list": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), [0, 1]),
        TypeError,
        r"cross_entropy's target must be an array of integers, got list: nnx\.asarray\(y\)",
    ),
    "labels in a column": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.zeros((2, 1), int)),
        ValueError,
        r"cross_entropy expects scores \(n, c, \.\.\.\) and labels \(n, \.\.\.\), got \(2, 3\) and \(2, 1\): .*reshape",
    ),
    "mse_loss of two shapes": (
        lambda: nnx.losses.mse_loss(np.zeros((4, 1)), np.zeros(4)),
        ValueError,
        r"mse_loss: the output has shape \(4, 1\), the target \(4,\): they must be equal, e\.g\. y\.reshape\(-1, 1\)",
    ),
    "mse_loss of two dtypes": (
        lambda: nnx.losses.mse_loss(X, X.astype("float64")),
        TypeError,
        r"mse_loss: the output is float32, the target float64: convert it first",
    ),
    "reduction": (
        lambda: nnx.losses.mse_loss(X, X, reduction="average"),
        ValueError,
        r"reduction must be 'mean', 'sum' or 'none', got 'average'",
    ),
    "weights of classes": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.asarray([0, 1]), weight=np.ones(2)),
        ValueError,
        r"cross_entropy: weight has shape \(2,\) for 3 classes: expected \(3,\)",
    ),
    "label smoothing": (
        lambda: nnx.losses.cross_entropy(np.zeros((2, 3)), np.asarray([0, 1]), label_smoothing=1.5),
        ValueError,
        r"label_smoothing must be in \[0, 1\], got 1\.5",
    ),
}

OPTIMIZERS = {
    "lr below 0": (lambda: nnx.optim.SGD(lr=-0.1), ValueError, r"SGD: lr must be >= 0, got -0\.1"),
    "lr nan": (lambda: nnx.optim.Adam(lr=math.nan), ValueError, r"Adam: lr must be >= 0, got nan"),
    "betas": (
        lambda: nnx.optim.Adam(betas=(0.9, 1.0)),
        ValueError,
        r"Adam: betas must be .*\[0, 1\), got \(0\.9, 1\.0\)",
    ),
    "nesterov": (
        lambda: nnx.optim.SGD(0.1, nesterov=True),
        ValueError,
        r"SGD: nesterov needs momentum > 0 .*, got 0\.0",
    ),
    "weight decay": (
        lambda: nnx.optim.SGD(0.1, weight_decay=-1.0),
        ValueError,
        r"weight_decay must be >= 0, got .*-1\.0",
    ),
    "gradients of another model": (
        lambda: nnx.optim.SGD(0.1).update(linear(), {"weight": np.zeros((3, 2), np.float32)}),
        KeyError,
        r"parameters and gradients differ: no gradient for \['bias'\].*value_and_grad of the same model",
    ),
    "update of arrays": (
        lambda: nnx.optim.SGD(0.1).update({"w": X}, {"w": X}),
        TypeError,
        r"update takes a Module, got dict; for a dict of arrays: apply\(params, grads\)",
    ),
    "clipping": (lambda: nnx.optim.clip_grad_norm({"w": X}, -1.0), ValueError, r"max_norm must be >= 0 .*, got -1\.0"),
}

MODULES = {
    "wrong width": (
        lambda: linear()(np.zeros((4, 5), np.float32)),
        ValueError,
        r"expected x of shape \(n, 2\), got \(4, 5\): flatten each sample, e\.g\. x\.reshape\(n, -1\)",
    ),
    "an image where rows are wanted": (
        lambda: nnx.Linear(784, 10)(np.zeros((4, 28, 28), np.float32)),
        ValueError,
        r"expected x of shape \(n, 784\), got \(4, 28, 28\): flatten each sample",
    ),
    "no width": (lambda: nnx.Linear(0, 3), ValueError, r"Linear\(0, 3\): both sizes must be at least 1"),
    "dropout above 1": (lambda: nnx.Dropout(1.5), ValueError, r"Dropout's p is a probability in \[0, 1\], got 1\.5"),
    "dropout's function": (lambda: F.dropout(X, p=-0.1), ValueError, r"p is a probability in \[0, 1\], got -0\.1"),
    "no forward pass": (
        lambda: nnx.Module()(X),
        NotImplementedError,
        r"Module needs a method __call__\(self, x\): its forward pass",
    ),
    "state dict with other names": (
        lambda: linear().load_state_dict({"weight": np.zeros((3, 2)), "b": np.zeros(3)}),
        ValueError,
        r"the state dict does not fit Linear: missing: bias; unexpected: b",
    ),
    "state dict of another shape": (
        lambda: linear().load_state_dict({"weight": np.zeros((3, 5)), "bias": np.zeros(3)}),
        ValueError,
        r"weight has shape \(3, 5\).*\(3, 2\)",
    ),
    "an unknown parameter": (
        lambda: linear().update({"w": X}),
        KeyError,
        r"no parameter w in Linear: there is weight, bias",
    ),
    "a parameter made in the forward pass": (
        lambda: nnx.grad(lambda m: setattr(m, "scale", m.weight * 2.0))(linear()),
        AttributeError,
        r"Linear\.scale was assigned an array in the forward pass .*: call it _scale, or register_buffer\('scale'",
    ),
    "initialisation": (
        lambda: nnx.init.calculate_gain("step"),
        ValueError,
        r"unknown nonlinearity 'step': one of linear, .*leaky_relu",
    ),
    "seed": (lambda: nnx.seed(-1), ValueError, r"seed must be in \[0, 2\*\*64\), got -1"),
}

CORE = {
    "a loss a sample": (
        lambda: nnx.grad(lambda x: x * x)(np.ones(3)),
        ValueError,
        r"the loss must be a scalar, got shape \(3,\): take its mean or sum over the batch",
    ),
    "a loss that is a float": (
        lambda: nnx.grad(lambda x: float(x[0]))(np.ones(3)),
        TypeError,
        r"the loss must be a scalar array, got float: return it as it was computed, not float\(loss\)",
    ),
    "argnums too large": (
        wrong_argnums,
        ValueError,
        r"argnums \(1,\) of a call with 1 positional arguments?: each must be below that",
    ),
    "argnums below 0": (
        lambda: nnx.grad(lambda x: x, argnums=-1),
        ValueError,
        r"argnums must be positions of arguments \(0, 1, \.\.\.\), got -1",
    ),
    "integers": (
        lambda: nnx.grad(lambda x: x[0])(np.arange(3)),
        TypeError,
        r"gradients are taken with respect to floating arrays, got dtype int64: convert it first",
    ),
    "no array at all": (
        lambda: nnx.grad(lambda x: x)("x"),
        TypeError,
        r"cannot watch str: expected a floating array, e\.g\. nnx\.asarray\(x, 'float32'\)",
    ),
    "a cotangent of another shape": (
        lambda: nnx.vjp(lambda x: x, np.ones(3))[1](np.ones(2)),
        ValueError,
        r"a cotangent of shape \(2,\) for an output of shape \(3,\): they must agree",
    ),
    "a NumPy function inside": (
        lambda: nnx.grad(lambda x: np.sin(np.asarray(x))[0])(np.ones(3)),
        TypeError,
        r"a function that knows only NumPy arrays was given an array .*: use xp = x\.__array_namespace__\(\)",
    ),
    "to_numpy of a watched array": (
        lambda: nnx.grad(nnx.to_numpy)(np.ones(())),
        TypeError,
        r"to_numpy of a watched array would lose its gradient: nnx\.to_numpy\(nnx\.stop_gradient\(x\)\)",
    ),
}

BACKENDS = {
    "unknown backend": (
        lambda: nnx.get_backend("tensorflow"),
        nnx.BackendUnavailable,
        r"'tensorflow'(.|\n)*numpy.*torch",
    ),
    "unknown device": (
        lambda: nnx.get_backend("numpy", "cuda:7"),
        nnx.BackendUnavailable,
        r"backend 'numpy': no device 'cuda:7'; there is cpu",
    ),
    "two backends": (
        on_numpy_and_torch,
        nnx.MixedBackends,
        r"arrays of 'torch' on cpu and 'numpy' on cpu in one call: nothing is converted silently\. Move one",
    ),
    "a batch of another backend": (
        lambda: linear()(torch().zeros(6, 2)),
        nnx.MixedBackends,
        r"'torch' on cpu and 'numpy' on cpu|'numpy' on cpu and 'torch' on cpu",
    ),
    "labels of another backend": (
        lambda: nnx.losses.cross_entropy(X, torch().zeros(6, dtype=torch().int64)),
        nnx.MixedBackends,
        r"'numpy' on cpu and 'torch' on cpu in one call: .*model\.to\('numpy'\)",
    ),
    "a list for an array": (
        lambda: nnx.namespace([1.0]),
        TypeError,
        r"expected an array, got list: make one with nnx\.asarray",
    ),
}

TRAINING = {
    "no Module": (
        lambda: Trainer(lambda x: x, nnx.optim.SGD(0.1), nnx.losses.mse_loss),
        TypeError,
        r"Trainer's model must be a Module, got function: e\.g\. nnx\.Sequential",
    ),
    "an optimizer's class": (
        lambda: Trainer(linear(), nnx.optim.SGD, nnx.losses.mse_loss),
        TypeError,
        r"Trainer's optimizer must be one of nnx\.optim, got type: e\.g\. nnx\.optim\.Adam\(\)",
    ),
    "a loss by name": (
        lambda: Trainer(linear(), nnx.optim.SGD(0.1), "mse"),
        TypeError,
        r"Trainer's loss must be a function \(output, target\), got str: e\.g\. nnx\.losses",
    ),
    "metrics in a list": (
        lambda: trainer(metrics=[min]),
        TypeError,
        r"metrics must be a dict of functions by name, got list",
    ),
    "a metric called loss": (lambda: trainer(metrics={"loss": min}), ValueError, r"hold 'loss'.*: choose another name"),
    "schedule_every": (
        lambda: trainer(schedule_every="batch"),
        ValueError,
        r"schedule_every must be 'epoch' or 'step', got 'batch'",
    ),
    "a plateau by step": (
        lambda: trainer(
            schedule=nnx.optim.ReduceLROnPlateau(nnx.optim.SGD(0.1)),
            schedule_every="step",
        ),
        ValueError,
        r"ReduceLROnPlateau watches an epoch's number: schedule_every must be 'epoch', got 'step'",
    ),
    "epochs 0": (lambda: trainer().fit(X, Y, epochs=0), ValueError, r"epochs must be at least 1, got 0"),
    "x without y": (
        lambda: trainer().fit(X),
        TypeError,
        r"expected arrays x and y, or a loader .*, got ndarray without y",
    ),
    "batches without a target": (
        lambda: trainer().fit(data.DataLoader(data.ArrayDataset(X))),
        TypeError,
        r"expected batches \(x, y\), or dicts with the target under 'y', got tuple of 1: .* has no target",
    ),
    "dicts without a target": (
        lambda: trainer().fit([{"x": X, "label": Y}]),
        ValueError,
        r"expected a batch with the target under 'y' beside its inputs, got x, label",
    ),
    "no batch": (
        lambda: trainer().fit([]),
        ValueError,
        r"expected batches to train or evaluate on, got none: the loader is",
    ),
    "a generator used up": (
        lambda: trainer().fit(((X, Y) for _ in range(2)), epochs=2),
        ValueError,
        r"got none: .*used up by an earlier epoch \(a generator: pass a list or a DataLoader\)",
    ),
    "nan in the inputs": (
        lambda: trainer().fit(X + math.nan, Y),
        train.Diverged,
        r"the loss of epoch 1 is nan: lower lr \(now 0\.1\), clip .*NaN in the inputs \(nnx\.data\.check_finite\)",
    ),
    "a label out of range": (lambda: trainer().fit(X, Y + 1), ValueError, r"label 3 is out of range for 3 classes"),
    "predict of nothing": (
        lambda: trainer().predict(X[:0]),
        ValueError,
        r"predict expects samples x of shape \(n, \.\.\.\), got \(0, 2\)",
    ),
    "predict of words": (
        lambda: trainer().predict([["a", "b"]]),
        TypeError,
        r"predict expects samples x as numbers, got values of dtype <U1: encode them first",
    ),
    "predict of an object": (lambda: trainer().predict(object()), TypeError, r"got values of dtype object: encode"),
    "patience 0": (lambda: EarlyStopping(patience=0), ValueError, r"patience must be at least 1 epoch, got 0"),
    "mode": (
        lambda: EarlyStopping(mode="lowest"),
        ValueError,
        r"EarlyStopping: mode must be 'min' or 'max', got 'lowest'",
    ),
    "min_delta below 0": (
        lambda: EarlyStopping(min_delta=-1.0),
        ValueError,
        r"min_delta must be >= 0, got -1\.0: .*mode='max'",
    ),
    "early stopping without validation": (
        lambda: trainer().fit(X, Y, callbacks=[EarlyStopping()]),
        ValueError,
        r"EarlyStopping watches 'val_loss', but there is nothing to validate on: pass validation=\(x, y\) to fit",
    ),
    "a metric that is not recorded": (
        lambda: trainer().fit(X, Y, validation=(X, Y), callbacks=[EarlyStopping("val_f1")]),
        ValueError,
        r"EarlyStopping watches 'val_f1', which is not recorded: there is epoch, .*; name it in Trainer's metrics",
    ),
    "checkpoints every 0 steps": (
        lambda: Checkpoint("c", every=0),
        ValueError,
        r"every must be at least 1 update.*, got 0",
    ),
    "gradients of no size": (
        lambda: GradientStats(small=2.0),
        ValueError,
        r"expected 0 < small < 1 < large, got small 2\.0 and large 1000\.0",
    ),
}

FILES = {
    "truncated": (
        lambda path: load(truncated(path), linear()),
        CheckpointError,
        r"expected a whole safetensors file, got \d+ other bytes .*: save it again, take another copy",
    ),
    "foreign": (
        lambda path: load(write(path, b"PK\x03\x04 a zip"), linear()),
        CheckpointError,
        r"expected a whole safetens",
    ),
    "empty": (lambda path: load(write(path, b""), linear()), CheckpointError, r"safetensors file, got 0 other bytes"),
    "missing": (lambda path: load(path, linear()), FileNotFoundError, r"No such file"),
    "of another model": (
        lambda path: load(weights_of_another(path), linear()),
        ValueError,
        r"the state dict does not fit Linear: .*\(3, 5\).*\(3, 2\).*missing: bias; unexpected: gain",
    ),
    "weights for a resume": (
        lambda path: (save(path, linear()), trainer().resume(path)),
        CheckpointError,
        r"expected a checkpoint of Trainer\.save, got weights only: nnx\.io\.load reads these",
    ),
    "a folder that is not there": (
        lambda path: trainer().fit(X, Y, validation=(X, Y), callbacks=[ModelCheckpoint(path / "a" / "m.safetensors")]),
        FileNotFoundError,
        r"m\.safetensors: its folder .*a does not exist: make it first",
    ),
    "metadata": (
        lambda path: save(path, linear(), {"model": linear()}),
        TypeError,
        r"expected metadata that JSON can hold, got .*Linear.*: numbers, strings, lists and dicts",
    ),
    "no CSV": (
        lambda path: data.read_csv(write(path, b"a,b\n1,x\n")),
        ValueError,
        r"line 2, column 'b': expected a number",
    ),
    "no IDX": (
        lambda path: data.read_idx(write(path, b"not idx")),
        ValueError,
        r"expected an IDX file, .*, got 6e 6f 74 20",
    ),
    "no NPZ": (
        lambda path: data.read_npz(write(path, b"no")),
        ValueError,
        r"expected an \.npz file of plain arrays, got",
    ),
}

TABLE = {
    f"{chapter}: {name}": row
    for chapter, rows in {
        "data": DATA,
        "losses": LOSSES,
        "optimizers": OPTIMIZERS,
        "modules": MODULES,
        "core": CORE,
        "backends": BACKENDS,
        "training": TRAINING,
        "files": FILES,
    }.items()
    for name, row in rows.items()
}


@pytest.mark.parametrize(("call", "error", "pattern"), TABLE.values(), ids=TABLE)
def test_message(call, error, pattern, tmp_path):
    arguments = [tmp_path / "file"] if call.__code__.co_argcount else []
    with pytest.raises(error, match=pattern):
        call(*arguments)
    assert not list(tmp_path.glob(".*")), "nothing half written"


def test_there_are_enough_of_them():
    assert len(TABLE) >= 40


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_where_labels_are_not_looked_at_the_loss_is_infinite(name):
    """Without waiting for the device: never a wrong number in silence, and the epoch's line raises."""
    pytest.importorskip(name)
    with nnx.use_backend(name):
        scores, labels = nnx.asarray(np.zeros((3, 3))), nnx.asarray([0, 3, -1])
        losses = nnx.to_numpy(nnx.losses.cross_entropy(scores, labels, reduction="none"))
        assert np.isinf(losses).tolist() == [False, True, True]
        with pytest.raises(train.Diverged, match=r"the loss of epoch 1 is inf: .*labels out of range"):
            trainer().fit(X, Y + 1)
