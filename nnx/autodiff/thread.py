"""What a thread is doing: which tapes it has open, and who wants to know what a function changes while it runs."""

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from nnx.autodiff.tape import Tape


class Note(ABC):
    """A place that was written to, and what was there before."""

    @property
    def alive(self) -> bool:
        """Whether anybody can still look there."""
        return True

    @abstractmethod
    def __call__(self) -> None:
        """Put back what was there; the next call puts back what this one has found."""


class Thread(threading.local):
    """One object, other attributes in each thread."""

    def __init__(self) -> None:
        # by level, handed to each tape so that it can count itself out wherever it ends
        self.open: dict[int, ref[Tape]] = {}
        self.notes: list[Note] | None = None


thread = Thread()


def recording() -> bool:
    """Whether a tape is open in this thread."""
    return bool(thread.open)


def open_tapes() -> list["Tape"]:
    """The tapes that are open in this thread, the innermost first."""
    found = [thread.open[level]() for level in sorted(thread.open, reverse=True)]
    return [tape for tape in found if tape is not None]


@contextmanager
def noting() -> Iterator[list[Note]]:
    """Collect a note for every write to a Module's attribute or to places of a Var; a block around gets them, too."""
    around, notes = thread.notes, list[Note]()
    thread.notes = notes
    try:
        yield notes
    finally:
        thread.notes = around
        if around is not None:
            around += map(copy.copy, notes)  # each is undone in its own time


@contextmanager
def undone(notes: list[Note]) -> Iterator[None]:
    """Inside of the block the places are as they were before they were written to."""
    for note in reversed(notes):
        note()
    try:
        yield
    finally:
        for note in notes:
            note()
