"""Eigenvalues and eigenvectors of any square matrix: complex, and without a derivative where two values are equal.

From A V = V diag(w): dA = V⁻ᴴ (diag(dw) + (Vᴴ dV - Vᴴ V diag(Re diag(Vᴴ dV))) / (wⱼ - wᵢ)*) Vᴴ for columns of length 1
(Boeddeker et al. 2017, eq. 4.77). A loss must not depend on the phase of a vector.
"""

from collections import namedtuple
from typing import Any

from nnx.autodiff.rules.common import adjoint, cast, composed, conj, like, standard
from nnx.autodiff.tape import op
from nnx.backend import device_of, namespace
from nnx.typing import Array

EigResult = namedtuple("EigResult", ["eigenvalues", "eigenvectors"])


def _diagonal(d: Array) -> Array:
    """Vectors as diagonal matrices."""
    return d[..., None] * namespace(d).eye(d.shape[-1], dtype=d.dtype, device=device_of(d))


def _back(vectors: Array, core: Array, of: Any) -> Array:
    """V⁻ᴴ core Vᴴ, real where the matrix was."""
    xp = namespace(vectors)
    return cast(xp.linalg.solve(adjoint(vectors), xp.matmul(core, adjoint(vectors))), of[1])


@standard
def eigvals(x: Array, /) -> Any:
    """The eigenvalues, complex, in no order."""
    xp = namespace(x)
    of = like(x)

    def pullback(dy: Array) -> tuple[Array]:
        # the values are found again: each vector must stand where its value does
        return (_back(xp.linalg.eig(x).eigenvectors, _diagonal(dy), of),)

    return xp.linalg.eigvals(x), pullback


@op
def _eig(x: Array) -> Any:
    xp = namespace(x)
    of = like(x)
    values, vectors = xp.linalg.eig(x)

    def pullback(d: tuple[Array, Array]) -> tuple[Array]:
        turned = xp.matmul(adjoint(vectors), d[1])
        along = xp.real(xp.linalg.diagonal(turned))
        turned = turned - xp.matmul(adjoint(vectors), vectors) * along[..., None, :]
        # the diagonal, which vanishes for a loss that does not depend on phases, is divided by 1
        apart = conj(values[..., None, :] - values[..., :, None]) + _diagonal(xp.ones_like(values))
        return (_back(vectors, turned / apart + _diagonal(d[0]), of),)

    return (values, vectors), pullback


@composed
def eig(x: Array, /) -> Any:
    """Eigenvalues and eigenvectors of a square matrix, complex, the vectors of length 1."""
    return EigResult(*_eig(x))
