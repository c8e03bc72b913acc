"""`nnx train`: a classifier trained on real data, its run kept in a folder.

    runs/<name>/config.json           what was asked for, and on what it ran
    runs/<name>/metrics.jsonl         one line an epoch
    runs/<name>/model.safetensors     the weights of the best epoch, by validation loss
    runs/<name>/checkpoint.safetensors   the whole state after the last epoch
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import nnx
from nnx.cli.options import fraction, non_negative, positive, positive_int


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="train a classifier on real data",
        description="Train a classifier; without options, of the handwritten digits that ship with nnx.",
        epilog="examples:\n  nnx train\n  nnx train --data fashion-mnist --hidden 256 --epochs 10\n"
        "  NNX_BACKEND=torch nnx train --dropout 0\n  nnx train --data points.csv --target label",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--data", default="digits", help="digits, fashion-mnist, or a .csv or .npz file (x, y) (%(default)s)")
    add("--target", help="the label column of a .csv file, by name or number (the last one)")
    add("--hidden", type=positive_int, nargs="*", default=[128], metavar="N", help="hidden layers' widths (128)")
    add("--activation", choices=sorted(ACTIVATIONS), default="relu", help="of the hidden layers (%(default)s)")
    add("--dropout", type=fraction, default=0.2, help="probability, after each hidden layer (%(default)s)")
    add("--epochs", type=positive_int, default=40, help="how often every sample is seen (%(default)s)")
    add("--batch-size", type=positive_int, default=32, help="samples a step (%(default)s)")
    add("--optimizer", choices=("adam", "sgd"), default="adam", help="(%(default)s)")
    add("--lr", type=positive, help="learning rate (adam 0.001, sgd 0.1)")
    add("--weight-decay", type=non_negative, default=0.0, help="L2 regularisation (%(default)s)")
    add("--seed", type=int, default=0, help="of the split, the weights, the order and dropout (%(default)s)")
    add("--backend", help="in place of NNX_BACKEND")
    add("--device", help="in place of NNX_DEVICE")
    add("--out", type=Path, default=Path("runs"), help="the folder of all runs (%(default)s)")
    add("--name", help="of this run's folder (the data and the time)")
    add("--quiet", action="store_true", help="print the last line only")
    command.set_defaults(run=run)


ACTIVATIONS = {"relu": nnx.ReLU, "sigmoid": nnx.Sigmoid, "tanh": nnx.Tanh, "gelu": nnx.GELU}


def run(args: argparse.Namespace) -> int:
    """Train, evaluate on the test set once, and say how it went."""
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device):
        return _run(args, backend)


def _run(args: argparse.Namespace, backend: nnx.Backend) -> int:
    from nnx import train

    splits, classes = load(args)
    nnx.seed(args.seed)
    model = build(splits[0][0].shape[1], classes, args)
    optimizer = make_optimizer(args)
    trainer = train.Trainer(model, optimizer, nnx.losses.cross_entropy, {"accuracy": accuracy})
    folder = new_folder(args)
    write_config(folder / "config.json", args, backend, splits, classes, model)
    best = train.ModelCheckpoint(folder / "model.safetensors")
    callbacks = [best, train.MetricsLog(folder / "metrics.jsonl"), train.Checkpoint(folder / "checkpoint.safetensors")]
    if not args.quiet:
        print(f"{args.data}: {len(splits[0][1])} to train on, {len(splits[1][1])} to validate, {len(splits[2][1])} to test")
        print(f"{model.num_parameters():,} parameters on {backend.name} {backend.version}, device {backend.device}")
        callbacks.append(train.Progress(args.epochs))
    loader = nnx.data.DataLoader(nnx.data.ArrayDataset(*splits[0]), args.batch_size, shuffle=True, seed=args.seed)
    start = time.perf_counter()
    try:
        trainer.fit(loader, validation=splits[1], epochs=args.epochs, callbacks=callbacks)
    except KeyboardInterrupt:
        return interrupted(folder, best.saved)
    nnx.io.load(best.path, model)
    test = trainer.evaluate(*splits[2])
    seconds = time.perf_counter() - start
    print(
        f"test accuracy {test['accuracy']:.4f} (loss {test['loss']:.4f}) in {seconds:.1f} s on {backend.name}, device "
        f"{backend.device}; best epoch {best.saved['epoch'] if best.saved else '-'}; run folder {folder}"
    )
    return 0


def interrupted(folder: Path, saved: dict[str, Any] | None) -> int:
    """Ctrl-C: say what there is."""
    kept = f"the weights of epoch {saved['epoch']} are in {folder / 'model.safetensors'}" if saved else "no epoch was done"
    print(f"\nnnx train: interrupted; {kept}", file=sys.stderr)
    return 130


def accuracy(output: Any, target: Any) -> Any:
    """The share of rows whose largest output is the target."""
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))


def load(args: argparse.Namespace) -> tuple[list[Any], int]:
    """(x, y) to train on, to validate and to test, and the number of classes; checked for NaN and labels."""
    from nnx import data

    if args.data == "fashion-mnist":
        (x, y), test = data.fashion_mnist()
        train_part, val_part = _two_parts(x, y, args.seed)
        return [train_part, val_part, test], 10
    if args.data == "digits":
        x, y = data.digits()
    else:
        x, y = _file(args)
    data.check_finite(x, args.data)
    classes = int(y.max()) + 1
    data.check_labels(y, classes)
    return list(data.train_val_test_split(x, y, seed=args.seed, stratify=True)), classes


def _two_parts(x: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """A tenth of the training data held out for validation."""
    from nnx.data import ArrayDataset, random_split

    parts = random_split(ArrayDataset(x, y), [0.9, 0.1], seed=seed)
    train_part, val_part = ((x[part.indices], y[part.indices]) for part in parts)
    return train_part, val_part


def _file(args: argparse.Namespace) -> tuple[Any, Any]:
    from nnx import data

    path = Path(args.data)
    if path.suffix == ".csv":
        target = args.target if args.target is not None else -1
        table = data.read_csv(path, target=int(target) if str(target).lstrip("-").isdigit() else target)
        if table.y is None or table.y.dtype.kind != "i":
            raise ValueError(f"{path}: the column '{target}' holds no classes: nnx train fits classifiers")
        return table.x, table.y
    if path.suffix == ".npz":
        arrays = data.read_npz(path)
        if missing := {"x", "y"} - arrays.keys():
            raise ValueError(f"{path}: expected arrays x and y, missing {sorted(missing)}, found {sorted(arrays)}")
        return arrays["x"].reshape(len(arrays["x"]), -1), arrays["y"]
    raise ValueError(f"--data {args.data}: expected digits, fashion-mnist, or a .csv or .npz file")


def build(features: int, classes: int, args: argparse.Namespace) -> nnx.Module:
    """Linear layers with an activation and dropout between them."""
    layers: list[nnx.Module] = []
    for width in args.hidden:
        layers += [nnx.Linear(features, width), ACTIVATIONS[args.activation]()]
        layers += [nnx.Dropout(args.dropout)] if args.dropout else []
        features = width
    return nnx.Sequential(*layers, nnx.Linear(features, classes))


def make_optimizer(args: argparse.Namespace) -> Any:
    """The optimizer of the options."""
    if args.optimizer == "sgd":
        return nnx.optim.SGD(args.lr or 0.1, momentum=0.9, weight_decay=args.weight_decay)
    return nnx.optim.Adam(args.lr or 1e-3, weight_decay=args.weight_decay)


def new_folder(args: argparse.Namespace) -> Path:
    """The run's folder, made new. Raises ValueError if a named one is there already."""
    stem = args.name or f"{Path(args.data).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder: Path = args.out / stem
    if args.name and folder.exists():
        raise ValueError(f"{folder} exists already: take another --name, or remove it")
    k = 1
    while folder.exists():
        k += 1
        folder = args.out / f"{stem}-{k}"
    folder.mkdir(parents=True)
    return folder


def write_config(
    path: Path, args: argparse.Namespace, backend: nnx.Backend, splits: list[Any], classes: int, model: nnx.Module
) -> None:
    """What was asked for, and on what it ran."""
    asked = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k not in ("run", "command", "quiet")}
    config = {
        **asked,
        "backend": backend.name,
        "device": str(backend.device),
        "backend_version": backend.version,
        "nnx_version": nnx.__version__,
        "samples": [len(part[1]) for part in splits],
        "features": int(splits[0][0].shape[1]),
        "classes": classes,
        "parameters": model.num_parameters(),
    }
    nnx.io.write_atomically(path, (json.dumps(config, indent=2) + "\n").encode())
