"""`python -m tests.conformance.page` writes docs/array-api.md: what can be differentiated, as the tables have it.

Nothing on the page is claimed by hand: the functions are array-api-strict's, their rules nnx's, their remarks the
rules' own docstrings, their tests the cases that called them, the gradients at kinks computed as the page is written.
"""

import importlib
import importlib.util
import re
import zlib
from collections import Counter
from pathlib import Path

import array_api_strict as strict
import numpy as np

import nnx
from nnx.autodiff import operators
from nnx.autodiff.constants import ABOUT_TYPES, CONSTANT, INSTEAD
from nnx.autodiff.namespace import DifferentiableNamespace
from nnx.autodiff.rules import RULES, common
from nnx.autodiff.tree import leaves
from tests.autodiff.cases import CASES
from tests.conformance.libraries import NEWEST, functions, named

PAGE = Path(__file__).parents[2] / "docs" / "array-api.md"
TESTED = "N S T J C"
BY_DRAWN_CALLS = "N S"


class Recorder:
    """A namespace that notes which of its functions were asked for."""

    def __init__(self, xp, seen, prefix=""):
        self._xp, self._seen, self._prefix = xp, seen, prefix

    def __getattr__(self, name):
        found = getattr(self._xp, name)
        if name in ("linalg", "fft") and not self._prefix:
            return Recorder(found, self._seen, f"{name}.")
        self._seen.add(self._prefix + name)
        return found


def cases_by_function():
    """How many cases of tests/autodiff/cases.py call each function."""
    counts = Counter()
    for name, (f, draws) in CASES.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        arrays = [nnx.Var(draw(rng)) for draw in draws]
        seen = set()
        f(Recorder(nnx.namespace(arrays[0]), seen), *arrays)
        counts.update(seen)
    return counts


def called_everywhere():
    """The functions without a gradient that tests/autodiff/test_namespace.py calls on every backend."""
    from tests.autodiff.test_namespace import CONSTANT as TABLE
    from tests.autodiff.test_namespace import CREATION, X

    seen, x = set(), nnx.Var(X)
    xp = Recorder(nnx.namespace(x), seen)
    for f in TABLE.values():
        f(xp, x)
    for f in CREATION.values():
        f(xp, x.device)
    return seen


def chapter(name):
    """The standard's own chapter."""
    if "." in name:
        return f"Extension {name.partition('.')[0]}"
    module = named(strict, name).__module__.rpartition(".")[2].strip("_")
    return module.replace("_", " ").capitalize() if module != "info" else "Inspection"


def rule_of(name):
    """The rule, or the namespace's own function, of that name; None if there is neither."""
    bare = name.partition("linalg.")[2]
    own = getattr(DifferentiableNamespace, name, None)
    return own or RULES.get(name) or (RULES.get(bare) if bare else None)


def kind(name):
    """Whether gradients flow through a function."""
    if rule_of(name) is not None:
        return "yes"
    if name in CONSTANT:
        return "constant"
    if name in INSTEAD:
        return "refused"
    assert name in ABOUT_TYPES or name in ("finfo", "iinfo"), f"{name} is in no table of nnx"
    return "no array"


def remark(name):
    """What a rule's docstring says behind its first semicolon, or what to do in place of a function without a rule."""
    if kind(name) == "refused":
        return f"of a watched array: {_code(INSTEAD[name])}"
    text = " ".join((getattr(rule_of(name), "__doc__", None) or "").split())
    return text.partition("; ")[2] or ("; ".join(re.findall(r"The gradient [^.]*\.", text)))


def _code(text):
    return text.replace("|", "\\|")


def table(heads, rows):
    """Lines of a table."""
    return [
        "| " + " | ".join(heads) + " |",
        "|" + " --- |" * len(heads),
        *("| " + " | ".join(r) + " |" for r in rows),
        "",
    ]


def function_tables():
    tested, everywhere, chapters = cases_by_function(), called_everywhere(), {}
    for name in functions(NEWEST):
        chapters.setdefault(chapter(name), []).append(name)
    for title in sorted(chapters):
        yield f"### {title}"
        yield ""
        rows = []
        for name in sorted(chapters[title]):
            of = kind(name)
            count = tested[name]
            orders = (
                f"1, 2 ({count} case{'s' * (count > 1)})" if of == "yes" and count else "0" if of != "no array" else ""
            )
            rows.append(
                (
                    f"`{name}`",
                    of,
                    orders,
                    TESTED if count or name in everywhere else BY_DRAWN_CALLS,
                    _code(remark(name)),
                )
            )
        yield from table(("function", "differentiable", "orders tested", "backends", "remarks"), rows)


def operator_table():
    symbols = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "mod": "%"}
    rows = [(f"`{symbols[n]}`", f"`{function}`") for n, function in operators.ARITHMETIC.items()]
    rows += [
        ("`@`", "`matmul`"),
        ("`abs(x)`, `-x`, `+x`", "`abs`, `negative`, `positive`"),
        ("`x.T`, `x.mT`", "`matrix_transpose`"),
    ]
    rest = " ".join(f"`{n}`" for n in operators.WITHOUT_GRADIENT)
    rows.append((f"{rest} `invert`", "none: the result is a constant"))
    return table(("operator", "differentiates as"), rows)


def kinks():
    from tests.autodiff.test_conventions import EDGES

    rows = []
    for name, (f, values) in EDGES.items():
        arrays = [np.asarray(v) for v in values]
        with np.errstate(all="ignore"):
            outputs, pullback = nnx.vjp(lambda *xs, f=f: leaves(f(nnx.namespace(xs[0]), *xs)), *arrays)
            slopes = pullback([np.ones(y.shape, y.dtype) for y in outputs])
        rows.append((name, "; ".join(map(numbers, arrays)), "; ".join(map(numbers, slopes))))
    return table(("edge", "x (; y ...)", "gradient of the sum of what comes out"), rows)


def numbers(x):
    """An array as text."""
    if np.ndim(x):
        return "[" + ", ".join(map(numbers, x)) + "]"
    x = x + 0.0  # no -0
    if np.iscomplexobj(x):
        return f"{x.real:.4g}{x.imag:+.4g}i"
    return f"{x:.4g}"


def complex_paragraph():
    """What nnx/autodiff/rules/common.py says of complex numbers."""
    return next(p for p in common.__doc__.split("\n\n") if p.startswith("Complex numbers"))


def foreign():
    if importlib.util.find_spec("tests.foreign") is None or importlib.util.find_spec("tests.foreign.table") is None:
        return ["No table of other people's functions was found.", ""]
    rows = importlib.import_module("tests.foreign.table").ROWS
    return table(
        ("function", "library", "differentiates", "why"),
        [(f"`{r.name}`", r.library, "yes" if r.differentiates else "no", _code(r.why)) for r in rows],
    )


OPENING = """\
# A differentiable Array API

<!-- written by `python -m tests.conformance.page`; a test compares -->

`nnx.namespace(x)` of an array that is being differentiated is the Python Array API standard, version {version}, over
the library of `x`. Whatever was written for the standard runs on it, and its gradient is taken:

```python
import numpy as np
import nnx

x = np.asarray([1.0, 2.0])
assert nnx.grad(lambda x: x.__array_namespace__().sum(x**2))(x).tolist() == [2.0, 4.0]
```

Each function is one of these:

| | |
| --- | --- |
| yes | there is a rule; the [cases](../tests/autodiff/cases.py) that call it are held to central differences (below) |
| constant | creation, comparisons, steps, searches: the result is a constant, nothing flows back |
| refused | constants pass; of a watched array it raises `NotImplementedError` and says what to use instead |
| no array | it answers with a dtype, a number or a shape |

Orders tested, in float64: 1 is the gradient, 2 the gradient of the gradient (higher ones are made of the same rules),
0 values alone. Backends: N NumPy, S array-api-strict, T PyTorch, J JAX, C CuPy (on a GPU; under the CUDA emulator
all but what needs cuSOLVER or cuFFT). Every backend's values, gradients and Hessian-vector products are held to
NumPy's. On NumPy and array-api-strict each function, operator, attribute and kind of index is moreover held to what the
library alone does with the same arguments: values bit for bit, dtypes, shapes, errors (`python -m tests.conformance`
counts).
"""


LIMITS = [
    """\
- A number that was read out: `float(x[0])`, `int(x)`, `math.sin(x[0])`. The standard has these conversions, so they
  work; what is computed from the number is a constant. Use the namespace's functions.
- A plain array that is changed in place between the forward and the backward pass: the pullback sees the change, and
  no library but PyTorch could tell. `x[i] = v` on a watched array is recorded, and changes nobody else's array.
- A gradient may be read-only, or share memory with another one (that of `xp.sum(x + y)` is one number stretched over
  both): compute `g * 0.5` rather than `g *= 0.5`.
- A NumPy scalar beside a watched array of another library is an array of NumPy's: `x * np.sqrt(2.0)` raises
  `MixedBackends` where `x * math.sqrt(2.0)` does not.
- `det` of a singular matrix has a gradient on paper (the adjugate); here it needs the inverse, and raises as
  `inv` does."""
]


def text():
    """The whole page."""
    parts = [OPENING.format(version=NEWEST), "## Functions", "", *function_tables()]
    parts += ["## Operators and attributes", "", *operator_table()]
    parts += [
        "Indices may be integers, slices, `...`, `None`, masks and integer arrays; where an integer array names a",
        "place several times, their gradients add up. `x[key] = v` gives this `Var` a new value; the array that it",
        "was is untouched; a value of another dtype is cast, or refused, as the library does by itself.",
        "",
        "## Conventions at kinks and edges",
        "",
        "PyTorch's: [tests/autodiff/test_conventions.py](../tests/autodiff/test_conventions.py) holds each row to it.",
        "",
        *kinks(),
        "## Complex numbers",
        "",
        complex_paragraph(),
        "",
        "## What a gradient does not follow",
        "",
        *LIMITS,
        "",
        "## Other people's functions",
        "",
        *foreign(),
    ]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
    print(f"wrote {PAGE}")
