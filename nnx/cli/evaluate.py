"""`nnx evaluate RUN`: loss and scores on the test part that the run held back, or on a file of its own."""

import argparse
from typing import Any

import numpy as np

from nnx.cli import sources
from nnx.cli.arrays import fingerprint
from nnx.cli.output import add_json, examples, said
from nnx.cli.preparation import check_lengths, prepare
from nnx.cli.saved import SavedRun, add_backend, opened

__all__ = ["register", "run", "test_part"]


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "evaluate",
        help="loss and scores of a trained model",
        description="Loss and scores of a run's model on its test part, which is read again from where the data was; "
        "with --data, on all of another file.",
        **examples(
            "nnx evaluate runs/first",
            "nnx evaluate runs/first --data new.csv --target species",
            "nnx evaluate runs/photos --data more-photos/ --json",
        ),
    )
    add = command.add_argument
    add("folder", metavar="RUN", help="the folder of a run")
    add("--data", help="another file or folder, of a kind that nnx train takes (the run's test part)")
    add("--labels", help="the IDX file of its labels")
    add("--target", help="its label column (the run's)")
    add_backend(command)
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    with opened(args) as saved:
        if args.data is None:
            if args.labels is not None or args.target is not None:
                raise ValueError("--labels and --target belong to --data FILE")
            x, y = test_part(saved)
            name = f"{saved.settings.data}, its test part"
        else:
            x, y = other(saved, args)
            name = args.data
        found = saved.scores(x, y)
        document = {
            "run": str(saved.folder),
            "data": args.data or saved.settings.data,
            "part": "test" if args.data is None else "all",
            "samples": len(y),
            "task": saved.preparation.task,
            "epoch": saved.metadata.get("epoch"),
            **found,
        }
        lines = [f"{name}: {len(y)} samples", "  ".join(f"{k} {v:.6g}" for k, v in found.items())]
        classes = saved.preparation.classes
        if classes is not None:
            document |= {"classes": list(classes), "confusion": confusion(saved, x, y).tolist()}
            lines += by_class(classes, document["confusion"])
    said(args, document, "\n".join(lines))
    return 0


def test_part(saved: SavedRun) -> tuple[Any, Any]:
    """The run's test part, prepared. Raises ValueError if the data is gone, or is not what it was."""
    try:
        source = sources.read(saved.settings)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{saved.folder} was trained on {saved.settings.files.get('data', saved.settings.data)}, of which its test "
            f"part is: {error}, or evaluate another file: --data FILE"
        ) from error
    if fingerprint(source) != saved.config.get("fingerprint"):
        raise ValueError(
            f"{source.name}: expected the data that {saved.folder} was trained on, got other data, whose test part may "
            f"hold samples that it was trained on: put the old file back, or evaluate all of it: --data {source.name}"
        )
    (_, _, test), _ = prepare(source, saved.settings)
    return test


def other(saved: SavedRun, args: argparse.Namespace) -> tuple[Any, Any]:
    """All of another file, prepared as the run's own data was."""
    prepared = saved.preparation
    changes = {"task": prepared.task, "labels": args.labels}
    if args.target is not None:
        changes["target"] = args.target
    source = sources.read(saved.asking(args.data, **changes), channels=saved.channels)
    check_lengths(source)
    return prepared.inputs(source.x, source.name), prepared.targets(source)


def confusion(saved: SavedRun, x: Any, y: Any) -> Any:
    """How many samples of each class (row) were taken for each (column)."""
    n = saved.preparation.outputs
    taken = saved.outputs(x).argmax(axis=1)
    return np.bincount(np.asarray(y) * n + taken, minlength=n * n).reshape(n, n)


def by_class(classes: tuple[str, ...], counts: Any) -> list[str]:
    """A line a class: how many there are, how many of them were found, and what they were taken for most."""
    width = max(len("class"), *(len(name) for name in classes))
    lines = [f"{'class':{width}}  samples  recall  precision  most taken for"]
    table = np.asarray(counts)
    for k, name in enumerate(classes):
        n, hits, said_so = table[k].sum(), table[k, k], table[:, k].sum()
        wrong = np.where(np.arange(len(classes)) == k, 0, table[k])
        most = f"{classes[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "-"
        recall, precision = (f"{hits / total:.4f}" if total else "-" for total in (n, said_so))
        lines.append(f"{name:{width}}  {n:7}  {recall:>6}  {precision:>9}  {most}")
    return lines
