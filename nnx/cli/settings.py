"""The settings of a run, a row each: read by one rule from an option, a line of config.toml, --set or config.json."""

import argparse
import difflib
from collections.abc import Iterable
from typing import Any

from nnx.cli.builtin import BUILT_IN
from nnx.cli.models import ARGUMENTS, FAMILIES
from nnx.cli.options import boolean, delimiter, non_negative, positive, positive_int, seed, word
from nnx.cli.rows import Setting
from nnx.cli.task import OPTIMIZERS, TASKS

__all__ = ["FIXED", "FREE", "MODEL", "SETTINGS", "Setting", "add_option", "closest", "named", "value"]

MODEL = "model."
"""What the names of a model's own settings begin with: model.type, model.hidden, ..."""

DATA = (
    f"{', '.join(BUILT_IN)}; a .csv, .parquet or .npz file (x, y); an IDX file of images; a folder of images (digits)"
)

FIXED: dict[str, Setting] = {
    "data": Setting(word, "digits", DATA),
    "labels": Setting(word, None, "the IDX file of the labels (the images' name with labels-idx1)", metavar="FILE"),
    "target": Setting(word, None, "the label column of a table, by name or number (the last one)"),
    "columns": Setting(word, None, "the columns to learn from (all but the target)", many=True, metavar="NAME"),
    "delimiter": Setting(delimiter, ",", "between the cells of a .csv file, or tab (,)"),
    "task": Setting(str, "auto", "auto: whole numbers and words are classes, other numbers values", choices=TASKS),
    "standardize": Setting(boolean, None, "columns to mean 0 and deviation 1 (tables: yes, images: no)"),
    "image_size": Setting(positive_int, None, "height and width to resize images to", many=True, metavar="N"),
    "batch_size": Setting(positive_int, 64, "samples a step (64)", metavar="N"),
    "optimizer": Setting(str, "adam", "(adam)", choices=tuple(OPTIMIZERS)),
    "lr": Setting(positive, None, "learning rate (adam, adamw 0.0015, sgd 0.1)"),
    "weight_decay": Setting(non_negative, 0.0, "L2 regularisation (0)", metavar="L"),
    "seed": Setting(seed, 0, "of the split, the weights, the order and dropout (0)", metavar="N"),
}
"""What makes a run what it is: a resumed run keeps it, and its model."""

FREE: dict[str, Setting] = {
    "epochs": Setting(positive_int, 40, "how often every sample is seen (40)", metavar="N"),
    "gradient_stats": Setting(boolean, False, "record each layer's gradients, say which vanish or explode (no)"),
    "backend": Setting(word, None, "in place of NNX_BACKEND"),
    "device": Setting(word, None, "in place of NNX_DEVICE"),
}
"""What a resumed run may change."""

SETTINGS = FIXED | FREE


def add_option(parser: argparse.ArgumentParser, name: str, setting: Setting) -> None:
    """The option of a setting; one that is not given is not in the result."""
    how: dict[str, Any] = {"help": setting.help, "default": argparse.SUPPRESS, "dest": name}
    if setting.read is boolean:
        how["action"] = argparse.BooleanOptionalAction
    else:
        how["type"] = setting.read
        how |= {"choices": setting.choices} if setting.choices else {"metavar": setting.metavar}
        how |= {"nargs": "*"} if setting.many else {}
    parser.add_argument(f"--{name.replace('_', '-')}", **how)


def named(name: str, where: str) -> tuple[str, Setting]:
    """A setting by its name, the model's also without "model.". Raises ValueError, with the closest names."""
    plain = name.strip().replace("-", "_")
    if plain in ("model", "model.type", "type"):
        return "model.type", Setting(str, None, "", choices=tuple(FAMILIES))
    if plain in SETTINGS:
        return plain, SETTINGS[plain]
    argument = plain.removeprefix(MODEL)
    if argument in ARGUMENTS:
        return MODEL + argument, ARGUMENTS[argument]
    known = [*SETTINGS, "model.type", *(MODEL + argument for argument in ARGUMENTS)]
    raise ValueError(f"{where}: there is no setting '{name}': {closest(plain, known)}")


def closest(name: str, known: Iterable[str]) -> str:
    """The names that come closest, in words; all of them if none does."""
    whole = {name.rpartition(".")[2]: name for name in known}
    names = list(dict.fromkeys(difflib.get_close_matches(name.rpartition(".")[2].lower(), list(whole), 3, 0.65)))
    return f"did you mean {' or '.join(whole[n] for n in names)}?" if names else f"there is {', '.join(whole.values())}"


def value(name: str, setting: Setting, raw: Any, where: str) -> Any:
    """A setting's value from what a file or --set holds. Raises ValueError."""
    if raw is None and setting.default is None:
        return None
    if setting.many:
        items = raw if isinstance(raw, list) else str(raw).strip("[] ").replace(",", " ").split()
        return [_single(name, setting, item, where) for item in items]
    return _single(name, setting, raw, where)


def _single(name: str, setting: Setting, raw: Any, where: str) -> Any:
    if not isinstance(raw, str | int | float):
        raise ValueError(f"{where}: {name}: expected one value, got {raw!r}")
    try:
        found = setting.read(str(raw))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise ValueError(f"{where}: {name}: {error}") from None
    if setting.choices and found not in setting.choices:
        raise ValueError(f"{where}: {name}: expected one of {', '.join(setting.choices)}, got '{found}'")
    return found
