"""What a mutant is: one change of the syntax tree of a file of rules.

An operator exchanged, a factor or a summand dropped, a sign flipped, an unbroadcast, a conjugate or a keyword
forgotten, a comparison turned, a constant moved. Only expressions are changed, never annotations, docstrings and the
messages of errors. A mutant is known by its function (or its row of a table) and by the expression before and after,
so that its name stays when lines move.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RULES = Path(__file__).resolve().parents[2] / "nnx" / "autodiff" / "rules"
MODULES = sorted(path.stem for path in RULES.glob("[a-z]*.py"))

SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
TURNED = {
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
FORGOTTEN = {
    "unbroadcast",
    "cast",
    "conj",
    "adjoint",
    "spread",
    "restored",
    "_diagonal",
    "flip",
    "astype",
    "abs",
    "where_zero",
}
"""Calls that a mutant replaces by their first (or last) array argument."""
EXCHANGED = {
    "tril": "triu",
    "triu": "tril",
    "cos": "sin",
    "sin": "cos",
    "cosh": "sinh",
    "sinh": "cosh",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "ones_like": "zeros_like",
    "zeros_like": "ones_like",
    "floor": "round",
    "real": "imag",
    "fft": "ifft",
    "ifft": "fft",
}
KEYWORDS = ("axis", "keepdims", "offset", "k", "norm", "correction", "include_initial", "descending")
CONTEXT = 24
"""A change is told with what stands around it, until that has so many characters."""


@dataclass(frozen=True)
class Mutant:
    """One change in one file."""

    module: str
    line: int
    lines: range
    """Of the statement in which it stands: who does not come there cannot notice it. None if that is not known."""
    function: str
    what: str
    node: int
    """The number of the changed node among the changeable ones of the file."""
    change: int
    """The number of the change among those of the node."""

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: {self.function}: {self.what}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it, wherever its line has moved to."""
        return self.module, self.function, self.what

    @property
    def source(self) -> str:
        """The file with this change."""
        tree = _parsed(self.module)
        target = list(_changeable(tree))[self.node]
        _put(_places(tree)[target], list(_changes(target))[self.change])
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a file of rules."""
    tree = _parsed(module)
    places = _places(tree)
    for number, node in enumerate(_changeable(tree)):
        shown, before = _around(node, places)
        line, lines = node.lineno, _lines(node, places)
        for which, new in enumerate(_changes(node)):
            if shown is node:
                after = ast.unparse(new)
            else:
                _put(places[node], new)
                after = ast.unparse(shown)
                _put(places[node], node)
            yield Mutant(module, line, lines, _name(node, places), f"{before}  →  {after}", number, which)


def _parsed(module: str) -> ast.Module:
    return ast.parse((RULES / f"{module}.py").read_text("utf-8"))


Place = tuple[ast.AST, str, int | None]
"""Where a node stands: its parent, the field, and the number in that field if it is a list."""


def _places(tree: ast.AST) -> dict[ast.AST, Place]:
    found: dict[ast.AST, Place] = {}
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                found[value] = parent, field, None
            elif isinstance(value, list):
                found.update({x: (parent, field, i) for i, x in enumerate(value) if isinstance(x, ast.AST)})
    return found


def _put(place: Place, new: ast.AST) -> None:
    parent, field, number = place
    if number is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[number] = new


def _around(node: ast.AST, places: dict[ast.AST, Place]) -> tuple[ast.AST, str]:
    """The expression that shows what is changed, and its text: the node's own, or one around it if that is short."""
    text = ast.unparse(node)
    while len(text) < CONTEXT:
        parent = places[node][0]
        if not isinstance(parent, ast.expr | ast.keyword | ast.slice | ast.comprehension) or isinstance(
            parent, ast.Dict
        ):
            break
        node, text = parent, ast.unparse(parent)
    return node, text


def _lines(node: ast.AST, places: dict[ast.AST, Place]) -> range:
    """The lines of the row of a table, or of the statement, that a node stands in; none for a default value."""
    while not isinstance(node, ast.stmt):
        parent = places[node][0]
        if isinstance(parent, ast.Dict):
            break
        if isinstance(parent, ast.arguments):
            return range(0)
        node = parent
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _name(node: ast.AST, places: dict[ast.AST, Place]) -> str:
    """The function that a node stands in, or the row of the table: its key."""
    names: list[str] = []
    while node in places:
        parent, field, number = places[node]
        if isinstance(parent, ast.FunctionDef | ast.ClassDef):
            names.append(parent.name)
        elif isinstance(parent, ast.Dict) and field == "values" and number is not None:
            key = parent.keys[number]
            names.append(str(key.value) if isinstance(key, ast.Constant) else ast.unparse(key or parent))
        elif isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            names.append(parent.targets[0].id) if isinstance(places[parent][0], ast.Module) else None
        node = parent
    return ".".join(reversed(names)) or "<module>"


def _changeable(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions in the bodies of functions and in tables of lambdas; not those in annotations and errors."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.istitle():
            continue  # a name for a type
        if isinstance(node, ast.keyword) and node.arg == "strict":  # of a zip whose lengths agree
            continue
        if isinstance(node, ast.expr):
            yield node
        if isinstance(node, ast.FunctionDef):
            stack += [*node.body, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        elif isinstance(node, ast.AnnAssign):
            stack += [node.value] if node.value is not None else []
        elif isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise):
            stack += [node.test, *node.orelse]
        else:
            stack += list(ast.iter_child_nodes(node))


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    """What can be put in the place of this expression to break it."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        yield ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
        yield node.left
        if isinstance(node.op, ast.Mult | ast.Add | ast.BitAnd | ast.BitOr):
            yield node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        if not isinstance(node.operand, ast.Constant):
            yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield ast.Compare(node.left, [TURNED[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Call):
        yield from _changes_of_call(node)
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _other_values(node.value))
    elif isinstance(node, ast.Lambda) and not node.args.args and not node.args.posonlyargs:
        yield ast.Lambda(node.args, ast.Constant(None))  # no gradient


def _other_values(value: object) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, complex):
        return [-value]
    return [value + 1] if isinstance(value, int | float) else []


def _changes_of_call(node: ast.Call) -> Iterator[ast.expr]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in FORGOTTEN and node.args:
        yield node.args[-1] if name == "where_zero" else node.args[0]
    if name in EXCHANGED and isinstance(node.func, ast.Attribute):
        yield ast.Call(ast.Attribute(node.func.value, EXCHANGED[name], ast.Load()), node.args, node.keywords)
    if name == "where" and len(node.args) == 3:
        yield ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)
    for k, keyword in enumerate(node.keywords):
        if keyword.arg in KEYWORDS:
            yield ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])
