"""Where progress is shown: a live bar in a terminal (rich) or in a notebook (IPython), plain lines elsewhere."""

import importlib
import sys
import time
from html import escape
from typing import Any, Protocol


class Display(Protocol):
    """A place for lines, and for a bar that moves between them."""

    def open(self, total: int | None, done: int) -> None:
        """Begin. total: updates that there will be, if that is known; done: before this training."""

    def move(self, done: int, text: str, rate: str, remaining: str) -> None:
        """Show how far it is."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def close(self, done: int) -> None:
        """End; what is shown stays."""


class Plain:
    """Lines alone."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def open(self, total: int | None, done: int) -> None:
        """Nothing."""

    def move(self, done: int, text: str, rate: str, remaining: str) -> None:
        """Nothing."""

    def line(self, text: str) -> None:
        """Print it."""
        print(text, file=self.file, flush=True)

    def close(self, done: int) -> None:
        """Nothing."""


class Terminal:
    """rich's bar, which draws itself anew ten times a second."""

    def __init__(self, file: Any) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        columns = (
            BarColumn(bar_width=16),
            TextColumn("{task.fields[rate]}  {task.fields[remaining]}", table_column=Column(no_wrap=True)),
            # last, and cut where the terminal ends: the line above has all numbers
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        )
        self.bar = Progress(*columns, console=Console(file=file), expand=True)

    def open(self, total: int | None, done: int) -> None:
        """See Display."""
        self.bar.start()
        self.task = self.bar.add_task("training", total=total, completed=done, rate="", remaining="")

    def move(self, done: int, text: str, rate: str, remaining: str) -> None:
        """See Display."""
        self.bar.update(self.task, completed=done, description=text, rate=rate, remaining=remaining)

    def line(self, text: str) -> None:
        """See Display."""
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self, done: int) -> None:
        """See Display."""
        self.bar.update(self.task, completed=done, remaining="")
        self.bar.stop()


class Notebook:
    """One output of a notebook's cell, replaced four times a second: a bar, and the lines above it."""

    def __init__(self) -> None:
        ipython: Any = importlib.import_module("IPython.display")
        self.html, self.display = ipython.HTML, ipython.display
        self.lines: list[str] = []
        self._shown = 0.0

    def open(self, total: int | None, done: int) -> None:
        """See Display."""
        self.total, self.bar = total, ""
        self.handle = self.display(self.html(""), display_id=True)

    def move(self, done: int, text: str, rate: str, remaining: str) -> None:
        """See Display."""
        of = "" if self.total is None else f" value='{done}' max='{self.total}'"
        self.bar = f"<progress{of}></progress> {escape(f'{text}  {rate}  {remaining}')}"
        if time.perf_counter() - self._shown >= 0.25:
            self._draw()

    def line(self, text: str) -> None:
        """See Display."""
        self.lines.append(text)
        self._draw()

    def close(self, done: int) -> None:
        """See Display."""
        self.bar = ""
        self._draw()

    def _draw(self) -> None:
        self._shown = time.perf_counter()
        self.handle.update(self.html(f"<pre>{escape(chr(10).join(self.lines))}</pre>{self.bar}"))


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return type(found).__name__ == "ZMQInteractiveShell"


def display_for(live: bool | None, file: Any) -> Display:
    """live: True, False, or None for live where somebody can see it. file: None for the notebook or standard output."""
    if file is None and live is not False and in_notebook():
        return Notebook()
    file = file or sys.stdout
    if live is None:
        live = bool(getattr(file, "isatty", lambda: False)())
    return Terminal(file) if live else Plain(file)
