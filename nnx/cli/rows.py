"""A row of a table of settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """read: its value from text, raises ArgumentTypeError   many: it is a list   choices: all that it may be."""

    read: Callable[[str], Any]
    default: Any
    help: str
    many: bool = False
    choices: tuple[str, ...] = ()
    metavar: str | None = None
