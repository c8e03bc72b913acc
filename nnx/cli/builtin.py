"""The data sets that have a name on the command line, a row each: the function of nnx.data that gives it, and names."""

from dataclasses import dataclass
from typing import Any

from nnx.cli.arrays import Source

__all__ = ["BUILT_IN", "load"]


@dataclass(frozen=True)
class BuiltIn:
    """function: of nnx.data, gives (x, y), or (x, y) to train on and (x, y) to test on   target: the label's name

    classes: the labels' names from 0, or None for values   columns: the features' names, or None for images
    """

    function: str
    target: str
    classes: tuple[str, ...] | None
    columns: tuple[str, ...] | None = None


DIGITS = tuple("0123456789")
ARTICLES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FLOWERS = ("setosa", "versicolor", "virginica")
LEAVES = ("sepal length", "sepal width", "petal length", "petal width")
SHELLS = ("female", "infant", "male", "length", "diameter", "height", "whole", "shucked", "viscera", "shell")
PATIENTS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")

BUILT_IN: dict[str, BuiltIn] = {
    "digits": BuiltIn("digits", "digit", DIGITS),
    "mnist": BuiltIn("mnist", "digit", DIGITS),
    "fashion-mnist": BuiltIn("fashion_mnist", "article", ARTICLES),
    "kmnist": BuiltIn("kmnist", "character", HIRAGANA),
    "cifar10": BuiltIn("cifar10", "thing", THINGS),
    "iris": BuiltIn("iris", "species", FLOWERS, LEAVES),
    "abalone": BuiltIn("abalone", "rings", None, SHELLS),
    "diabetes": BuiltIn("diabetes", "progression", None, PATIENTS),
}


def load(name: str) -> Source:
    """The set of that name; images as (n, c, h, w). Raises what its function raises where its files are missing."""
    from nnx import data

    row = BUILT_IN[name]
    found: Any = getattr(data, row.function)(**({"flatten": False} if row.columns is None else {}))
    (x, y), test = found if isinstance(found[0], tuple) else (found, None)
    return Source(name, x, y, row.columns, row.classes, row.target, test)
