"""What a model is made of and what a forward pass of it costs: as text, and as data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nnx.backend import is_array
from nnx.layers.calls import Call, calls_of, nbytes, zeros
from nnx.layers.costs import is_known, multiplies_itself, multiply_adds
from nnx.layers.module import Module
from nnx.typing import DType

__all__ = ["Row", "Summary", "summary"]


@dataclass(frozen=True)
class Row:
    """One call of a layer, or a layer that was not called.

    path: dotted; "" for the model itself   depth: how many calls it is inside of
    output_shape: in the form of what was returned; None for a layer that was not called
    parameters: its own (those of layers with rows of their own are theirs), trainable and frozen; a shared one is the
    first's   multiply_adds: with all that it calls; None if nobody knows   complete: whether some of them are not known
    again: its row is above already, parameters and all
    """

    path: str
    type: str
    depth: int
    input_shapes: list[tuple[int, ...]]
    output_shape: Any
    parameters: int
    trainable: int
    parameter_bytes: int
    multiply_adds: int | None
    complete: bool
    output_bytes: int
    again: bool = False
    called: bool = True

    @property
    def frozen(self) -> int:
        """How many of its parameters are not trained."""
        return self.parameters - self.trainable


@dataclass(frozen=True)
class Summary:
    """The rows, and totals over them. `str` makes a table of it, `to_dict` plain data.

    multiply_adds: of all that is known; complete says whether that is all
    activation_bytes: of the outputs of all layers that call no others, once for each call
    """

    rows: list[Row]
    input_shapes: list[tuple[int, ...]]
    input_bytes: int
    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int
    multiply_adds: int
    complete: bool
    activation_bytes: int

    @property
    def frozen(self) -> int:
        """How many parameters are not trained."""
        return self.parameters - self.trainable

    def to_dict(self) -> dict[str, Any]:
        """All of it as dicts, lists and numbers."""
        return {**asdict(self), "frozen": self.frozen, "rows": [{**asdict(r), "frozen": r.frozen} for r in self.rows]}

    def __str__(self) -> str:
        return _text(self)


def summary(
    model: Module,
    input_shape: Any,
    dtypes: str | DType | Sequence[str | DType | None] | None = None,
    batch_dim: int | None = None,
    training: bool = False,
) -> Summary:
    """Layer by layer: path, type, output shape, parameters, multiply-adds, memory. Found by one forward pass on zeros.

    input_shape: (n, ...), or a list of such, one for each argument of the model; arrays are given to it as they are
    dtypes: of the inputs, the parameters' by default ("int64" for what an Embedding looks up)
    batch_dim: an axis of length 1 that is put into each shape there   training: the mode in which the pass runs
    The model is left as it was: mode, buffers, random numbers.
    Multiply-adds are those of matrix products and convolutions; a layer of your own says its number by a method
    multiply_adds(inputs, output) of the shapes, else it shows "?", and sums of which it is a part "≥".

    >>> import nnx
    >>> print(summary(nnx.Sequential(nnx.Linear(4, 3), nnx.ReLU()), (2, 4)))  # doctest: +ELLIPSIS
    layer    type        output shape  parameters  multiply-adds
    (model)  Sequential  (2, 3)                 -             24
    0        Linear      (2, 3)                15             24
    1        ReLU        (2, 3)                 -              0
    ...
    """
    shapes = [_with_batch(shape, batch_dim) for shape in _listed(input_shape)]
    kinds = list(dtypes) if isinstance(dtypes, list | tuple) else [dtypes] * len(shapes)
    if len(kinds) != len(shapes):
        raise ValueError(f"summary: {len(kinds)} dtypes for {len(shapes)} inputs: one for each")
    inputs = zeros(model, shapes, kinds)
    root = calls_of(model, inputs, training)
    rows = _rows(model, root)
    known, complete = _cost(root)
    return Summary(
        rows=rows,
        input_shapes=[tuple(x.shape) for x in inputs],
        input_bytes=sum(map(nbytes, inputs)),
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        parameter_bytes=sum(row.parameter_bytes for row in rows),
        buffer_bytes=sum(map(nbytes, model.buffers())),
        multiply_adds=known or 0,
        complete=complete,
        activation_bytes=sum(call.bytes for call in root.flat() if not call.inside),
    )


def _listed(input_shape: Any) -> list[Any]:
    """The shapes of several inputs, or that of one."""
    if is_array(input_shape):
        return [input_shape]
    given = list(input_shape)
    return [tuple(given)] if all(isinstance(n, int) for n in given) else given


def _with_batch(shape: Any, batch_dim: int | None) -> Any:
    if is_array(shape) or batch_dim is None:
        return shape
    found = list(shape)
    found.insert(batch_dim if batch_dim >= 0 else len(found) + 1 + batch_dim, 1)
    return tuple(found)


# ---- rows ------------------------------------------------------------------------------------------------------------


def _rows(model: Module, root: Call) -> list[Row]:
    paths = {id(module): path for path, module in reversed(list(model.named_modules()))}
    called = {id(call.module) for call in root.flat()}
    owned = _owned(model, called)
    rows, seen = [], set()
    for call in root.flat():
        known, complete = _cost(call)
        again = id(call.module) in seen
        seen.add(id(call.module))
        counts = (0, 0, 0) if again else owned.get(id(call.module), (0, 0, 0))
        rows.append(
            Row(
                paths[id(call.module)], type(call.module).__name__, call.depth, call.inputs, call.output, *counts,
                known, complete, call.bytes, again,
            )
        )  # fmt: skip
    idle = [module for module in model.modules() if id(module) not in called and id(module) in owned]
    return rows + [
        Row(paths[id(m)], type(m).__name__, 0, [], None, *owned[id(m)], None, True, 0, called=False) for m in idle
    ]


def _owned(model: Module, called: set[int]) -> dict[int, tuple[int, int, int]]:
    """By the id of a module: how many parameters are its own, how many of them are trained, and their bytes.

    What only holds parameters, or is part of a layer with a formula of its own, gives them to the one above.
    """
    trained = {id(x) for x in model.trainable().values()}
    found: dict[int, tuple[int, int, int]] = {}
    seen: set[int] = set()

    def visit(module: Module, owner: Module) -> None:
        for slot in module._layout().slots:
            x = slot.owner[slot.name]
            if slot.owner is module.__dict__ and slot.kind == "parameter" and id(x) not in seen:
                seen.add(id(x))
                n = _size(x)
                a, b, c = found.get(id(owner), (0, 0, 0))
                found[id(owner)] = a + n, b + n * (id(x) in trained), c + nbytes(x)
        for name, child in module._children():
            part = id(child) not in called and (is_known(owner) or name == "parametrizations" or _only_holds(child))
            visit(child, owner if part else child)

    visit(model, model)
    return found


def _only_holds(module: Module) -> bool:
    return type(module).__name__ in ("ParameterList", "ParameterDict")


def _size(x: Any) -> int:
    n = 1
    for k in x.shape:
        n *= k
    return n


def _cost(call: Call) -> tuple[int | None, bool]:
    """The multiply-adds of a call and of all that it calls, and whether they are all of them."""
    if is_known(call.module):
        return multiply_adds(call.module, call.inputs, call.output), True
    if not call.inside:
        return None, False
    inside = [_cost(other) for other in call.inside]
    own = any(slot.owner is call.module.__dict__ and slot.kind == "parameter" for slot in call.module._layout().slots)
    complete = all(done for _, done in inside) and not own and not multiplies_itself(call.module)
    return sum(n or 0 for n, _ in inside), complete


# ---- text ------------------------------------------------------------------------------------------------------------


TITLES = ("layer", "type", "output shape", "parameters", "multiply-adds")


def _text(found: Summary) -> str:
    table = [TITLES, *(cells(row) for row in found.rows)]
    widths = [max(len(line[k]) for line in table) for k in range(len(TITLES))]
    lines = [
        "  ".join(
            cell.rjust(w) if k > 2 else cell.ljust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    lines = [line.rstrip() for line in lines]
    least = "" if found.complete else "≥ "
    shapes = ", ".join(map(str, found.input_shapes))
    return "\n".join(
        [
            *lines,
            "",
            f"parameters     {found.parameters:,} (trainable {found.trainable:,}, frozen {found.frozen:,})",
            f"multiply-adds  {least}{found.multiply_adds:,}",
            f"memory         parameters {_bytes(found.parameter_bytes)}, buffers {_bytes(found.buffer_bytes)}, "
            f"activations {_bytes(found.activation_bytes)}, input {_bytes(found.input_bytes)}",
            f"input          {shapes}",
        ]
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row as the table has it, below the TITLES."""
    if not row.called:
        return row.path or "(model)", row.type, "(not called)", _parameters(row), "-"
    least = "" if row.complete else "≥ "
    cost = "?" if row.multiply_adds is None else f"{least}{row.multiply_adds:,}"
    return row.path or "(model)", row.type, str(row.output_shape), _parameters(row), cost


def _parameters(row: Row) -> str:
    if row.again:
        return "(again)"
    if not row.parameters:
        return "-"
    frozen = "" if not row.frozen else " (frozen)" if row.frozen == row.parameters else f" ({row.frozen:,} frozen)"
    return f"{row.parameters:,}{frozen}"


def _bytes(n: int) -> str:
    """Bytes in units of 1000, to three figures."""
    size, units = float(n), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000.0
        units.pop(0)
    return f"{size:.3g} {units[0]}"
