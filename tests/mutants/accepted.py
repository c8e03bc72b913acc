"""Mutants that survive because they change nothing that anybody could see, each with the reason.

They still count as not killed. An entry that is no mutant any more, or that a test kills, is reported: take it out.
"""

from collections.abc import Iterable

from tests.mutants.changes import Mutant

Key = tuple[str, str, str]

ANY_SIZE = "NumPy takes every negative size for -1"
ANY_NUMBER = "it stands where the slope is 0, or is cut out: any number but 0 will do"
SQUARE = "the matrix is square"
SHORTER = "a shorter way to the same result"
OWN_CONJUGATE = "real numbers are their own conjugates, and their own real part"
A_COPY = "a copy of the same numbers"
NO_PHASES = "what is divided by this diagonal is 0, unless a loss depends on the phases of vectors, which it must not"

LAST_TERM = "a term of which fewer digits count"

ROWS: list[tuple[str, str, str, str, str]] = [
    ("elementwise", "sign", "where_zero(size, 1.0, size)", "where_zero(size, 2.0, size)", ANY_NUMBER),
    ("norms", "_power_norm.pullback", "where_zero(norm, 1.0, norm)", "where_zero(norm, 2.0, norm)", ANY_NUMBER),
    ("norms", "_power_norm.pullback", "where_zero(size, 1.0, size)", "where_zero(size, 2.0, size)", ANY_NUMBER),
    ("special", "_of_power", "log(where_zero(c, 1.0, x))", "log(where_zero(c, 2.0, x))", ANY_NUMBER),
    ("reductions", "std", "dy / where_zero(y, 1.0, y)", "dy / where_zero(y, 2.0, y)", ANY_NUMBER),
    ("linalg", "matmul", "x1.ndim > 1 and x2.ndim > 1", "x1.ndim > 1 and x2.ndim > 2", SHORTER),
    ("linalg", "matmul", "x1.ndim > 1 and x2.ndim > 1", "x1.ndim > 2 and x2.ndim > 1", SHORTER),
    ("indexing", "_may_repeat", "key if type(key) is tuple else (key,)", "(key,)", SHORTER),
    ("indexing", "_write", "xp.reshape(places, (-1,))", "xp.reshape(places, (-2,))", ANY_SIZE),
    ("indexing", "_write", "xp.reshape(values, (-1,))", "xp.reshape(values, (-2,))", ANY_SIZE),
    ("indexing", "_untake", "xp.reshape(indices, (-1,))", "xp.reshape(indices, (-2,))", ANY_SIZE),
    ("manipulation", "meshgrid", "-1 if k == order[i] else 1", "-2 if k == order[i] else 1", ANY_SIZE),
    ("manipulation", "repeat", "(reshape(x, (-1,)), 0)", "(reshape(x, (-2,)), 0)", ANY_SIZE),
    ("sets", "_firsts", "xp.reshape(x, (-1,))", "xp.reshape(x, (-2,))", ANY_SIZE),
    ("sets", "_values", "RULES['reshape'](x, (-1,))", "RULES['reshape'](x, (-2,))", ANY_SIZE),
    (
        "common",
        "is_complex",
        "is_complex_dtype(namespace(x), dtype) if found is None else found",
        "is_complex_dtype(namespace(x), dtype)",
        SHORTER,
    ),
    ("common", "conj", "namespace(x).conj(x) if is_complex(x) else x", "namespace(x).conj(x)", OWN_CONJUGATE),
    ("common", "unbroadcast", "d if d.dtype == dtype else cast(d, dtype)", "cast(d, dtype)", SHORTER),
    ("common", "cast", "xp.astype(d, dtype, copy=False)", "xp.astype(d, dtype, copy=True)", A_COPY),
    ("common", "composed.call", "y if type(y) is Var else tree_map(lift, y)", "tree_map(lift, y)", SHORTER),
    ("decompositions", "_diagonal", "x * _eye(x, x.shape[-1])", "x * _eye(x, x.shape[-2])", SQUARE),
    (
        "decompositions",
        "_eigh.pullback",
        "d[0][..., None, :] * _eye(x, x.shape[-1])",
        "d[0][..., None, :] * _eye(x, x.shape[-2])",
        SQUARE,
    ),
    (
        "decompositions",
        "matrix_power",
        "namespace(x).broadcast_to(_eye(x, x.shape[-1]), x.shape)",
        "namespace(x).broadcast_to(_eye(x, x.shape[-2]), x.shape)",
        SQUARE,
    ),
    (
        "decompositions",
        "matrix_power",
        "_mm(x, x) if n else x",
        "_mm(x, x)",
        "the last square is not used: it saves a product",
    ),
    (
        "decompositions",
        "_differences",
        "values[..., None, :] - values[..., :, None] + _eye(values, values.shape[-1])",
        "values[..., None, :] - values[..., :, None] - _eye(values, values.shape[-1])",
        NO_PHASES,
    ),
    ("decompositions", "_over", "xp.where(nothing, 1.0, b)", "xp.where(nothing, 2.0, b)", ANY_NUMBER),
    (
        "eigen",
        "_eig.pullback",
        "conj(values[..., None, :] - values[..., :, None]) + _diagonal(xp.ones_like(values))",
        "conj(values[..., None, :] - values[..., :, None]) - _diagonal(xp.ones_like(values))",
        NO_PHASES,
    ),
    (
        "elementwise",
        "real",
        "_part(x, 'real', 1.0) if is_complex(x) else x",
        "_part(x, 'real', 1.0)",
        "the library gives a real array back as it is, and the gradient passes as it came",
    ),
    (
        "fft",
        "_several",
        "_complex(x, name, found, norm) if found else x",
        "_complex(x, name, found, norm)",
        "a transform along no axes is the array itself",
    ),
    (
        "special",
        "j1",
        "_ratio(y, x, 1, 1 / 2, -1 / 16, 1 / 384, -1 / 18432, 1 / 1474560)",
        "_ratio(y, x, 1, 1 / 2, -1 / 16, 1 / 384, -1 / 18432, 1 / 1474561)",
        LAST_TERM,
    ),
    (
        "special",
        "sinc",
        "_ratio(_xp(x).cos(math.pi * x) - y, math.pi * x, 2, -1 / 3, 1 / 30, -1 / 840, 1 / 45360, -1 / 3991680)",
        "_ratio(_xp(x).cos(math.pi * x) - y, math.pi * x, 2, -1 / 3, 1 / 30, -1 / 840, 1 / 45360, -1 / 3991681)",
        LAST_TERM,
    ),
    (
        "special",
        "I1_OVER_X",
        "(1 / 2, 1 / 16, 1 / 384, 1 / 18432, 1 / 1474560)",
        "(1 / 2, 1 / 16, 1 / 384, 1 / 18432, 1 / 1474561)",
        LAST_TERM,
    ),
    (
        "special",
        "_ratio",
        "(xp.where(near, x, 0.0), xp.where(near, 1.0, x))",
        "(xp.where(near, x, 0.0), xp.where(near, 2.0, x))",
        ANY_NUMBER,
    ),
    (
        "special",
        "_ratio",
        "(xp.where(near, x, 0.0), xp.where(near, 1.0, x))",
        "(xp.where(near, x, 1.0), xp.where(near, 1.0, x))",
        ANY_NUMBER,
    ),
]
"""(file, function, what was there, what the mutant has there, why it changes nothing)."""

ACCEPTED: dict[Key, str] = {(module, function, f"{old}  →  {new}"): why for module, function, old, new, why in ROWS}
"""(file, function, change): why it is none."""


def reason(mutant: Mutant) -> str | None:
    """Why a mutant changes nothing; None if it is not accepted."""
    return ACCEPTED.get(mutant.key)


def stale(found: Iterable[Mutant], modules: list[str]) -> list[Key]:
    """The entries of these files that match none of their mutants."""
    known = {mutant.key for mutant in found}
    return [key for key in ACCEPTED if key[0] in modules and key not in known]
