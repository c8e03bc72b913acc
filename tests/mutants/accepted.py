"""Mutants that survive because they change nothing that anybody could see, each with the reason.

They still count as not killed. An entry that is no mutant any more, or that a test kills, is reported: take it out.
"""

from collections.abc import Iterable

from tests.mutants.changes import Mutant

Key = tuple[str, str, str]

ANY_SIZE = "NumPy takes every negative size for -1"
ANY_NUMBER = "it stands where the slope is 0, or is cut out: any number but 0 will do"

ROWS: list[tuple[str, str, str, str]] = [
    ("elementwise", "sign", "where_zero(size, 1.0, size)  →  where_zero(size, 2.0, size)", ANY_NUMBER),
    ("norms", "_power_norm.pullback", "where_zero(norm, 1.0, norm)  →  where_zero(norm, 2.0, norm)", ANY_NUMBER),
    ("norms", "_power_norm.pullback", "where_zero(size, 1.0, size)  →  where_zero(size, 2.0, size)", ANY_NUMBER),
    ("reductions", "std", "dy / where_zero(y, 1.0, y)  →  dy / where_zero(y, 2.0, y)", ANY_NUMBER),
    ("indexing", "_untake", "xp.reshape(indices, (-1,))  →  xp.reshape(indices, (-2,))", ANY_SIZE),
    ("manipulation", "meshgrid", "-1 if k == order[i] else 1  →  -2 if k == order[i] else 1", ANY_SIZE),
    ("manipulation", "repeat", "(reshape(x, (-1,)), 0)  →  (reshape(x, (-2,)), 0)", ANY_SIZE),
    ("sets", "_firsts", "xp.reshape(x, (-1,))  →  xp.reshape(x, (-2,))", ANY_SIZE),
    ("sets", "_values", "RULES['reshape'](x, (-1,))  →  RULES['reshape'](x, (-2,))", ANY_SIZE),
    (
        "eigen",
        "_eig.pullback",
        "conj(values[..., None, :] - values[..., :, None]) + _diagonal(xp.ones_like(values))  →  "
        "conj(values[..., None, :] - values[..., :, None]) - _diagonal(xp.ones_like(values))",
        "what is divided by this diagonal is 0, unless a loss depends on the phases of vectors, which it must not",
    ),
    (
        "elementwise",
        "real",
        "_part(x, 'real', 1.0) if is_complex(x) else x  →  _part(x, 'real', 1.0)",
        "the library gives a real array back as it is, and the gradient passes as it came",
    ),
    (
        "fft",
        "_several",
        "_complex(x, name, found, norm) if found else x  →  _complex(x, name, found, norm)",
        "a transform along no axes is the array itself",
    ),
]

ACCEPTED: dict[Key, str] = {(module, function, what): why for module, function, what, why in ROWS}
"""(file, function, change): why it is none."""


def reason(mutant: Mutant) -> str | None:
    """Why a mutant changes nothing; None if it is not accepted."""
    return ACCEPTED.get(mutant.key)


def stale(found: Iterable[Mutant], modules: list[str]) -> list[Key]:
    """The entries of these files that match none of their mutants."""
    known = {mutant.key for mutant in found}
    return [key for key in ACCEPTED if key[0] in modules and key not in known]
