"""The table's rows: what is measured, who is measured beside nnx, and the goal: nnx's time (or bytes) ÷ the peer's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.suite import epoch, in_jax, in_nnx, in_numpy, in_torch
from benchmarks.suite.cases import CASES


@dataclass(frozen=True)
class Row:
    """contestants: by name, what makes a step; "nnx" is the one that is compared   goals: by peer, the largest ratio

    exact: what makes a step whose losses are compared, where that is not the step that is timed
    """

    name: str
    title: str
    contestants: dict[str, Callable]
    goals: dict[str, float]
    kind: str = "time"
    exact: dict[str, Callable] = field(default_factory=dict)


TRAIN_GOALS = {
    "small": {"torch": 0.35, "numpy": 1.3},
    "tiny": {"torch": 0.35, "numpy": 1.3},
    "wide": {"torch": 1.0},
    "wider": {"torch": 1.0},
    "lenet": {"torch": 1.3},
    "resnet": {"torch": 1.3},
    "gpt": {"torch": 1.1},
    "lstm": {"torch": 1.1},
}
NEEDS = {
    "torch": "torch",
    "torch compiled": "torch",
    "jax": "jax",
    "sklearn": "sklearn",
    "autograd": "autograd",
    "thinc": "thinc",
}
"""The package that a contestant needs."""


def _train(name, case, compiled):
    found = {"nnx": partial(in_nnx.train, case)}
    if case.family == "mlp":
        found["numpy"] = partial(in_numpy.train, case)
    found["torch"] = partial(in_torch.train, case)
    if compiled:
        found["torch compiled"] = partial(in_torch.train, case, compiled=True)
    return Row(f"train:{name}", case.title, found, TRAIN_GOALS[name])


def _compiled(name, case):
    """The same step on NumPy, given to nnx.compile."""
    row = _train(name, case, False)
    made = row.contestants | {"nnx": partial(in_nnx.train, case, compiled=True), "eager": row.contestants["nnx"]}
    return Row(f"compiled:{name}", f"nnx.compile, {case.title}", made, row.goals)


def _epoch(samples, compiled=False):
    def made(shuffle):
        found = {name: partial(make, samples, shuffle) for name, make in epoch.CONTESTANTS.items()}
        return found | {"nnx": partial(epoch.of_nnx, samples, shuffle, compiled=compiled)}

    title = f"epoch of {samples:,} × 784, hidden 128, batch 64, Adam"
    name, title = ("compiled:epoch", f"nnx.compile, {title}") if compiled else ("epoch", title)
    return Row(name, title, made(True), {"torch": 0.6, "sklearn": 0.45}, exact=made(False))


def _loader(samples):
    """The loader's share of an epoch: its time ÷ that of the whole epoch."""

    def made(shuffle):
        return {name: partial(make, samples, shuffle) for name, make in epoch.LOADERS.items()}

    whole = {"epoch": partial(epoch.of_nnx, samples, True)}
    return Row("loader", "the loader alone, in that epoch", made(True) | whole, {"epoch": 0.1}, exact=made(False))


def _on_jax(name, case):
    made = {"nnx": partial(in_nnx.train, case, "jax", True), "jax": partial(in_jax.train, case)}
    return Row(f"jax:{name}", f"JAX, {case.title}", made, {"jax": 1.05})


def _on_torch(name, case):
    made = {"nnx": partial(in_nnx.train, case, "torch"), "torch": partial(in_torch.train, case)}
    return Row(f"torch:{name}", f"torch tensors, {case.title}", made, {"torch": 1.1})


def _inference(name, case):
    made = {"nnx": partial(in_nnx.infer, case), "torch": partial(in_torch.infer, case)}
    made["compiled"] = partial(in_nnx.infer, case, compiled=True)
    return Row(f"inference:{name}", f"inference, {case.title}", made, {"torch": 1.0})


def _memory(name, case):
    made = {"nnx": partial(in_nnx.train, case), "torch": partial(in_torch.train, case)}
    made["compiled"] = partial(in_nnx.train, case, compiled=True)
    return Row(f"memory:{name}", f"peak bytes, {case.title}", made, {"torch": 1.0}, "memory")


def rows(compiled=False, samples=epoch.SAMPLES):
    """Every row by name. compiled: with torch.compile, which takes a minute to compile each"""
    goals = {name: CASES[name] for name in TRAIN_GOALS}
    found = [_train(name, case, compiled) for name, case in goals.items()]
    found[2:2] = [_epoch(samples), _loader(samples)]
    found += [*(_compiled(name, case) for name, case in goals.items()), _epoch(samples, compiled=True)]
    for make in (_on_jax, _on_torch, _inference, _memory):
        found += [make(name, case) for name, case in goals.items()]
    return {row.name: row for row in found}
