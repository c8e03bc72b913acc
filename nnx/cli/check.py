"""`nnx backends --check NAME`: a backend held to NumPy on this machine, by a small network of each family of layers.

The probe, then forward, backward and ten training steps; what was found, and on what it ran, goes into a file that can
be attached to an issue.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli.families import CLASSES, FAMILIES, SAMPLES, WORDS, Family
from nnx.typing import Array

Result = dict[str, Any]

STEPS = 10
TOLERANCES = {"forward": 1e-4, "backward": 1e-3, "training": 1e-2}
"""What may differ, of the largest number: float32 sums in another order; ten steps carry it on."""


def run(args: argparse.Namespace) -> tuple[int, Result]:
    """Check args.check; returns 0 if all agree, 1 if something does not, and the report. Raises BackendUnavailable."""
    report: Result = {"backend": args.check, "nnx": nnx.__version__, **machine()}
    try:
        with nnx.use_backend(args.check, args.device) as backend:
            report |= {"version": backend.version, "device": str(backend.device), "facts": backend.facts()}
            for title, text in {"device": report["device"], **report["facts"]}.items():
                print(f"{title}: {text}", flush=True)
            report["results"] = [result for name in FAMILIES for result in shown(family(name, backend))]
            report["memory"] = backend.memory()
    except nnx.BackendUnavailable as error:
        report["error"] = str(error)
        raise
    finally:
        if args.report is not None:
            args.report.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
            print(f"written to {args.report}: attach it to an issue")
    failed = [result for result in report["results"] if not result["ok"]]
    total = len(report["results"])
    print(f"{backend.name} {backend.version}: {total - len(failed)} of {total} checks agree with NumPy")
    return 1 if failed else 0, report


def machine() -> Result:
    """What it runs on, as far as a stranger has to know."""
    prefixes = ("NNX_", "CUPY_", "CUDA_")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(prefixes)},
    }


def shown(results: list[Result]) -> list[Result]:
    """Print a line a result."""
    for result in results:
        what = result.get("error") or f"difference {result['difference']:.1e} of {result['tolerance']:.0e} allowed"
        verdict = "ok  " if result["ok"] else "FAIL"
        print(f"{verdict} {result['family']:17} {result['check']:9} {result['ms']:8.1f} ms  {what}", flush=True)
    return results


def family(name: str, backend: nnx.Backend) -> list[Result]:
    """The results of one family; an error of the library is one, too."""
    start = time.perf_counter()
    try:
        found = measured(name, backend)
    except Exception as error:  # whatever the library raises here is the finding
        words, ms = f"{type(error).__name__}: {error}", (time.perf_counter() - start) * 1e3
        return [{"family": name, "check": "all", "ok": False, "error": words, "ms": ms}]
    expected = measured(name, nnx.get_backend("numpy"))
    return [verdict(name, check, found[check], expected[check]) for check in TOLERANCES]


def verdict(name: str, check: str, found: tuple[list[Array], float], expected: tuple[list[Array], float]) -> Result:
    """How far two lists of arrays are apart, relative to the largest number in each."""
    differences = [
        float(np.max(np.abs(x - y))) / max(float(np.max(np.abs(y))), 1e-30)
        for x, y in zip(found[0], expected[0], strict=True)
        if y.size
    ]
    worst = max(differences) if all(np.isfinite(differences)) else float("inf")
    ok = worst <= TOLERANCES[check]
    return {
        "family": name,
        "check": check,
        "ok": ok,
        "difference": worst,
        "tolerance": TOLERANCES[check],
        "ms": found[1] * 1e3,
        "ms_numpy": expected[1] * 1e3,
    }


def measured(name: str, backend: nnx.Backend) -> dict[str, tuple[list[Array], float]]:
    """Forward, backward and ten steps on a backend: the arrays in host memory, and the seconds of each (warm)."""
    with nnx.use_backend(backend.name, backend.device), nnx.random.scope(0):
        model = nnx.Sequential(*FAMILIES[name].layers())
        x, y = samples(FAMILIES[name])
        optimizer, gradients = nnx.optim.Adam(1e-2), nnx.value_and_grad(loss_of)
        with nnx.random.scope(1):
            gradients(model, x, y)  # the first call compiles kernels and fills memory pools
        output, forward = timed(backend, lambda: model.eval()(x))
        (_, grads), backward = timed(backend, lambda: gradients(model.train(), x, y))
        losses, training = timed(backend, lambda: [step(model, optimizer, gradients, x, y) for _ in range(STEPS)])
        return {
            "forward": (host([output]), forward),
            "backward": (host(list(grads.values())), backward),
            "training": (host([*losses, *model.state_dict().values()]), training / STEPS),
        }


def samples(family: Family) -> tuple[Array, Array]:
    """A batch of what the network takes, and the classes."""
    rng, shape = np.random.default_rng(0), (SAMPLES, *family.shape)
    x = rng.integers(0, WORDS, shape) if family.words else rng.standard_normal(shape).astype("float32")
    return nnx.asarray(x), nnx.asarray(rng.integers(0, CLASSES, SAMPLES))


def loss_of(model: Any, x: Array, y: Array) -> Array:
    """The loss of all families."""
    return nnx.losses.cross_entropy(model(x), y)


def step(model: nnx.Module, optimizer: Any, gradients: Any, x: Array, y: Array) -> Array:
    """A training step; returns its loss, unread."""
    loss, grads = gradients(model, x, y)
    optimizer.update(model, grads)
    return loss


def timed(backend: nnx.Backend, f: Callable[[], Any]) -> tuple[Any, float]:
    """f() and its seconds, until the device has done it all."""
    backend.synchronize()
    start = time.perf_counter()
    found = f()
    backend.synchronize()
    return found, time.perf_counter() - start


def host(arrays: list[Array]) -> list[Array]:
    """The arrays as NumPy's."""
    return [nnx.to_numpy(x) for x in arrays]


def add_options(command: argparse.ArgumentParser) -> None:
    """The options of `nnx backends` that belong here."""
    command.add_argument("--check", metavar="NAME", help="hold this backend to NumPy: forward, backward, ten steps")
    command.add_argument("--device", help="of the backend to check, in place of NNX_DEVICE")
    command.add_argument("--report", type=Path, metavar="FILE", help="write what --check found as JSON, for an issue")
