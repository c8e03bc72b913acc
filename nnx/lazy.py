"""Names that load the module they are in when they are asked for: `import nnx` stays as cheap as NumPy.

A package says in which of its modules its names are, those that are needed first at the front. A name that is not there
yet is looked for in one module after the other, each of which says in `__all__` what it gives.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any


def lazy(package: str, modules: Iterable[str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The package's `__getattr__` and its `__all__`, which loads them all."""
    order = list(modules)

    def find(name: str) -> Any:
        if not name.startswith("_"):
            for module in order:
                loaded = importlib.import_module(f"{package}.{module}")
                if name in loaded.__all__:
                    return getattr(loaded, name)
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    def names() -> list[str]:
        return sorted(name for module in order for name in importlib.import_module(f"{package}.{module}").__all__)

    return find, names
