"""What there is to report of a run: its records, its model, and what the model says of the test part.

A part that cannot be had (the data has moved, no epoch was finished) is None, and `missing` says why and what helps.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nnx
from nnx.cli.evaluate import test_part
from nnx.cli.runs import RunFolder
from nnx.cli.saved import SavedRun

__all__ = ["Findings", "find", "metrics_of"]

NO_METRICS = ("epoch", "step", "lr", "seconds")


@dataclass
class Findings:
    """records: one an epoch   test: prepared samples and targets   said: probabilities (n, c), or values (n,)

    missing: by "records", "model", "test": why it is not there
    """

    folder: RunFolder
    config: dict[str, Any]
    records: list[dict[str, Any]]
    saved: SavedRun | None = None
    summary: Any = None
    test: tuple[Any, Any] | None = None
    said: Any = None
    scores: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> int | None:
        """The epoch of the weights."""
        epoch = None if self.saved is None else self.saved.metadata.get("epoch")
        return None if epoch is None else int(epoch)


def find(path: Path) -> Findings:
    """Read a run's folder. Raises ValueError for what is none, and for damaged files."""
    from nnx.plot import calibration_of, records_of

    folder = RunFolder(path)
    if not folder.config.is_file():
        raise ValueError(
            f"{path}: expected the folder of a run, with config.json, which is not there: `nnx train` makes one"
        )
    found = Findings(folder, folder.read_config(), records_of(_lines(folder)))
    if not found.records:
        found.missing["records"] = f"{folder.metrics.name} has no epoch yet: it is written at the end of each"
    if not folder.weights.is_file():
        found.missing["model"] = f"{folder.weights.name} is not there: it is written at the end of the first epoch"
        found.missing["test"] = f"there is no model to test: {found.missing['model']}"
        return found
    found.saved = SavedRun(path)
    found.summary = nnx.summary(found.saved.model, (1, *found.saved.preparation.model_shape))
    try:
        found.test = test_part(found.saved)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        found.missing["test"] = f"the test part cannot be read. {error}"
        return found
    found.said = found.saved.predictions(found.test[0])
    found.scores = found.saved.scores(*found.test)
    if found.saved.preparation.classes is not None:
        found.scores["expected_calibration_error"] = calibration_of(found.said, found.test[1]).error
    return found


def _lines(folder: RunFolder) -> list[dict[str, Any]]:
    from nnx.io import read_lines

    return read_lines(folder.metrics) if folder.metrics.is_file() else []


def metrics_of(records: list[dict[str, Any]]) -> list[str]:
    """The names of what was measured of training or validation, without val_; those of single layers are others'."""
    names = [name.removeprefix("val_") for record in records for name, x in record.items() if _is_number(x)]
    return [name for name in dict.fromkeys(names) if name not in NO_METRICS and "/" not in name]


def _is_number(x: Any) -> bool:
    return x is None or (isinstance(x, int | float) and not isinstance(x, bool))
