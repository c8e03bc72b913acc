"""What `nnx train` trains: the data of its options, and the model and optimizer."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnx
from nnx.typing import Array

ACTIVATIONS: dict[str, Callable[[], nnx.Module]] = {
    "relu": nnx.ReLU,
    "sigmoid": nnx.Sigmoid,
    "tanh": nnx.Tanh,
    "gelu": nnx.GELU,
}

Splits = list[tuple[Any, Any]]
"""(x, y) to train on, to validate and to test, in host memory."""


def load(args: argparse.Namespace) -> tuple[Splits, int]:
    """The splits, checked for NaN and labels, and the number of classes."""
    from nnx import data

    if args.data == "fashion-mnist":
        (x, y), test = data.fashion_mnist()
        return [*_two_parts(x, y, args.seed), test], 10
    x, y = data.digits() if args.data == "digits" else _file(args)
    data.check_finite(x, args.data)
    classes = int(y.max()) + 1
    if classes > len(y):
        raise ValueError(
            f"{args.data}: expected labels from 0 to the number of classes - 1, got {classes - 1} of {len(y)}: "
            "renumber them with numpy.unique(labels, return_inverse=True)"
        )
    data.check_labels(y, classes)
    return list(data.train_val_test_split(x, y, seed=args.seed, stratify=True)), classes


def _two_parts(x: Any, y: Any, seed: int) -> Splits:
    """A tenth of the training data held out for validation."""
    from nnx.data import ArrayDataset, random_split

    parts = random_split(ArrayDataset(x, y), [0.9, 0.1], seed=seed)
    return [(x[part.indices], y[part.indices]) for part in parts]


def _file(args: argparse.Namespace) -> tuple[Any, Any]:
    path = Path(args.data)
    if path.suffix not in (".csv", ".npz"):
        raise ValueError(f"--data {args.data}: expected digits, fashion-mnist, or the name of a .csv or .npz file")
    if not path.is_file():
        raise FileNotFoundError(f"--data {args.data}: there is no such file in {Path.cwd()}: give its whole path")
    return _csv(path, args.target) if path.suffix == ".csv" else _npz(path)


def _csv(path: Path, target: str | None) -> tuple[Any, Any]:
    from nnx import data

    column = -1 if target is None else int(target) if target.lstrip("-").isdigit() else target
    table = data.read_csv(path, target=column)
    if table.y is None or table.y.dtype.kind != "i":
        raise ValueError(
            f"{path}: expected classes in the label column '{column}', got numbers with fractions: nnx train fits "
            "classifiers; name another column with --target"
        )
    return table.x, table.y


def _npz(path: Path) -> tuple[Any, Any]:
    from nnx import data

    arrays = data.read_npz(path)
    if missing := {"x", "y"} - arrays.keys():
        raise ValueError(f"{path}: expected arrays x and y, missing {sorted(missing)}, found {sorted(arrays)}")
    x, y = arrays["x"], arrays["y"]
    if x.ndim < 2 or y.ndim != 1 or not len(y) or x.dtype.kind not in "biuf" or y.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: expected x (n, ...) of real numbers and y (n,) of integers, got x {x.shape} of {x.dtype} and y "
            f"{y.shape} of {y.dtype}: one row and one label a sample"
        )
    return x.reshape(len(x), -1).astype("float32"), y.astype("int64")


def build(features: int, classes: int, args: argparse.Namespace) -> nnx.Module:
    """Linear layers with an activation and dropout between them."""
    layers: list[nnx.Module] = []
    for width in args.hidden:
        layers += [nnx.Linear(features, width), ACTIVATIONS[args.activation]()]
        layers += [nnx.Dropout(args.dropout)] if args.dropout else []
        features = width
    return nnx.Sequential(*layers, nnx.Linear(features, classes))


def make_optimizer(args: argparse.Namespace) -> nnx.optim.Optimizer:
    """The optimizer of the options."""
    if args.optimizer == "sgd":
        return nnx.optim.SGD(args.lr or 0.1, momentum=0.9, weight_decay=args.weight_decay)
    return nnx.optim.Adam(args.lr or 1.5e-3, weight_decay=args.weight_decay)


def make_loader(splits: Splits, args: argparse.Namespace) -> Any:
    """The training part in batches."""
    return nnx.data.DataLoader(nnx.data.ArrayDataset(*splits[0]), args.batch_size, shuffle=True, seed=args.seed)


def accuracy(output: Array, target: Array) -> Array:
    """The share of rows whose largest output is the target."""
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))


def compiles_quickly(backend: nnx.Backend) -> bool:
    """Whether nnx.compile pays for a training of seconds."""
    compiler = backend.compiler()
    return compiler is not None and not compiler.slow
