"""State dicts: what must fit before anything of a model is changed, and copies that nobody else holds."""

from typing import TYPE_CHECKING, NamedTuple

from nnx.backend import backend_of, innermost, is_array
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.layers.module import Module


class IncompatibleKeys(NamedTuple):
    """What a state dict lacked and what it had too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(module: "Module", state: dict[str, Array], strict: bool) -> IncompatibleKeys:
    """See Module.load_state_dict."""
    layout = module._layout()
    slots = {slot.path: slot for slot in layout.slots if slot.kind != "private"}
    keys = IncompatibleKeys([k for k in slots if k not in state], [k for k in state if k not in slots])
    given = {path: (state[path], slot.owner[slot.name]) for path, slot in slots.items() if path in state}
    wrong = [found for path, (x, old) in given.items() if (found := misfit(path, x, old))]
    problems = [f"wrong shape: {'; '.join(wrong)}"] if wrong else []
    if strict:
        problems += [f"missing: {', '.join(keys.missing_keys)}"] if keys.missing_keys else []
        problems += [f"unexpected: {', '.join(keys.unexpected_keys)}"] if keys.unexpected_keys else []
    if problems:
        raise ValueError(f"the state dict does not fit {type(module).__name__}: {'; '.join(problems)}")
    new: dict[int, Array] = {}
    for x, old in given.values():
        if id(old) not in new:
            new[id(old)] = copied(backend_of(old).home(old).asarray(innermost(x), old.dtype))
    layout.replace(new)
    return keys


def copied(x: Array) -> Array:
    """A plain array of x's values in memory of its own."""
    x = innermost(x)
    return backend_of(x).namespace().asarray(x, copy=True)


def misfit(path: str, x: Array, old: Array) -> str:
    """What is wrong with x in the place of `old`; empty if nothing is."""
    if not is_array(x):
        return f"{path} is no array but a {type(x).__name__}"
    return (
        ""
        if tuple(x.shape) == tuple(old.shape)
        else f"{path} has shape {tuple(x.shape)}, the model's {tuple(old.shape)}"
    )
