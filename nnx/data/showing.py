"""How far a fetch is: a bar in a terminal (rich), lines elsewhere, nothing when quiet; all on standard error."""

import sys
import time
from typing import Any, Protocol

__all__ = ["Shown", "readable", "shown"]

EVERY = 10.0  # seconds between two lines


class Shown(Protocol):
    """A place where a fetch is seen."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def begin(self, name: str, done: int, total: int | None) -> None:
        """Bytes begin to come; done: that were there before; total: None if the server does not tell."""

    def move(self, done: int) -> None:
        """So many bytes are there."""

    def end(self) -> None:
        """No more come; what is shown stays."""


class Quiet:
    """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, name: str, done: int, total: int | None) -> None:
        """Nothing."""

    def move(self, done: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines:
    """A line every ten seconds."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def say(self, text: str) -> None:
        """Print it."""
        print(text, file=self.file, flush=True)

    def begin(self, name: str, done: int, total: int | None) -> None:
        """See Shown."""
        self.name, self.total, self.last = name, total, time.monotonic()

    def move(self, done: int) -> None:
        """See Shown."""
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            self.say(f"{self.name}: {readable(done)}{f' of {readable(self.total)}' if self.total else ''}")

    def end(self) -> None:
        """Nothing."""


class Bar:
    """rich's bar, with rate and remaining time."""

    def __init__(self, file: Any) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as SpeedColumn

        self.console = Console(file=file)
        columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), SpeedColumn()
        self.columns: list[Any] = [*columns, TimeRemainingColumn()]

    def say(self, text: str) -> None:
        """See Shown."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, name: str, done: int, total: int | None) -> None:
        """See Shown."""
        from rich.progress import Progress

        self.bar = Progress(*self.columns, console=self.console)
        self.bar.start()
        self.task = self.bar.add_task(name, total=total, completed=done)

    def move(self, done: int) -> None:
        """See Shown."""
        self.bar.update(self.task, completed=done)

    def end(self) -> None:
        """See Shown."""
        self.bar.stop()


def shown(quiet: bool, file: Any = None) -> Shown:
    """Where a fetch is shown; file: None for standard error."""
    if quiet:
        return Quiet()
    file = sys.stderr if file is None else file
    return Bar(file) if getattr(file, "isatty", lambda: False)() else Lines(file)


def readable(n: int) -> str:
    """A number of bytes in words.

    >>> readable(999), readable(26_421_880)
    ('999 bytes', '26.4 MB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
