"""Parameter groups: some parameters, named by patterns of their dotted paths, with hyperparameters of their own.

A pattern is fnmatch's: `*` is any text, dots too, `?` one character, `[ab]` one of these. Every pattern that matches a
path counts; where two of them set the same hyperparameter, the later one wins.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Groups = dict[str, dict[str, Any]]
Key = tuple[str, ...]
"""The patterns that match a path."""


def checked(groups: Mapping[str, Mapping[str, Any]] | None, known: Iterable[str], owner: str) -> Groups:
    """A copy of the groups. known: the hyperparameters that there are; raises ValueError for another one."""
    known = set(known)
    for pattern, options in (groups or {}).items():
        if unknown := sorted(options.keys() - known):
            there = ", ".join(sorted(known - {"initial_lr"}))
            raise ValueError(f"{owner}: group '{pattern}' sets {', '.join(unknown)}, and there is {there}")
    return copied(groups or {})


def copied(groups: Mapping[str, Mapping[str, Any]]) -> Groups:
    """The groups with dicts of their own; lists, which JSON makes of tuples, are tuples again."""
    return {
        pattern: {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        for pattern, options in groups.items()
    }


def key_of(groups: Groups, path: str) -> Key:
    """The patterns that match the path, in their order."""
    return tuple(pattern for pattern in groups if fnmatchcase(path, pattern))


def check_used(groups: Iterable[str], paths: Iterable[str], owner: str) -> None:
    """Raises ValueError if a pattern matches none of the paths."""
    paths = list(paths)
    for pattern in groups:
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise ValueError(f"{owner}: no parameter matches the group '{pattern}': there is {', '.join(paths)}")
