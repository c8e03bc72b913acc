"""`nnx train`: a classifier trained on real data, its run kept in a folder (see nnx/cli/runs.py)."""

import argparse
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import nnx
from nnx.cli.options import folder_name, fraction, non_negative, positive, positive_int, seed
from nnx.cli.runs import RunFolder
from nnx.cli.task import ACTIVATIONS, Splits, accuracy, build, compiles_quickly, load, make_loader, make_optimizer

FIXED: dict[str, Any] = {
    "data": "digits",
    "target": None,
    "hidden": [128],
    "activation": "relu",
    "dropout": 0.2,
    "batch_size": 64,
    "optimizer": "adam",
    "lr": None,
    "weight_decay": 0.0,
    "seed": 0,
}
"""The options that make a run what it is, and their defaults: a resumed run keeps them."""

FREE: dict[str, Any] = {"epochs": 40, "backend": None, "device": None}
"""Those that a resumed run may change."""

EPILOG = """examples:
  nnx train
  nnx train --data fashion-mnist --hidden 256 --epochs 10
  NNX_BACKEND=torch nnx train --dropout 0
  nnx train --data points.csv --target label
  nnx train --resume runs/first --epochs 80"""

SMALL = 2**25
"""Multiplications of a forward pass: with fewer, a second thread saves less than the wait for it can cost."""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="train a classifier on real data",
        description="Train a classifier; without options, of the handwritten digits that ship with nnx.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(command)
    command.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options; those that are not given are not in the result."""

    def add(name: str, help: str, **how: Any) -> None:
        parser.add_argument(name, help=help, default=argparse.SUPPRESS, **how)

    add("--data", "digits, fashion-mnist, or a .csv or .npz file (x, y) (digits)")
    add("--target", "the label column of a .csv file, by name or number (the last one)")
    add("--hidden", "hidden layers' widths (128)", type=positive_int, nargs="*", metavar="N")
    add("--activation", "of the hidden layers (relu)", choices=sorted(ACTIVATIONS))
    add("--dropout", "probability, after each hidden layer (0.2)", type=fraction, metavar="P")
    add("--epochs", "how often every sample is seen (40)", type=positive_int, metavar="N")
    add("--batch-size", "samples a step (64)", type=positive_int, metavar="N")
    add("--optimizer", "(adam)", choices=("adam", "sgd"))
    add("--lr", "learning rate (adam 0.0015, sgd 0.1)", type=positive)
    add("--weight-decay", "L2 regularisation (0)", type=non_negative, metavar="L")
    add("--seed", "of the split, the weights, the order and dropout (0)", type=seed, metavar="N")
    add("--backend", "in place of NNX_BACKEND")
    add("--device", "in place of NNX_DEVICE")
    add("--out", "the folder of all runs (runs)", type=Path, metavar="FOLDER")
    add("--name", "of this run's folder (the data and the time)", type=folder_name)
    add("--resume", "go on with the run in this folder, until --epochs are done", type=Path, metavar="FOLDER")
    add("--quiet", "print the last line only", action="store_true")


def run(given: argparse.Namespace) -> int:
    """Train, evaluate on the test set once, and say how it went."""
    args, folder = complete(given)
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device):
        return _run(args, backend, folder)


def complete(given: argparse.Namespace) -> tuple[argparse.Namespace, RunFolder | None]:
    """The options with what was not given: defaults, or those of the run to resume, and its folder."""
    asked = {name: value for name, value in vars(given).items() if name not in ("run", "command")}
    rest = {"out": Path("runs"), "name": None, "resume": None, "quiet": False}
    if "resume" not in asked:
        return argparse.Namespace(**{**FIXED, **FREE, **rest, **asked}), None
    folder = RunFolder.existing(asked["resume"])
    before = from_config(folder) | {"name": folder.path.name, "out": folder.path.parent}
    for name in asked.keys() & {*FIXED, "name", "out"}:
        if before[name] != asked[name]:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{option} {asked[name]} with --resume {folder}, whose run had {before[name]}: a run goes on as it "
                f"was; leave out {option}, or begin a new run"
            )
    if "NNX_BACKEND" in os.environ or "backend" in asked:  # both are nearer than the run before
        before.update(backend=None, device=None)
    return argparse.Namespace(**{**rest, **before, **asked}), folder


class _ConfigParser(argparse.ArgumentParser):
    """Reads a run's config as options, by the same rules."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{self.prog}: expected the options of a run, but {message}: begin a new run")


def from_config(folder: RunFolder) -> dict[str, Any]:
    """The options of a run, as its config.json has them."""
    config = folder.read_config()
    known = {**FIXED, **FREE}
    if missing := known.keys() - config.keys():
        raise ValueError(f"{folder.config}: expected the options of a run, missing {', '.join(sorted(missing))}")
    parser = _ConfigParser(prog=str(folder.config), add_help=False)
    add_options(parser)
    argv: list[str] = []
    for name in known:
        option, value = f"--{name.replace('_', '-')}", config[name]
        if isinstance(value, list):
            argv += [option, *map(str, value)]
        elif value is not None:
            argv.append(f"{option}={value}")
    return {**known, **vars(parser.parse_args(argv))}


def _run(args: argparse.Namespace, backend: nnx.Backend, before: RunFolder | None) -> int:
    """Everything is checked before the first file is written."""
    from nnx import train

    splits, classes = load(args)
    nnx.seed(args.seed)
    model = build(splits[0][0].shape[1], classes, args)
    optimizer, quick = make_optimizer(args), compiles_quickly(backend)
    trainer = train.Trainer(model, optimizer, nnx.losses.cross_entropy, {"accuracy": accuracy}, compile=quick)
    folder = before or RunFolder.planned(args.out, args.name, args.data)
    if before is not None:
        trainer.resume(before.checkpoint)
        if trainer.epoch >= args.epochs:
            raise ValueError(f"--epochs {args.epochs}: the run in {before} has done {trainer.epoch}: ask for more")
    small = args.batch_size * model.num_parameters() < SMALL
    start = time.perf_counter()
    # what overflows is named once, as a loss that is not finite, in place of each NumPy function's warning
    with backend.one_thread() if small else nullcontext(), np.errstate(over="ignore", invalid="ignore"):
        best = train.ModelCheckpoint(folder.weights)
        try:
            folder.write_config(describe(args, backend, splits, classes, model))
            folder.cut_metrics(trainer.epoch)
            fit(trainer, splits, folder, best, args, backend)
        except KeyboardInterrupt:
            print(f"\nnnx train: interrupted; {kept(folder)}", file=sys.stderr)
            return 130
        except train.Diverged as error:
            raise train.Diverged(f"{error}; {kept(folder)}") from error
        nnx.io.load(folder.weights, model)
        test = trainer.evaluate(*splits[2])
    print(
        f"test accuracy {test['accuracy']:.4f} (loss {test['loss']:.4f}) in {time.perf_counter() - start:.1f} s on "
        f"{backend.name}, device {backend.device}; best epoch {best.saved['epoch'] if best.saved else '-'}; "
        f"run folder {folder}"
    )
    return 0


def fit(trainer: Any, splits: Splits, folder: RunFolder, best: Any, args: argparse.Namespace, backend: Any) -> None:
    """The training itself."""
    from nnx import train

    callbacks = [best, train.MetricsLog(folder.metrics), train.Checkpoint(folder.checkpoint)]
    if not args.quiet:
        sizes = [len(y) for _, y in splits]
        print("{}: {} to train on, {} to validate, {} to test".format(args.data, *sizes))
        print(
            f"{trainer.model.num_parameters():,} parameters on {backend.name} {backend.version}, "
            f"device {backend.device}"
        )
        callbacks.append(train.Progress(args.epochs))
    trainer.fit(make_loader(splits, args), validation=splits[1], epochs=args.epochs, callbacks=callbacks)


def kept(folder: RunFolder) -> str:
    """What its files hold of a run that did not end; a folder without an epoch is removed."""
    best, last = folder.epoch_of(folder.weights), folder.epoch_of(folder.checkpoint)
    if best is None:
        folder.discard()
        return "no epoch was done, and nothing is kept"
    weights = f"{folder} keeps the weights of epoch {best}, the best"
    return weights if last is None else f"{weights}, and the state after epoch {last}: nnx train --resume {folder}"


def describe(
    args: argparse.Namespace, backend: nnx.Backend, splits: Splits, classes: int, model: nnx.Module
) -> dict[str, Any]:
    """What was asked for, and on what it runs."""
    return {
        **{name: vars(args)[name] for name in FIXED},
        "epochs": args.epochs,
        "backend": backend.name,
        "device": str(backend.device),
        "backend_version": backend.version,
        "nnx_version": nnx.__version__,
        "samples": [len(y) for _, y in splits],
        "features": int(splits[0][0].shape[1]),
        "classes": classes,
        "parameters": model.num_parameters(),
    }
