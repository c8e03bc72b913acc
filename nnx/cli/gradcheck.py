"""`nnx gradcheck`: the gradients of a user's function or module, or of a run's model, held to central differences."""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli.options import positive, positive_int, seed
from nnx.cli.output import add_json, examples, said
from nnx.cli.saved import SavedRun, add_backend

__all__ = ["register", "run"]

DTYPES = ("float32", "float64", "complex64", "complex128")
SAMPLES = 4
"""Of a run's model."""
TRIES = 5


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "gradcheck",
        help="are the gradients of a function right?",
        description="Compare gradients with central differences, at a random place. A function takes an array for each "
        "--shape and returns arrays; a Module (or a class that makes one without arguments) is checked by its "
        "parameters, too, in evaluation mode; of a run, the loss by each parameter. Exit code 1: they differ.",
        **examples(
            "nnx gradcheck mymodule:function --shape 3,4",
            "nnx gradcheck layers.py:Swish --shape 8,16 --order 2",
            "nnx gradcheck mymodule:logarithm --shape 5 --uniform 0.5 2",
            "nnx gradcheck runs/first --json",
        ),
    )
    add = command.add_argument
    add("target", metavar="TARGET", help="module:name, file.py:name, or the folder of a run")
    add("--shape", type=shape, action="append", default=[], metavar="N,N", help="of an argument; () for a number")
    add("--dtype", choices=DTYPES, default="float64", help="(%(default)s)")
    add("--uniform", type=float, nargs=2, metavar=("LOW", "HIGH"), help="arguments between these (normal: mean 0)")
    add("--order", type=int, choices=(1, 2), default=1, help="2 checks the gradient's gradient, too (%(default)s)")
    add("--full", action="store_true", help="every entry in place of random directions")
    add("--directions", type=positive_int, default=2, metavar="N", help="how many of these (%(default)s)")
    add("--eps", type=positive, help="the step (fits the dtype)")
    add("--rtol", type=positive, help="relative difference that is allowed (fits the dtype)")
    add("--atol", type=positive, help="difference that is allowed (fits the dtype)")
    add("--seed", type=seed, default=0, metavar="N", help="of the place and the directions (%(default)s)")
    add_backend(command)
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device), nnx.random.scope(args.seed):
        is_run = Path(args.target).is_dir()
        document: dict[str, Any] = {"target": args.target, "dtype": args.dtype, "order": args.order}
        document |= {"backend": backend.name, "device": str(backend.device)}
        try:
            report = _run_checked(args) if is_run else _checked(*_of_code(args), args)
        except nnx.GradientMismatch as error:
            said(args, {**document, "ok": False, "message": str(error)}, f"gradients differ: {error}")
            return 1
    rows = [
        {
            "argument": c.argument,
            "entry": None if c.entry is None else list(c.entry),
            "analytic": c.analytic,
            "numeric": c.numeric,
            "error": c.error,
        }
        for c in report.comparisons
    ]
    document |= {"ok": True, "worst": report.worst, "comparisons": rows}
    words = f"{len(rows)} comparisons agree, the worst relative error is {report.worst:.1e}"
    said(args, document, f"{report}\n{words} ({args.dtype} on {backend.name})")
    return 0


def _checked(f: Callable[..., Any], arguments: list[Any], args: argparse.Namespace) -> Any:
    """The report. Raises GradientMismatch; ValueError for whatever the function itself raises."""
    names = ("eps", "rtol", "atol", "order", "full", "directions", "seed")
    try:
        with np.errstate(all="ignore"):  # what is not finite is named by the report
            return nnx.gradcheck(f, *arguments, **{name: vars(args)[name] for name in names})
    except nnx.GradientMismatch:
        raise
    except Exception as error:
        if os.environ.get("NNX_DEBUG"):
            raise
        shapes = ", ".join(str(tuple(x.shape)) for x in arguments if hasattr(x, "shape"))
        raise ValueError(
            f"{args.target} raised {type(error).__name__}: {error} (arguments of shape {shapes or 'none'}, set by "
            "--shape; NNX_DEBUG=1 shows where)"
        ) from error


def _run_checked(args: argparse.Namespace) -> Any:
    """The report of a run's model, at another place if one of its many units has its kink at the first.

    The step is small, so that few kinks lie within it: a wrong gradient is wrong everywhere.
    """
    args.eps = args.eps or 1e-7
    for attempt in range(TRIES):
        try:
            return _checked(*_of_run(args, args.seed + attempt), args)
        except nnx.GradientMismatch as error:
            if "Likely a kink" not in str(error) or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


# ---- what is checked -------------------------------------------------------------------------------------------------


def shape(text: str) -> tuple[int, ...]:
    """3,4 or 3x4, and () for a number."""
    inner = text.strip("() ").replace("x", ",").removesuffix(",")
    try:
        found = tuple(int(size) for size in inner.split(",")) if inner else ()
    except ValueError:
        found = (-1,)
    if min(found, default=0) < 0:
        raise argparse.ArgumentTypeError(f"expected sizes such as 3,4, got '{text}'")
    return found


def _of_code(args: argparse.Namespace) -> tuple[Callable[..., Any], list[Any]]:
    """A function of the user's, and random arguments for it."""
    found = _loaded(args.target)
    if isinstance(found, type) and issubclass(found, nnx.Module):
        try:
            found = found()
        except TypeError as error:
            raise ValueError(f"{args.target}: its class needs arguments ({error}): name an instance") from None
    if not callable(found):
        raise ValueError(f"{args.target}: expected a function or a Module, got {type(found).__name__}")
    if not args.shape:
        raise ValueError(f"{args.target} needs the shapes of its arguments: e.g. --shape 3,4, once for each")
    rng = np.random.default_rng(args.seed)
    arguments = [_array(_random(rng, sizes, args), args) for sizes in args.shape]
    if isinstance(found, nnx.Module):
        found.to(*_here(), dtype=args.dtype).eval()
        return lambda model, *xs: model(*xs), [found, *arguments]
    return found, arguments


def _array(x: Any, args: argparse.Namespace) -> Any:
    """x in the dtype that was asked for. Raises ValueError where the library has another instead."""
    found = nnx.asarray(x, dtype=args.dtype)
    if args.dtype not in str(found.dtype):
        way = "JAX_ENABLE_X64=1, or " if nnx.get_backend().name == "jax" else ""
        raise ValueError(f"--dtype {args.dtype}: got {found.dtype} from {nnx.get_backend().name}: {way}--dtype float32")
    return found


def _random(rng: np.random.Generator, sizes: tuple[int, ...], args: argparse.Namespace) -> Any:
    def draw() -> Any:
        return rng.standard_normal(sizes) if args.uniform is None else low + (high - low) * rng.random(sizes)

    low, high = args.uniform or (0.0, 0.0)

    return draw() + 1j * draw() if args.dtype.startswith("complex") else np.asarray(draw())


def _of_run(args: argparse.Namespace, seed: int) -> tuple[Callable[..., Any], list[Any]]:
    """The loss of a run's model over a few random samples, as a function of the model."""
    if args.shape or args.uniform:
        raise ValueError("--shape and --uniform belong to a function: a run's model says itself what it takes")
    if args.dtype != "float64":  # the step that float32 needs goes over the kinks of many units
        raise ValueError(f"--dtype {args.dtype}: the model of a run is checked in float64")
    saved = SavedRun(args.target)
    rng, loss = np.random.default_rng(seed), saved.task.loss
    x = _array(rng.standard_normal((SAMPLES, *saved.preparation.model_shape)), args)
    if saved.preparation.classes is None:
        y = _array(rng.standard_normal((SAMPLES, 1)), args)
    else:
        y = nnx.asarray(rng.integers(0, saved.preparation.outputs, SAMPLES))
    model = saved.model.to(*_here(), dtype=args.dtype).eval()
    return lambda model: loss(model(x), y), [model]


def _here() -> tuple[str, Any]:
    backend = nnx.get_backend()
    return backend.name, backend.device


def _loaded(target: str) -> Any:
    """module:name or file.py:name. Raises ValueError, also for whatever the module raises."""
    source, colon, name = target.rpartition(":")
    if not colon or not source or not name:
        raise ValueError(f"{target}: expected module:name, file.py:name, or the folder of a run, which is not there")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = _from_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except Exception as error:
        if os.environ.get("NNX_DEBUG"):
            raise
        raise ValueError(f"{target}: importing {source} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    for part in name.split("."):
        if not hasattr(found, part):
            public = [n for n in dir(found) if not n.startswith("_")]
            raise ValueError(f"{target}: there is no {part} in {source}, but {', '.join(public[:20])}")
        found = getattr(found, part)
    return found


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no such file in {Path.cwd()}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles look it up there
    spec.loader.exec_module(module)
    return module
