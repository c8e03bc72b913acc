"""A run that was trained, opened for use: its folder alone says what the model is and what is done to data."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli.config import settings_of
from nnx.cli.models import build, completed
from nnx.cli.preparation import Preparation
from nnx.cli.runs import RunFolder
from nnx.cli.settings import MODEL, SETTINGS
from nnx.cli.sources import table_suffix

__all__ = ["SavedRun", "add_backend", "opened"]

BATCH = 256


class SavedRun:
    """The model of a run on the active backend, and its preparation.

    Raises ValueError for what is no folder of a run, or a damaged one.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder.trained(Path(path))
        flat, files = settings_of(self.folder, whole=False)
        self.config = self.folder.read_config()
        try:
            self.preparation = Preparation.from_json(self.config["preparation"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{self.folder.config}: expected what is done to data, got something else ({error}): train again"
            ) from error
        given = {name.removeprefix(MODEL): v for name, v in flat.items() if name.startswith(MODEL)}
        where = {name: str(self.folder.config) for name in given}
        model = completed(given.pop("type"), given, where)
        self.settings = argparse.Namespace(**{name: flat[name] for name in SETTINGS}, model=model, files=files)
        self.model = build(self.preparation.model_shape, self.preparation.outputs, model)
        self.metadata: Mapping[str, Any] = nnx.io.load(self.folder.weights, self.model)
        self.model.eval()
        self.task = self.preparation.measured()

    @property
    def channels(self) -> int | None:
        """Of the images that it takes; None if it takes rows."""
        return self.preparation.shape[0] if len(self.preparation.shape) == 3 else None

    def asking(self, file: str, **changes: Any) -> argparse.Namespace:
        """The run's settings for reading another file: its columns by name, images in its size."""
        table = table_suffix(Path(file)) is not None
        kept = self.preparation.columns if table else None
        target = self.settings.target if table else None
        size = list(self.preparation.shape[1:]) if self.channels and not table else None
        asked: dict[str, Any] = {
            "data": file,
            "labels": None,
            "target": target,
            "columns": kept,
            "image_size": size,
            "files": {},
        }
        asked["delimiter"] = self.settings.delimiter if table else ","
        return argparse.Namespace(**vars(self.settings) | asked | changes)

    def outputs(self, x: Any) -> Any:
        """The model's outputs for prepared samples, on the host: (n, outputs)."""
        parts = [self.model(nnx.asarray(x[k : k + BATCH])) for k in range(0, len(x), BATCH)]
        return np.concatenate([nnx.to_numpy(part) for part in parts])

    def predictions(self, x: Any) -> Any:
        """Of prepared samples: probabilities (n, classes), or values in the target's units (n,), float64."""
        found = self.outputs(x).astype(np.float64)
        if self.preparation.classes is None:
            return self.preparation.values(found)
        shifted = np.exp(found - found.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def scores(self, x: Any, y: Any) -> dict[str, float]:
        """Loss and scores over prepared samples and their targets, as the training itself measures them."""
        trainer = nnx.train.Trainer(self.model, nnx.optim.SGD(), self.task.loss, self.task.scores)
        found: dict[str, float] = trainer.evaluate(x, y)
        return found


def add_backend(command: argparse.ArgumentParser) -> None:
    """The options that choose where a model computes."""
    command.add_argument("--backend", help="in place of NNX_BACKEND")
    command.add_argument("--device", help="in place of NNX_DEVICE")


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[SavedRun]:
    """The run in args.folder, on the backend of args; what overflows in it warns nobody."""
    backend = nnx.get_backend(args.backend, args.device)
    with nnx.use_backend(backend.name, backend.device), np.errstate(over="ignore", invalid="ignore"):
        yield SavedRun(args.folder)
