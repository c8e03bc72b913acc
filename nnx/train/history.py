"""What a training run measured: one record an epoch."""

from collections.abc import Iterator
from typing import Any


class History:
    """Records in the order of the epochs; `history["val_loss"]` is that column.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history.best("loss")
    ([0.5, 0.25], {'epoch': 2, 'loss': 0.25})
    """

    def __init__(self, records: list[dict[str, Any]] | None = None) -> None:
        self.records = list(records or [])

    def append(self, record: dict[str, Any]) -> None:
        """Add an epoch's record."""
        self.records.append(dict(record))

    def __getitem__(self, name: str) -> list[Any]:
        if not any(name in record for record in self.records):
            known = sorted({key for record in self.records for key in record})
            raise KeyError(f"nothing named '{name}' was recorded: there is {', '.join(known) or 'no epoch yet'}")
        return [record[name] for record in self.records if name in record]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.records)

    def best(self, name: str, mode: str = "min") -> dict[str, Any]:
        """The record in which `name` is smallest (or largest, with mode="max"); the first of equal ones."""
        self[name]
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got '{mode}'")
        choose = min if mode == "min" else max
        return choose((record for record in self.records if name in record), key=lambda record: record[name])
