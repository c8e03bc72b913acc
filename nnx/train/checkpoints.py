"""Files that a training writes: its whole state to go on from, and the weights of its best epochs."""

import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.train.monitors import Monitor
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class Checkpoint(Callback):
    """Writes the whole state after every epoch, and every `every` updates: what `Trainer.resume` reads.

    path: of the safetensors file, replaced atomically   every: updates, ≥ 1; None for epochs alone
    """

    last = True

    def __init__(self, path: str | Path, every: int | None = None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"Checkpoint: every must be at least 1 update, or None, got {every}")
        self.path, self.every = Path(path), every

    def on_train_begin(self, trainer: "Trainer") -> None:
        """See that it can write; remove what a process has left that was killed while it wrote."""
        from nnx.io import check_place, remove_parts

        check_place(self.path)
        remove_parts(self.path)

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Save."""
        trainer.save(self.path)

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Save, every so many updates."""
        if self.every is not None and trainer.step % self.every == 0:
            trainer.save(self.path)


class ModelCheckpoint(Monitor):
    """Writes the weights of the best epochs by the monitored number; the arguments are Lightning's.

    path: of the safetensors file, replaced atomically; with save_top_k other than 1 or -1 as many are kept, and it is a
    pattern such as "best-{epoch}-{val_loss:.3f}.safetensors" (of no name in it, the epoch and step are added)
    monitor, mode: as EarlyStopping's; None keeps the latest ones   save_top_k: how many, -1 for all, 0 for none
    save_last: write the latest weights to last.safetensors beside it, too
    every_n_epochs, every_n_train_steps: how often it looks; by steps at the latest numbers that there are
    save_weights_only: False for the whole state, which `Trainer.resume` reads
    """

    def __init__(
        self,
        path: str | Path,
        monitor: str | None = "val_loss",
        mode: str | None = None,
        *,
        save_top_k: int = 1,
        save_last: bool = False,
        every_n_epochs: int | None = None,
        every_n_train_steps: int | None = None,
        save_weights_only: bool = True,
    ) -> None:
        super().__init__(monitor or "step", mode if monitor else "max")
        for name, n in (("every_n_epochs", every_n_epochs), ("every_n_train_steps", every_n_train_steps)):
            if n is not None and n < 1:
                raise ValueError(f"ModelCheckpoint: {name} must be at least 1, or None, got {n}")
        if every_n_epochs is not None and every_n_train_steps is not None:
            raise ValueError(
                f"ModelCheckpoint: got every_n_epochs={every_n_epochs} and every_n_train_steps={every_n_train_steps}: "
                "choose one, or take two callbacks"
            )
        if save_top_k < -1:
            raise ValueError(f"ModelCheckpoint: save_top_k must be -1 (all), 0 (none) or more, got {save_top_k}")
        self.path, self.top, self.save_last = Path(path), save_top_k, save_last
        self.epochs = every_n_epochs or (None if every_n_train_steps else 1)
        self.steps, self.weights_only = every_n_train_steps, save_weights_only
        self.saved: dict[str, Any] | None = None
        """The record of the best weights that were written."""
        self.kept: list[tuple[float, str]] = []
        """(value, file) of those that are kept, the best first."""

    def on_train_begin(self, trainer: "Trainer") -> None:
        """See that it can write; remove what a process has left that was killed while it wrote."""
        from nnx.io import check_place, remove_parts

        super().on_train_begin(trainer)
        check_place(self.path)
        for name in (re.sub(r"{[^}]*}", "*", self._pattern()), self.last_path.name):
            remove_parts(self.path.with_name(name))

    @property
    def best_path(self) -> Path | None:
        """The file of the best weights."""
        return Path(self.kept[0][1]) if self.kept else None

    @property
    def last_path(self) -> Path:
        """The file of the latest weights, if save_last."""
        return self.path.with_name("last.safetensors")

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Look at the epoch's number."""
        if self.epochs is not None and record["epoch"] % self.epochs == 0:
            self.look(trainer, record)

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Look at the latest number, every so many updates."""
        if self.steps is not None and trainer.step % self.steps == 0:
            if self.monitor not in trainer.latest and self.monitor != "step":
                return  # nothing was validated yet
            self.look(trainer, {**trainer.latest, "epoch": trainer.epoch + 1, "step": trainer.step})

    def look(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Save, if these are among the best; and the latest."""
        best = self.improved(record)
        value = self.sign * record[self.monitor]
        worst = self.kept[-1][0] if self.kept else float("inf")
        if value == value and (self.top == -1 or (self.top and (len(self.kept) < self.top or value < worst))):
            path = self.file_of(record)
            self._write(trainer, path, record)
            self.kept = sorted([*((v, p) for v, p in self.kept if p != str(path)), (value, str(path))])
            self.saved = dict(record) if best else self.saved
            for _, old in self.kept[self.top :] if self.top > 0 else []:
                Path(old).unlink(missing_ok=True)
            self.kept = self.kept[: self.top] if self.top > 0 else self.kept
        if self.save_last:
            self._write(trainer, self.last_path, record)

    def file_of(self, record: dict[str, Any]) -> Path:
        """Where a record's weights go."""
        fields = [name for _, name, _, _ in string.Formatter().parse(self.path.name) if name]
        if unknown := [name for name in fields if name not in record]:
            raise ValueError(
                f"ModelCheckpoint: '{self.path.name}' names {', '.join(unknown)}, and there is {', '.join(record)}"
            )
        return self.path.with_name(self._pattern().format(**record))

    def _pattern(self) -> str:
        """The file's name, with the fields that tell several apart."""
        if self.top == 1 or "{" in self.path.name:
            return self.path.name
        return f"{self.path.stem}-epoch={{epoch}}-step={{step}}{self.path.suffix}"

    def _write(self, trainer: "Trainer", path: Path, record: dict[str, Any]) -> None:
        from nnx.io import save

        if not self.weights_only:
            trainer.save(path)
            return
        with trainer.shown() as model:
            save(path, model, {"epoch": record["epoch"], self.monitor: record[self.monitor]})

    def state_dict(self) -> dict[str, Any]:
        """The best value and its record, and which files there are."""
        return {"best": self.best, "saved": self.saved, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Callback.load_state_dict."""
        self.best, self.saved = state["best"], state["saved"]
        self.kept = [(float(value), str(path)) for value, path in state.get("kept", [])]
