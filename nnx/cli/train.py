"""`nnx train`: a model trained on real data, its run kept in a folder (see nnx/cli/runs.py)."""

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli import config, sources
from nnx.cli.arrays import Source, fingerprint
from nnx.cli.builtin import BUILT_IN
from nnx.cli.models import ARGUMENTS, FAMILIES, build
from nnx.cli.options import folder_name
from nnx.cli.output import add_json, examples, words_elsewhere, write_json
from nnx.cli.preparation import Preparation, prepare
from nnx.cli.runs import RunFolder
from nnx.cli.settings import SETTINGS, add_option
from nnx.cli.task import Splits, compiles_quickly, make_loader, make_optimizer

SMALL = 2**25
"""Multiplications of a forward pass: with fewer, a second thread saves less than the wait for it can cost."""

EXAMPLES = (
    "nnx train",
    "nnx train --data fashion-mnist --hidden 256 --epochs 10",
    "NNX_BACKEND=torch nnx train --dropout 0",
    "nnx train --data flowers.csv --target species",
    "nnx train --data houses.parquet --target price --task regression",
    "nnx train --data train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz --model lenet",
    "nnx train --data photos/ --image-size 64 --model resnet --set width=32",
    "nnx train --config config.toml --set lr=3e-4",
    "nnx train --resume runs/first --epochs 80",
)

CONFIG = """
config.toml, settings by their options' names, the model in a table of its own:
  data = "photos/"
  image_size = [64, 64]
  epochs = 20
  lr = 3e-4
  [model]
  type = "resnet"
  layers = [2, 2, 2]
  width = 32

models, and what --set and config.toml can say of each:
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    how = examples(*EXAMPLES)
    how["epilog"] += "\n" + CONFIG + "\n".join(f"  {kind:9} {defaults(kind)}" for kind in FAMILIES)
    command = commands.add_parser(
        "train",
        help="train a model on real data",
        description="Train a model of classes or of values; without options, of the handwritten digits that ship with "
        "nnx. Exit code 1: the loss was no longer finite.",
        **how,
    )
    add_options(command)
    command.set_defaults(run=run)


def defaults(kind: str) -> str:
    """The arguments of a family and their defaults, in words."""
    found = FAMILIES[kind].defaults.items()
    return ", ".join(f"{name}={'auto' if v is None else v}" for name, v in found) or "(as it was published)"


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options; those that are not given are not in the result."""

    def add(name: str, help: str, **how: Any) -> None:
        parser.add_argument(name, help=help, default=argparse.SUPPRESS, **how)

    rows = list(SETTINGS.items())
    for name, setting in rows[:8]:
        add_option(parser, name, setting)
    add("--model", "the family (mlp)", choices=tuple(FAMILIES))
    for name in ("hidden", "activation", "dropout"):
        add_option(parser, name, ARGUMENTS[name])
    for name, setting in rows[8:]:
        add_option(parser, name, setting)
    add("--config", "settings from a TOML file; options count more", type=Path, metavar="FILE")
    add("--set", "any setting by its name, the model's too", action="append", metavar="NAME=VALUE")
    add("--out", "the folder of all runs (runs)", type=Path, metavar="FOLDER")
    add("--name", "of this run's folder (the data and the time)", type=folder_name)
    add("--resume", "go on with the run in this folder, until --epochs are done", type=Path, metavar="FOLDER")
    add("--quiet", "print the last line only", action="store_true")
    add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Train, evaluate on the test set once, and say how it went."""
    args, folder = config.complete(given)
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device), words_elsewhere(args.json):
        code, document = _run(args, backend, folder)
    if args.json and code != 130:
        write_json(document)
    return code


def _run(args: argparse.Namespace, backend: nnx.Backend, before: RunFolder | None) -> tuple[int, dict[str, Any]]:
    """Everything is checked before the first file is written. Returns the exit code and what --json prints."""
    from nnx import train

    trainer, splits, prepared, source = made(args, backend)
    model, task = trainer.model, prepared.measured()
    folder = before or RunFolder.planned(args.out, args.name, args.data)
    described = describe(args, backend, splits, source, prepared, model)
    if before is not None:
        go_on(trainer, before, described)
    small = args.batch_size * model.num_parameters() < SMALL
    start = time.perf_counter()
    # what overflows is named once, as a loss that is not finite, in place of each NumPy function's warning
    with backend.one_thread() if small else nullcontext(), np.errstate(over="ignore", invalid="ignore"):
        best = train.ModelCheckpoint(folder.weights)
        try:
            folder.write_config(described)
            folder.cut_metrics(trainer.epoch)
            fit(trainer, splits, folder, best, args, backend)
        except KeyboardInterrupt:
            print(f"\nnnx train: interrupted; {kept(folder)}", file=sys.stderr)
            return 130, {}
        except train.Diverged as error:
            words = f"{error}; {kept(folder)}"
            print(f"nnx train: {words}", file=sys.stderr)
            return 1, {"run": str(folder) if folder.path.exists() else None, "diverged": words}
        nnx.io.load(folder.weights, model)
        test = trainer.evaluate(*splits[2])
    found = {"run": str(folder), "task": prepared.task, "test": test, "seconds": time.perf_counter() - start}
    found["best_epoch"] = best.saved["epoch"] if best.saved else None
    print(
        f"test {task.said(test)} in {found['seconds']:.1f} s on {backend.name}, device {backend.device}; "
        f"best epoch {found['best_epoch'] or '-'}; run folder {folder}"
    )
    return 0, found | {name: described[name] for name in ("data", "backend", "device", "samples", "parameters")}


def made(args: argparse.Namespace, backend: nnx.Backend) -> tuple[Any, Splits, Preparation, Source]:
    """The Trainer of these settings, what it trains on, how that was prepared, and from what."""
    from nnx.train import Trainer

    source = sources.read(args)
    splits, prepared = prepare(source, args)
    nnx.seed(args.seed)
    model = build(prepared.model_shape, prepared.outputs, args.model)
    task = prepared.measured()
    quick = compiles_quickly(backend)
    return Trainer(model, make_optimizer(args), task.loss, task.metrics, compile=quick), splits, prepared, source


def fit(trainer: Any, splits: Splits, folder: RunFolder, best: Any, args: argparse.Namespace, backend: Any) -> None:
    """The training itself."""
    from nnx import train

    noted = [train.GradientStats(log=True)] if args.gradient_stats else []
    callbacks = [best, *noted, train.MetricsLog(folder.metrics), train.Checkpoint(folder.checkpoint)]
    if not args.quiet:
        sizes = [len(y) for _, y in splits]
        print("{}: {} to train on, {} to validate, {} to test".format(args.data, *sizes))
        print(
            f"{trainer.model.num_parameters():,} parameters on {backend.name} {backend.version}, "
            f"device {backend.device}"
        )
        callbacks.append(train.Progress(args.epochs, file=sys.stderr if args.json else None))
    trainer.fit(make_loader(splits, args), validation=splits[1], epochs=args.epochs, callbacks=callbacks)


def kept(folder: RunFolder) -> str:
    """What its files hold of a run that did not end; a folder without an epoch is removed."""
    best, last = folder.epoch_of(folder.weights), folder.epoch_of(folder.checkpoint)
    if best is None:
        folder.discard()
        return "no epoch was done, and nothing is kept"
    weights = f"{folder} keeps the weights of epoch {best}, the best"
    return weights if last is None else f"{weights}, and the state after epoch {last}: nnx train --resume {folder}"


def go_on(trainer: Any, folder: RunFolder, now: dict[str, Any]) -> None:
    """Take up the run's state. Raises ValueError if the data is another, or if nothing is left to do."""
    before = folder.read_config()
    if before.get("fingerprint") != now["fingerprint"]:
        raise ValueError(
            f"{now['data']}: expected the data that {folder} was begun with ({before.get('samples')} samples), got "
            f"others ({now['samples']} samples): put the old file back, or begin a new run"
        )
    trainer.resume(folder.checkpoint)
    if trainer.epoch >= now["epochs"]:
        raise ValueError(f"--epochs {now['epochs']}: the run in {folder} has done {trainer.epoch}: ask for more")


def describe(
    args: argparse.Namespace,
    backend: nnx.Backend,
    splits: Splits,
    source: Source,
    prepared: Preparation,
    model: nnx.Module,
) -> dict[str, Any]:
    """What was asked for, on what it runs, and what is done to data: config.json."""
    options = [] if args.data in BUILT_IN else [n for n in ("data", "labels") if vars(args)[n] is not None]
    return {
        **{name: vars(args)[name] for name in SETTINGS},
        "model": args.model,
        "backend": backend.name,
        "device": str(backend.device),
        "backend_version": backend.version,
        "nnx_version": nnx.__version__,
        "samples": [len(y) for _, y in splits],
        "features": int(np.prod(prepared.shape)),
        "classes": None if prepared.classes is None else len(prepared.classes),
        "parameters": model.num_parameters(),
        "files": {name: args.files.get(name) or str(Path(vars(args)[name]).resolve()) for name in options},
        "fingerprint": fingerprint(source),
        "preparation": prepared.to_json(),
    }
