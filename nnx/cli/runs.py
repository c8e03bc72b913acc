"""A run's folder: what was asked for, what was measured, the best weights, and the state to go on from.

config.json              what was asked for, on what it ran, and what is done to data before the model sees it
metrics.jsonl            one line an epoch
model.safetensors        the weights of the best epoch, by validation loss
checkpoint.safetensors   the whole state after the last epoch
"""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.metrics = path / "config.json", path / "metrics.jsonl"
        self.weights, self.checkpoint = path / "model.safetensors", path / "checkpoint.safetensors"

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def planned(cls, out: Path, name: str | None, data: str) -> "RunFolder":
        """A folder that is not there yet, and is not made yet. Raises ValueError if a named one is."""
        if name is not None:
            if (out / name).exists():
                raise ValueError(
                    f"the run folder {out / name} exists already: take another --name, remove it, or go on: --resume"
                )
            return cls(out / name)
        stem = f"{Path(data).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
        taken = 1
        while (path := out / (stem if taken == 1 else f"{stem}-{taken}")).exists():
            taken += 1
        return cls(path)

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """A folder that a run can go on from. Raises ValueError for any other."""
        return cls._holding(path, "checkpoint.safetensors", f"--resume {path}")

    @classmethod
    def trained(cls, path: Path) -> "RunFolder":
        """A folder whose model can be used. Raises ValueError for any other."""
        return cls._holding(path, "model.safetensors", str(path))

    @classmethod
    def _holding(cls, path: Path, name: str, where: str) -> "RunFolder":
        folder = cls(path)
        if not folder.config.is_file() or not (path / name).is_file():
            raise ValueError(
                f"{where}: expected the folder of a run, with config.json and {name}, which is not there: `nnx train` "
                "makes one"
            )
        return folder

    def read_config(self) -> dict[str, Any]:
        """What the run was asked for. Raises ValueError for a damaged file."""
        try:
            found = json.loads(self.config.read_text())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.config}: expected JSON, got something else ({error}): begin a new run") from error
        if not isinstance(found, dict):
            raise ValueError(f"{self.config}: expected a JSON object, got {type(found).__name__}: begin a new run")
        return found

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Make the folder, if it is not there, and write config.json."""
        from nnx.io import write_atomically

        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.config, (json.dumps(config, indent=2) + "\n").encode())

    def cut_metrics(self, epoch: int) -> None:
        """Drop the lines of later epochs, which a run had written before its checkpoint of them."""
        from nnx.io import write_atomically

        if self.metrics.is_file():
            lines = self.metrics.read_bytes().splitlines(keepends=True)
            write_atomically(self.metrics, b"".join(lines[:epoch]))

    def epoch_of(self, file: Path) -> int | None:
        """The epoch that the arrays of a file are of; None if it was not written."""
        from nnx.io import load_safetensors

        return int(load_safetensors(file)[1]["epoch"]) if file.is_file() else None

    def discard(self) -> None:
        """Remove the folder, of which nothing is worth keeping."""
        shutil.rmtree(self.path, ignore_errors=True)
