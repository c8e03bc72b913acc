"""A training as data: all that it needs to go on as if nothing had happened. Arrays by name, the rest as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnx import random
from nnx.metrics import Metric
from nnx.train.callbacks import Callback
from nnx.train.history import History
from nnx.train.means import Means

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

State = dict[str, Any]


def collect(trainer: "Trainer") -> State:
    """{"arrays": by name, "meta": plain numbers, lists and dicts}."""
    optimizer = trainer.optimizer.state_dict()
    arrays = _over("model/", trainer.model.state_dict())
    arrays |= _over("optimizer/", optimizer.pop("slots"))
    arrays |= _over("sums/", trainer.means.sums)
    callbacks, meters = {}, {}
    for name, meter in trainer.means.meters.items():
        meters[name] = meter.state_dict()
        arrays |= _over(f"meters/{name}/", meters[name].pop("arrays", {}))
    for name, callback in named(trainer.callbacks):
        if state := dict(callback.state_dict()):
            arrays |= _over(f"callbacks/{name}/", state.pop("arrays", {}))
            callbacks[name] = state
    meta = {
        "epoch": trainer.epoch,
        "step": trainer.step,
        "samples": trainer.means.samples,
        "meters": meters,
        "history": trainer.history.records,
        "optimizer": optimizer,
        "random": random.get_state(),
        "callbacks": callbacks,
        "loader": _state_of(trainer.loader),
        "schedule": _state_of(trainer.schedule),
    }
    return {"arrays": arrays, "meta": meta}


def restore(trainer: "Trainer", state: State) -> None:
    """Put all of it back but what the next `fit` brings: its loader and callbacks (see `take_up`)."""
    arrays, meta = state["arrays"], state["meta"]
    trainer.model.load_state_dict(_under("model/", arrays))
    trainer.optimizer.load_state_dict({**meta["optimizer"], "slots": _under("optimizer/", arrays)})
    trainer.means = Means(_under("sums/", arrays), meta["samples"])
    for name, own in meta.get("meters", {}).items():
        if isinstance(metric := trainer.metrics.get(name), Metric):
            found = {**own, "arrays": _under(f"meters/{name}/", arrays)}
            trainer.means.meter(name, metric).load_state_dict(found)
    trainer.epoch, trainer.step = meta["epoch"], meta["step"]
    trainer.history = History(meta["history"])
    if trainer.schedule is not None and meta["schedule"] is not None:
        trainer.schedule.load_state_dict(meta["schedule"])
    random.set_state(meta["random"])


def take_up(trainer: "Trainer", state: State) -> None:
    """Give the loader and callbacks of a `fit` that goes on what they had.

    An iterable that keeps no position begins its epoch anew.
    """
    arrays, meta = state["arrays"], state["meta"]
    if meta["loader"] is not None and hasattr(trainer.loader, "load_state_dict"):
        trainer.loader.load_state_dict(meta["loader"])
    else:
        trainer.means = Means()
    for name, callback in named(trainer.callbacks):
        if name in meta["callbacks"]:
            own = _under(f"callbacks/{name}/", arrays)
            callback.load_state_dict({**meta["callbacks"][name], **({"arrays": own} if own else {})})


def named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """Each with its class's name and how many of that class came before: others may be added in between."""
    seen: Counter[str] = Counter()
    for callback in callbacks:
        kind = type(callback).__name__
        yield f"{kind}-{seen[kind]}", callback
        seen[kind] += 1


def _state_of(thing: Any) -> Any:
    return thing.state_dict() if hasattr(thing, "state_dict") else None


def _over(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: x for name, x in arrays.items()}


def _under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}
