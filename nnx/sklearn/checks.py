"""What must hold of the parameters before a fit, said as scikit-learn says it."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

Row = tuple[Callable[[Any], bool], str]


def _among(*names: Any) -> Row:
    return lambda x: isinstance(x, str) and x in names, f"a str among {set(names)}"


def _number(kind: Any, low: float, high: float = math.inf, ends: str = "[]") -> Row:
    def fits(x: Any) -> bool:
        if not isinstance(x, kind) or isinstance(x, bool | np.bool_):
            return False
        above = x >= low if ends[0] == "[" else x > low
        return bool(above and (x <= high if ends[1] == "]" else x < high))

    return fits, f"{'an int' if kind is Integral else 'a float'} in the range {ends[0]}{low}, {high}{ends[1]}"


def _either(*rows: Row) -> Row:
    return lambda x: any(fits(x) for fits, _ in rows), " or ".join(words for _, words in rows)


_BOOL: Row = (lambda x: isinstance(x, bool | np.bool_), "a bool")
_AT_LEAST_1 = _number(Integral, 1)

ROWS: dict[str, Row] = {
    "activation": _among("identity", "logistic", "tanh", "relu"),
    "solver": _among("lbfgs", "sgd", "adam"),
    "alpha": _number(Real, 0),
    "batch_size": _either(_among("auto"), _AT_LEAST_1),
    "learning_rate": _among("constant", "invscaling", "adaptive"),
    "learning_rate_init": _number(Real, 0, ends="(]"),
    "power_t": _number(Real, 0),
    "max_iter": _AT_LEAST_1,
    "shuffle": _BOOL,
    "tol": _number(Real, 0),
    "warm_start": _BOOL,
    "momentum": _number(Real, 0, 1),
    "nesterovs_momentum": _BOOL,
    "early_stopping": _BOOL,
    "validation_fraction": _number(Real, 0, 1, "[)"),
    "beta_1": _number(Real, 0, 1, "[)"),
    "beta_2": _number(Real, 0, 1, "[)"),
    "epsilon": _number(Real, 0, ends="(]"),
    "n_iter_no_change": _either(_AT_LEAST_1, (lambda x: x == math.inf, "inf")),
    "max_fun": _AT_LEAST_1,
    "compile": _either(_BOOL, (lambda x: x is None, "None")),
    "dropout": _number(Real, 0, 1, "[)"),
    "lr": _number(Real, 0),
    "max_epochs": _AT_LEAST_1,
}
"""What each parameter must be, and the words for it."""


NET_ROWS = ROWS | {
    "batch_size": _AT_LEAST_1,
    "train_split": _either(_number(Real, 0, 1, "[)"), (lambda x: x is None, "None")),
}
"""Those of estimators around a Module."""


def check_parameters(estimator: Any, rows: dict[str, Row] = ROWS) -> None:
    """Raises ValueError for a parameter out of range, naming it, what is expected and what was given."""
    for name, value in estimator.get_params(deep=False).items():
        if name in rows and not rows[name][0](value):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rows[name][1]}. Got {value!r} instead."
            )


def hidden(sizes: Any) -> list[int]:
    """hidden_layer_sizes as a list: (100,), 100, or () for none. Raises ValueError for sizes below 1."""
    found = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if not all(_AT_LEAST_1[0](n) for n in found):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {found}.")
    return [int(n) for n in found]
