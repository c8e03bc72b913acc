"""What metrics share: sums over batches that stay where they were computed, and the two dtypes they are kept in.

Counts are whole numbers and are added exactly; sums of other numbers are kept in float64 where the device has it.
Nothing is read before `compute`: the device is waited for once, at the end.
"""

from typing import Any, Self

from nnx.backend import Backend, asarray, backend_of, innermost, namespace
from nnx.typing import Array, DType, Namespace

State = tuple[Any, ...]
"""What a metric knows of its batches: arrays, and Python numbers where shapes say them."""


class Metric:
    """One number over all samples of many batches: update(output, target) at each, compute() at the end, reset().

    Called as a function, metric(output, target) is the number of that one batch, and what was added up stays as it is.
    """

    def __init__(self) -> None:
        self._state: State | None = None

    def reset(self) -> Self:
        """Begin anew. Returns itself."""
        self._state = None
        return self

    def update(self, output: Array, target: Array) -> Self:
        """Add a batch; nothing waits for the device. Returns itself."""
        found = self._of_batch(innermost(output), innermost(target))
        self._state = found if self._state is None else self._joined(self._state, found)
        return self

    def merge(self, other: Self) -> Self:
        """Add what another one of the same kind has seen (in another thread or process). Returns itself."""
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} cannot take up what {type(other).__name__} has seen")
        if other._state is not None:
            self._state = other._state if self._state is None else self._joined(self._state, other._state)
        return self

    def compute(self) -> Any:
        """The result over all batches since reset: a float, nan if there was none, or an array of several numbers.

        Waits for the device.
        """
        if self._state is None:
            return float("nan")
        found = self._result(self._state)
        return found if found.shape else float(found)

    def __call__(self, output: Array, target: Array) -> Array:
        """The result of one batch alone, in the dtype of its scores."""
        output = innermost(output)
        return rounded(self._result(self._of_batch(output, innermost(target))), output)

    # ---- what each metric says -----------------------------------------------------------------------------------

    def _of_batch(self, output: Array, target: Array) -> State:
        """What is kept of a batch."""
        raise NotImplementedError(f"{type(self).__name__} needs _of_batch(output, target) and _result(state)")

    def _joined(self, a: State, b: State) -> State:
        """What is kept of two lots of batches."""
        return tuple(x + y for x, y in zip(a, b, strict=True))

    def _result(self, state: State) -> Array:
        raise NotImplementedError

    # ---- for checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What was added up so far, as a Callback gives its own: arrays by name under "arrays", the rest plain."""
        state = self._packed()
        if state is None:
            return {}
        arrays = {str(k): x for k, x in enumerate(state) if hasattr(x, "shape")}
        return {"numbers": [None if hasattr(x, "shape") else x for x in state], "arrays": arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where state_dict was taken, with arrays of the active backend."""
        arrays = state.get("arrays", {})
        numbers = state.get("numbers")
        if numbers is None:
            self.reset()
        else:
            self._state = tuple(asarray(arrays[str(k)]) if x is None else x for k, x in enumerate(numbers))

    def _packed(self) -> State | None:
        return self._state


def widest(x: Array) -> DType:
    """float64, or the widest real floating type of x's device."""
    library, device = backend_of(x), getattr(x, "device", None)
    key = library, str(device)
    found = _WIDEST.get(key)
    if found is None:
        xp = library.namespace()
        known = xp.__array_namespace_info__().dtypes(kind="real floating", device=device)
        found = _WIDEST[key] = known.get("float64", xp.float32)
    return found


_WIDEST: dict[tuple[type[Backend], str], DType] = {}


def whole(xp: Namespace, x: Array) -> DType:
    """The integer type that counts are kept in: int64, but where the library has none (JAX without x64)."""
    device = getattr(x, "device", None)  # a tracer of JAX has none
    key = backend_of(x), str(device)
    found = _WHOLE.get(key)
    if found is None:
        found = _WHOLE[key] = xp.__array_namespace_info__().default_dtypes(device=device)["integral"]
    return found


_WHOLE: dict[tuple[type[Backend], str], DType] = {}


def rounded(found: Array, like: Array) -> Array:
    """A result in the dtype of the scores that it is of; as it is, if these are labels."""
    if not backend_of(like).is_inexact(like.dtype) or found.dtype == like.dtype:
        return found
    return namespace(found).astype(found, like.dtype)


def ratio(xp: Namespace, a: Array, b: Array, otherwise: float) -> Array:
    """a / b, and something else where b is 0."""
    zero = b == 0
    return xp.where(zero, xp.full_like(a, otherwise), a / xp.where(zero, xp.ones_like(b), b))


class Mean:
    """The mean of a metric over all samples of many batches, or of numbers that are given to it.

    metric: function (output, target) -> the batch's mean, for update(output, target); None for update(value, weight)

    >>> import numpy as np
    >>> from nnx.metrics import mean_absolute_error
    >>> mean = Mean(mean_absolute_error)
    >>> mean.update(np.asarray([1.0, 1.0]), np.zeros(2)).update(np.asarray([4.0]), np.zeros(1)).compute()
    2.0
    """

    def __init__(self, metric: Any = None) -> None:
        self.metric = metric
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.total: Any = 0.0
        self.weight: float = 0.0

    def update(self, *values: Any, weight: float | None = None) -> "Mean":
        """Add a batch, (output, target), which counts as many times as it has samples; or a value, which counts once.

        weight: how many times it counts instead. Returns itself. Nothing waits for the device.
        """
        if self.metric is None:
            (value,) = values
            weight = 1.0 if weight is None else weight
        else:
            output, target = values
            value = self.metric(output, target)
            weight = float(output.shape[0] if output.ndim else 1) if weight is None else weight
        if weight:
            self.total = innermost(value) * weight + self.total
            self.weight += weight
        return self

    def compute(self) -> float:
        """The mean so far, nan if there was nothing; waits for the device."""
        return float(self.total) / self.weight if self.weight else float("nan")
