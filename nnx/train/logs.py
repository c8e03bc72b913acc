"""What was measured, written as it comes: a line of JSON, a row of CSV, TensorBoard's events.

A resumed training writes on in the same file, without what was written after its checkpoint: that comes again.
"""

import csv
import importlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

Record = dict[str, Any]


class Log(Callback):
    """The base of those that write records: of every epoch, every validation in one, and every so many updates.

    every_n_steps: updates between two records of {epoch, step, lr, loss}; each reads the loss, and so waits for the
    device. None for none: then nothing is read within an epoch
    """

    def __init__(self, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"{type(self).__name__}: every_n_steps must be at least 1, or None, got {every_n_steps}")
        self.every_n_steps = every_n_steps

    def write(self, record: Record) -> None:
        """Write a record."""
        raise NotImplementedError

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Write the epoch's."""
        self.write(record)

    def on_validation(self, trainer: "Trainer", record: Record) -> None:
        """Write a validation's."""
        self.write(record)

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Write an update's, every so often."""
        if self.every_n_steps is not None and trainer.step % self.every_n_steps == 0:
            lr, epoch = trainer.optimizer.lr, trainer.epoch + 1
            self.write({"epoch": epoch, "step": trainer.step, "lr": lr, "loss": float(loss)})


class MetricsLog(Log):
    """Appends records to a file of JSON lines."""

    def __init__(self, path: str | Path, every_n_steps: int | None = None) -> None:
        from nnx.io import JsonLines

        super().__init__(every_n_steps)
        self.file = JsonLines(path)

    def on_train_begin(self, trainer: "Trainer") -> None:
        """After a resume, drop the lines that will come again."""
        from nnx.io import check_place, remove_parts, write_atomically

        check_place(self.file.path)
        remove_parts(self.file.path)
        if trainer.resuming and self.file.path.is_file():
            lines = self.file.path.read_bytes().splitlines(keepends=True)
            while lines and _is_later(_record(lines[-1]), trainer):
                lines.pop()
            write_atomically(self.file.path, b"".join(lines))

    def write(self, record: Record) -> None:
        """Write the line."""
        self.file.append(record)


class CSVLogger(Log):
    """Appends records to a CSV file as rows; an entry that no row before had makes a column for all of them.

    path: of the file; without an end it gets a header   Lists of strings (messages) are left out.
    """

    def __init__(self, path: str | Path, every_n_steps: int | None = None) -> None:
        super().__init__(every_n_steps)
        self.path = Path(path)
        self.columns: list[str] = []

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Read what is there; after a resume, drop the rows that will come again, and one that was cut short."""
        from nnx.io import check_place, remove_parts

        check_place(self.path)
        remove_parts(self.path)
        rows = self._rows()
        while trainer.resuming and rows and _is_later(rows[-1], trainer):
            rows.pop()
        self.columns = list(dict.fromkeys(name for row in rows for name in row))
        if self.path.is_file():
            self._rewrite(rows)

    def _rows(self) -> list[Record]:
        if not self.path.is_file():
            return []
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1]  # the last line of a process that was killed
        return list(csv.DictReader(io.StringIO(whole)))

    def _rewrite(self, rows: list[Record]) -> None:
        from nnx.io import write_atomically

        write_atomically(self.path, (_line(self.columns) + "".join(self._row(row) for row in rows)).encode())

    def _row(self, record: Record) -> str:
        return _line([record.get(name, "") for name in self.columns])

    def write(self, record: Record) -> None:
        """Write the row, in the file when this returns."""
        plain = {name: value for name, value in record.items() if not isinstance(value, list)}
        if new := [name for name in plain if name not in self.columns]:
            rows = self._rows()
            self.columns += new
            self._rewrite([*rows, plain])
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(self._row(plain))


class TensorBoard(Log):
    """Writes records as TensorBoard's scalars, by tensorboardX (pip install tensorboardX).

    folder: of the events   histograms: of the weights, too, after each epoch, which moves them to the host
    """

    def __init__(self, folder: str | Path, every_n_steps: int | None = None, histograms: bool = False) -> None:
        super().__init__(every_n_steps)
        self.folder, self.histograms = Path(folder), histograms
        self._writer: Any = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Open the file; after a resume, what is later than its checkpoint is hidden."""
        try:
            library: Any = importlib.import_module("tensorboardX")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "TensorBoard writes by tensorboardX, which is not installed: pip install tensorboardX"
            ) from error
        options = {"purge_step": trainer.step + 1} if trainer.resuming else {}
        self._writer = library.SummaryWriter(str(self.folder), **options)

    def write(self, record: Record) -> None:
        """Every number under its name, at the record's step."""
        for name, value in record.items():
            if isinstance(value, int | float) and name not in ("epoch", "step"):
                group = "validation/" if name.startswith("val_") else "training/"
                self._writer.add_scalar(group + name.removeprefix("val_"), value, record["step"])
        for k, message in enumerate(record.get("messages", [])):
            self._writer.add_text(f"messages/{k}", message, record["step"])

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Write the record, and the weights."""
        super().on_epoch_end(trainer, record)
        if self.histograms:
            from nnx.backend import to_numpy

            for path, x in trainer.model.named_parameters():
                self._writer.add_histogram(path, to_numpy(x), record["step"])

    def on_train_end(self, trainer: "Trainer") -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _record(line: bytes) -> Record | None:
    """A line's record; None for one that was cut short."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_later(record: Record | None, trainer: "Trainer") -> bool:
    """Whether a record was written after the state that the training goes on from."""
    try:
        return (
            record is None
            or int(record.get("step") or 0) > trainer.step
            or ("seconds" in record and bool(record["seconds"]) and int(record["epoch"]) > trainer.epoch)
        )
    except (KeyError, TypeError, ValueError):
        return False
