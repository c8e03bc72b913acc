"""A training as data: all that it needs to go on as if nothing had happened. Arrays by name, the rest as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnx import random
from nnx.metrics import Metric
from nnx.train.callbacks import Callback
from nnx.train.history import History
from nnx.train.means import Means

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

State = dict[str, Any]

FORM: dict[str, tuple[type, ...]] = {
    "epoch": (int,),
    "step": (int,),
    "samples": (int,),
    "meters": (dict,),
    "history": (list,),
    "validations": (list,),
    "optimizer": (dict,),
    "random": (dict,),
    "callbacks": (dict,),
    "loader": (dict, list, str, int, float, type(None)),
    "validation": (dict, list, str, int, float, type(None)),
    "schedule": (dict, type(None)),
    "average": (dict, type(None)),
    "scaler": (dict, type(None)),
}
"""What "meta" holds."""

NEW = ("meters", "validations", "validation", "average", "scaler")
"""Of these, what checkpoints before 0.2 do not have."""


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
    average = None if trainer.average is None else dict(trainer.average.state_dict())
    arrays |= _over("average/", average.pop("arrays", {}) if average else {})
    meta = {
        "epoch": trainer.epoch,
        "step": trainer.step,
        "samples": trainer.means.samples,
        "meters": meters,
        "history": trainer.history.records,
        "validations": trainer.validations.records,
        "optimizer": optimizer,
        "random": random.get_state(),
        "callbacks": callbacks,
        # within an epoch the position behind the last batch: the loader itself may have come to its end
        "loader": _state_of(trainer.loader) if trainer.position is None else trainer.position,
        "validation": _state_of(trainer.validation),
        "schedule": _state_of(trainer.schedule),
        "average": average,
        "scaler": _state_of(trainer.precision.scaler),
    }
    return {"arrays": arrays, "meta": meta}


def save(trainer: "Trainer", path: Any) -> None:
    """Write the state to a safetensors file, atomically."""
    from nnx.io import save_safetensors

    found = collect(trainer)
    save_safetensors(path, found["arrays"], found["meta"])


def read(path: Any) -> State:
    """The state that a file holds. Raises CheckpointError for a file that is damaged, or none of `save`."""
    from nnx.io import CheckpointError, load_safetensors

    arrays, meta = load_safetensors(path)
    if "optimizer" not in meta or "epoch" not in meta:
        raise CheckpointError(
            f"{path}: expected a checkpoint of Trainer.save, got weights only: nnx.io.load reads these"
        )
    return {"arrays": arrays, "meta": meta, "path": str(path)}


def restore(trainer: "Trainer", state: State) -> None:
    """Put all of it back but what the next `fit` brings: its loader and callbacks (see `take_up`)."""
    arrays, meta = state["arrays"], state["meta"]
    with _whole(trainer), _explained(state):
        _check_form(meta)
        trainer.model.load_state_dict(_under("model/", arrays))
        trainer.optimizer.load_state_dict({**meta["optimizer"], "slots": _under("optimizer/", arrays)})
        trainer.means = Means(_under("sums/", arrays), meta["samples"])
        for name, own in meta.get("meters", {}).items():
            if isinstance(metric := trainer.metrics.get(name), Metric):
                found = {**own, "arrays": _under(f"meters/{name}/", arrays)}
                trainer.means.meter(name, metric).load_state_dict(found)
        trainer.epoch, trainer.step = meta["epoch"], meta["step"]
        trainer.history, trainer.validations = History(meta["history"]), History(meta.get("validations", []))
        trainer.latest = {k: v for record in [*trainer.validations, *trainer.history][-2:] for k, v in record.items()}
        if trainer.schedule is not None and meta["schedule"] is not None:
            trainer.schedule.load_state_dict(meta["schedule"])
        if trainer.average is not None and meta.get("average") is not None:
            trainer.average.load_state_dict({**meta["average"], "arrays": _under("average/", arrays)})
        if trainer.precision.scaler is not None and meta.get("scaler") is not None:
            trainer.precision.scaler.load_state_dict(meta["scaler"])
        random.set_state(meta["random"])


def _check_form(meta: Mapping[str, Any]) -> None:
    """Raises ValueError for metadata of another form."""
    for name, kinds in FORM.items():
        value = meta.get(name)
        if name not in meta and name in NEW:
            continue
        if name not in meta or type(value) not in kinds:
            expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            found = type(value).__name__ if name in meta else "nothing"
            raise ValueError(f"'{name}' of a checkpoint must be of type {expected}, got {found}")
        if type(value) is int and name != "loader" and value < 0:
            raise ValueError(f"'{name}' of a checkpoint must be >= 0, got {value}")
    for name in ("seed", "counter"):
        if type(found := meta["random"].get(name)) is not int or found < 0:
            raise ValueError(f"'random' of a checkpoint must hold a {name}, an integer >= 0, got {found!r}")
    for name in ("history", "validations"):
        if not all(isinstance(record, dict) for record in meta.get(name, [])):
            raise ValueError(f"'{name}' of a checkpoint must hold records, got something else")


@contextmanager
def _whole(trainer: "Trainer") -> Iterator[None]:
    """All of a block's changes to the training, or, after an exception, none of them."""
    model, before = trainer.model, dict(vars(trainer))
    arrays = dict([*model.named_parameters(), *model.named_buffers()])
    scaler = trainer.precision.scaler
    things = [thing for thing in (trainer.optimizer, trainer.schedule, trainer.average, scaler) if thing is not None]
    things += [] if scaler is None else [scaler.carried]
    attributes = [(thing, dict(vars(thing))) for thing in things]
    draws = random.get_state()
    try:
        yield
    except BaseException:
        model.update(arrays)
        for thing, own in [(trainer, before), *attributes]:
            vars(thing).clear()
            vars(thing).update(own)
        random.set_state(draws)
        raise


@contextmanager
def _explained(state: State) -> Iterator[None]:
    """Errors of a state that came from a file name the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        if "path" not in state:
            raise
        from nnx.io import CheckpointError

        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise CheckpointError(
            f"{state['path']}: expected the checkpoint of a training like this one, got another's or a damaged one: "
            f"{what}"
        ) from error


def take_up(trainer: "Trainer", state: State) -> None:
    """Give the loader and callbacks of a `fit` that goes on what they had.

    An iterable that keeps no position begins its epoch anew.
    """
    arrays, meta = state["arrays"], state["meta"]
    with _explained(state):
        if meta["loader"] is not None and hasattr(trainer.loader, "load_state_dict"):
            trainer.loader.load_state_dict(meta["loader"])
        else:
            trainer.means = Means()
        validation: Any = trainer.validation
        if meta.get("validation") is not None and hasattr(validation, "load_state_dict"):
            validation.load_state_dict(meta["validation"])
        for name, callback in named(trainer.callbacks):
            if name in meta["callbacks"]:
                own = _under(f"callbacks/{name}/", arrays)
                callback.load_state_dict({**meta["callbacks"][name], **({"arrays": own} if own else {})})
        random.set_state(meta["random"])  # making the loader may have drawn its seed


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
