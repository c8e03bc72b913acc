"""Names that load the module they are in when they are asked for: `import nnx` stays as cheap as NumPy.

A package says in which of its modules its names are, those that are needed first at the front. A name that is not there
yet is looked for in one module after the other, each of which says in `__all__` what it gives.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any


def lazy(
    package: str, modules: Sequence[str], names: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The package's `__getattr__` (which knows `__all__`, too) and `__dir__`. names: of what is there already.

    No module may bear the name of what it gives: whichever of the two is loaded last would hide the other.
    """

    def find(name: str) -> Any:
        if name == "__all__":
            return every()
        if not name.startswith("_"):
            for module in modules:
                if name in load(module).__all__:
                    return vars(sys.modules[package])[name]
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    def load(module: str) -> Any:
        loaded = importlib.import_module(f"{package}.{module}")
        vars(sys.modules[package]).update({name: getattr(loaded, name) for name in loaded.__all__})
        return loaded

    def every() -> list[str]:
        return sorted([*names, *(name for module in modules for name in load(module).__all__)])

    return find, lambda: sorted({*vars(sys.modules[package]), *every()})
