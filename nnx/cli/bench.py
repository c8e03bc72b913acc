"""`nnx bench`: what a training step costs by phase: forward, backward, update.

Times anywhere; with --count, and a module that counts what reaches CUDA, launches, matrix products, bytes moved and
peak memory. A GPU's driver tells no such counts to a program: the project's CUDA emulator does, exactly
(`nnx bench --count --backend cupy --counters tests.cuda_emulator`, from a checkout); on a GPU use Nsight Systems.
--suite, from a checkout, is the whole table of benchmarks: nnx beside what a user would pick instead.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli.options import fraction, positive_int
from nnx.cli.output import add_json, examples, words_elsewhere, write_json
from nnx.typing import Array

Counting = Callable[[], AbstractContextManager[Any]]
PHASES = ("forward", "backward", "update")
COLUMNS = {
    "launches": ("launches", "library_calls", "blas_others"),
    "gemms": ("gemms",),
    "syncs": ("syncs",),
    "h2d bytes": ("h2d_bytes",),
    "d2h bytes": ("d2h_bytes",),
    "mallocs": ("mallocs",),
    "peak bytes": ("peak_bytes",),
}
"""The columns of --count, and the counters that each one adds up."""
WARM_UP, REPEATS = 12, 20
OPTIMIZERS = {"adam": nnx.optim.Adam, "sgd": nnx.optim.SGD}


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "bench",
        help="what a training step costs, by phase",
        **examples(
            "nnx bench --layers 784 512 512 10 --batch-size 128",
            "nnx bench --backend torch --optimizer sgd --json",
            "nnx bench --suite 'train:*' --clock cpu --repeat 8",
        ),
    )
    command.description = __doc__
    add = command.add_argument
    add("--count", action="store_true", help="launches, matrix products, bytes and peak memory in place of times")
    add("--counters", metavar="MODULE", help="with activate() and counting(), in place of NNX_COUNTERS")
    add("--layers", type=positive_int, nargs="+", default=[784, 128, 10], metavar="N", help="widths (784 128 10)")
    add("--batch-size", type=positive_int, default=64, help="samples a step (%(default)s)")
    add("--dropout", type=fraction, default=0.0, help="after each hidden layer (%(default)s)")
    add("--optimizer", choices=sorted(OPTIMIZERS), default="adam", help="(%(default)s)")
    add("--backend", help="in place of NNX_BACKEND")
    add("--device", help="in place of NNX_DEVICE")
    add("--suite", nargs="*", metavar="ROW", help="beside PyTorch, JAX and others, from a checkout: all rows, or these")
    add("--clock", choices=("wall", "cpu"), default="wall", help="of --suite (%(default)s)")
    add("--repeat", type=positive_int, default=20, help="rounds of --suite (%(default)s)")
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.suite is not None:
        return suite([*args.suite, "--clock", args.clock, "--repeat", str(args.repeat)], args.json)
    counting = counter(args.counters or os.environ.get("NNX_COUNTERS")) if args.count else None
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device), nnx.random.scope(0):
        rows = measured(backend, args, counting)
    if args.json:
        facts = {name: vars(args)[name] for name in ("layers", "batch_size", "dropout", "optimizer")}
        facts |= {"backend": backend.name, "version": backend.version, "device": str(backend.device)}
        write_json(facts | {"phases": rows})
        return 0
    print(
        f"{'-'.join(map(str, args.layers))}, batch {args.batch_size}, {args.optimizer}, "
        f"{backend.name} {backend.version}"
    )
    titles = list(rows["forward"])
    print(f"{'':10}" + "".join(f"{title:>12}" for title in titles))
    for phase, row in rows.items():
        print(f"{phase:10}" + "".join(f"{row[title]:>12,}" for title in titles))
    return 0


def suite(arguments: list[str], as_json: bool) -> int:
    """benchmarks.suite, which is part of the repository. Raises ValueError outside of a checkout."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module("benchmarks.suite.__main__")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--suite: {error}: the suite measures nnx beside PyTorch, so that it needs torch, and it is not part of "
            "the package: run it from a checkout of the repository"
        ) from error
    finally:
        sys.path.pop(0)
    if not as_json:
        return int(module.main(arguments) or 0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "suite.json"
        with words_elsewhere(True):
            code = int(module.main([*arguments, "--json", str(file)]) or 0)
        if file.is_file():
            write_json(json.loads(file.read_text().splitlines()[-1]))
        return code


def counter(name: str | None) -> Counting:
    """The counting() of that module, activated. Raises ValueError without one."""
    if not name:
        raise ValueError(
            "--count needs a module that counts what reaches CUDA: --counters tests.cuda_emulator, from a checkout "
            "(on a GPU: nsys profile --stats=true nnx bench)"
        )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"--counters {name}: {error}; run from the folder that it lies in") from error
    module.activate()
    counting: Counting = module.counting
    return counting


def measured(backend: nnx.Backend, args: argparse.Namespace, counting: Counting | None) -> dict[str, dict[str, int]]:
    """A row for each phase, warm: with `counting` the counts of a step, else median microseconds."""
    model, optimizer, (x, y) = network(args.layers, args.dropout), OPTIMIZERS[args.optimizer](1e-3), samples(args)
    meter = Meter(backend, counting)
    inner: dict[str, int] = {}

    def loss_of(model: Any) -> Array:
        loss, row = meter(lambda: nnx.losses.cross_entropy(model(x), y))
        inner.update(row)
        return loss

    def step() -> dict[str, dict[str, int]]:
        (_, grads), both = meter(lambda: nnx.value_and_grad(loss_of)(model))
        _, update = meter(lambda: optimizer.update(model, grads))
        # the peak of the backward pass is that of both: what the forward pass keeps is still there
        backward = {title: n if title == "peak bytes" else n - inner[title] for title, n in both.items()}
        return {"forward": dict(inner), "backward": backward, "update": update}

    kept = [step() for _ in range(WARM_UP + (REPEATS if counting is None else 1))][WARM_UP:]
    titles = list(kept[0]["forward"])
    return {phase: {t: int(np.median([step[phase][t] for step in kept])) for t in titles} for phase in PHASES}


class Meter:
    """meter(work) -> (what it returned, {title: number}): the counts, or else the time until the device has done it."""

    def __init__(self, backend: nnx.Backend, counting: Counting | None) -> None:
        self.backend, self.counting = backend, counting

    def __call__(self, work: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
        """Measure it."""
        if self.counting is not None:
            with self.counting() as cost:
                found = work()
            return found, {title: sum(getattr(cost, name) for name in names) for title, names in COLUMNS.items()}
        self.backend.synchronize()
        start = time.perf_counter()
        found = work()
        self.backend.synchronize()
        return found, {"µs": round((time.perf_counter() - start) * 1e6)}


def network(widths: list[int], dropout: float) -> nnx.Module:
    """Linear layers with ReLU, and dropout if any, between them. Raises ValueError for fewer than two widths."""
    if len(widths) < 2:
        raise ValueError(f"--layers needs the width of the input and of the output, got {widths}")
    layers: list[nnx.Module] = []
    for i, o in pairwise(widths[:-1]):
        layers += [nnx.Linear(i, o), nnx.ReLU(), *([nnx.Dropout(dropout)] if dropout else [])]
    return nnx.Sequential(*layers, nnx.Linear(widths[-2], widths[-1]))


def samples(args: argparse.Namespace) -> tuple[Array, Array]:
    """A batch of numbers and their classes."""
    rng = np.random.default_rng(0)
    x = rng.random((args.batch_size, args.layers[0]), dtype="float32")
    return nnx.asarray(x), nnx.asarray(rng.integers(0, args.layers[-1], args.batch_size))
