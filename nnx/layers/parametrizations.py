"""A layer's weight that is computed from other parameters whenever it is asked for: weight and spectral normalisation.

The layer becomes an instance of a subclass of its own class that answers for the missing attribute. The parameters it
is computed from are at `parametrizations.weight...`, as PyTorch's are.
"""

from typing import Any, TypeVar

from nnx import functional as F
from nnx import random
from nnx.backend import backend_of, is_array, namespace
from nnx.functional.reparametrized import as_matrix
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class _Parametrizations(Module):
    """What computes each parametrised attribute, by the attribute's name."""

    def __call__(self) -> Array:
        """Not called: each of its modules is."""
        raise TypeError("the parametrizations of a layer are called one by one, each by its attribute's name")


class _Computed(Module):
    """The base of what computes an attribute, and of what turns a value of it into the parameters again."""

    def __call__(self) -> Array:
        """The attribute."""
        raise NotImplementedError

    def assign(self, value: Array) -> None:
        """Make the attribute equal to value."""
        raise NotImplementedError


class _WeightNorm(_Computed):
    """original0: g, the lengths   original1: v, the directions."""

    def __init__(self, weight: Array, dim: int | None) -> None:
        self.dim = dim
        self.assign(weight)

    def __call__(self) -> Array:
        """See nnx.functional.weight_norm."""
        return F.weight_norm(self.original1, self.original0, self.dim)

    def assign(self, value: Array) -> None:
        """See _Computed."""
        lengths = F.norm_except_dim(value, self.dim)
        shape = tuple(lengths.shape)
        # an array on NumPy too, and no scalar
        self.original0 = namespace(lengths).reshape(namespace(lengths).reshape(lengths, (-1,)), shape)
        self.original1 = value


class _Vectors(Module):
    """_u, _v: the singular vectors, as buffers."""

    _u: Array
    _v: Array

    def __init__(self, matrix: Array, eps: float) -> None:
        self.eps = eps
        u, v = (self._drawn(n, matrix) for n in matrix.shape)
        u, v = F.power_iteration(matrix, u, v, 15, eps)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def _drawn(self, n: int, like: Array) -> Array:
        draws = backend_of(like).home(like).asarray(random.normal((n,)), like.dtype)
        return F.normalize(draws, dim=0, eps=self.eps)

    def __call__(self, matrix: Array, steps: int) -> tuple[Array, Array]:
        """The vectors; in training, after some steps of power iteration."""
        if self.training and steps:
            self._u, self._v = F.power_iteration(matrix, self._u, self._v, steps, self.eps)
        return self._u, self._v


class _SpectralNorm(_Computed):
    """original: the weight before it is divided."""

    def __init__(self, weight: Array, n_power_iterations: int, eps: float, dim: int) -> None:
        self.dim, self.n_power_iterations, self.eps = dim, n_power_iterations, eps
        self.original = weight
        if weight.ndim > 1:
            setattr(self, "0", _Vectors(as_matrix(weight, dim), eps))

    def __call__(self) -> Array:
        """See nnx.functional.spectral_norm; a vector is divided by its length."""
        if self.original.ndim == 1:
            return F.normalize(self.original, dim=0, eps=self.eps)
        matrix = as_matrix(self.original, self.dim)
        u, v = getattr(self, "0")(matrix, self.n_power_iterations)
        return F.spectral_norm(self.original, u, v, self.dim)

    def assign(self, value: Array) -> None:
        """See _Computed. A weight that is already normalised stays what it is."""
        self.original = value


# ---- the layer -------------------------------------------------------------------------------------------------------


class _Parametrized(Module):
    """Mixed into the class of a layer: answers for the attributes that are computed."""

    parametrizations: Module

    def __getattr__(self, name: str) -> Any:
        computed = _computed(self).get(name)
        if computed is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return computed()

    def __setattr__(self, name: str, value: Any) -> None:
        computed = _computed(self).get(name)
        if computed is None:
            super().__setattr__(name, value)
        else:
            computed.assign(value)

    def __reduce__(self) -> Any:
        return _remake, (type(self).__mro__[2],), self.__getstate__()


def _computed(module: Module) -> dict[str, _Computed]:
    found = module.__dict__.get("parametrizations")
    return {} if found is None else {k: v for k, v in found.__dict__.items() if isinstance(v, _Computed)}


_CLASSES: dict[type, type] = {}


def _parametrized(cls: type) -> Any:
    """The subclass of a layer's class whose layers have computed attributes; one a class."""
    found = _CLASSES.get(cls)
    if found is None:
        name = f"Parametrized{cls.__name__}"
        found = _CLASSES[cls] = type(name, (_Parametrized, cls), {"__module__": __name__})
    return found


def _remake(cls: type) -> Any:
    made = _parametrized(cls)
    return made.__new__(made)


def _parametrize(module: M, name: str, make: Any) -> M:
    """Have module.<name> computed by make(its value)."""
    if name in _computed(module):
        raise ValueError(f"{type(module).__name__}.{name} is already computed: remove that first")
    weight = module.__dict__.get(name)
    if not is_array(weight):
        raise ValueError(f"{type(module).__name__} has no parameter '{name}' of its own")
    computed = make(weight).train(module.training)
    if name in module._frozen:
        computed.freeze()
    delattr(module, name)
    if not isinstance(module, _Parametrized):
        object.__setattr__(module, "__class__", _parametrized(type(module)))
        setattr(module, "parametrizations", _Parametrizations())  # noqa: B010
    setattr(module.__dict__["parametrizations"], name, computed)
    return module


def _remove(module: M, name: str, kind: type[_Computed]) -> M:
    computed = _computed(module).get(name)
    if not isinstance(computed, kind):
        raise ValueError(f"{type(module).__name__}.{name} is not computed by {kind.__name__.strip('_')}")
    weight = computed.eval()()
    delattr(module.__dict__["parametrizations"], name)
    if not _computed(module):
        delattr(module, "parametrizations")
        object.__setattr__(module, "__class__", type(module).__mro__[2])
    setattr(module, name, weight)
    return module


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Have module's weight computed as g v / ‖v‖ (Salimans and Kingma 2016). Changes the module, and returns it.

    dim: the axis with a length for each of its places; None (or -1, as in PyTorch) for one length
    State dict: parametrizations.weight.original0 (g) and original1 (v) in place of weight, as torch.nn.utils.
    parametrizations has it. Raises ValueError if there is no such parameter, or it is computed already.

    >>> import nnx
    >>> sorted(weight_norm(nnx.Linear(3, 2)).state_dict())
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    return _parametrize(module, name, lambda weight: _WeightNorm(weight, None if dim == -1 else dim))


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Have module's weight computed as w / σ, σ its largest singular value (Miyato et al. 2018). Changes the module.

    n_power_iterations: steps towards σ at each use of the weight in training
    dim: the axis of the outputs; None for 0, in transposed convolutions 1
    State dict: parametrizations.weight.original, and the buffers parametrizations.weight.0._u and _v.
    Raises ValueError if there is no such parameter, or it is computed already.
    """
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}")
    axis = int(type(module).__name__.startswith("ConvTranspose")) if dim is None else dim
    return _parametrize(module, name, lambda weight: _SpectralNorm(weight, n_power_iterations, eps, axis))


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again, with the value that it has."""
    return _remove(module, name, _WeightNorm)


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again, with the value that it has in evaluation."""
    return _remove(module, name, _SpectralNorm)
