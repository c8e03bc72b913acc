"""Standardisation, fitted on the training part alone: what the test part looks like must not leak into the model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.data.checks import Array, check_finite, to_host

__all__ = ["Standardize"]


class Standardize:
    """z = (x - mean) / std, one mean and one std a feature; z is float32.

    axis: the axes that are averaged over: 0 for (n, features), (0, 2, 3) for a mean a channel of (n, c, h, w).
    std is the population's (divided by n); a constant feature has std 1, so that its z is 0.

    >>> scale = Standardize().fit([[0.0, 5.0], [2.0, 5.0]])
    >>> scale([[4.0, 5.0]]).tolist(), scale.inverse([[0.0, 0.0]]).tolist()
    ([[3.0, 0.0]], [[1.0, 5.0]])
    """

    def __init__(self, axis: int | tuple[int, ...] = 0) -> None:
        self.axis = axis
        self.mean: Array | None = None
        self.std: Array | None = None

    def fit(self, x: Any) -> "Standardize":
        """Mean and std of x (n, ...), in float64. Raises ValueError if x is empty or holds a NaN."""
        values = to_host(x)
        if values.size == 0:
            raise ValueError(f"expected rows to fit on, got an empty array of shape {values.shape}")
        check_finite(values, "x")
        mean = values.mean(axis=self.axis, keepdims=True, dtype=np.float64)
        std = values.std(axis=self.axis, keepdims=True, dtype=np.float64)
        # compared by range: of a constant 0.1 the rounded mean is not 0.1 and the rounded std is 1e-17, not zero
        low, high = values.min(axis=self.axis, keepdims=True), values.max(axis=self.axis, keepdims=True)
        self.mean, self.std = np.where(low == high, low, mean), np.where(low == high, 1.0, std)
        return self

    def __call__(self, x: Any) -> Array:
        """Standardised x, float32, of x's shape."""
        mean, std = self._fitted(x)
        return ((to_host(x) - mean) / std).astype(np.float32)

    def inverse(self, z: Any) -> Array:
        """x = z * std + mean, float32."""
        mean, std = self._fitted(z)
        return (to_host(z) * std + mean).astype(np.float32)

    def state_dict(self) -> dict[str, Array]:
        """Mean and std, float64, with the averaged axes kept as 1."""
        if self.mean is None or self.std is None:
            raise RuntimeError("expected a fitted Standardize, got a new one: call fit(x_train) first")
        return {"mean": self.mean.copy(), "std": self.std.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over mean and std from `state_dict()`."""
        self.mean, self.std = (to_host(state[key]).astype(np.float64) for key in ("mean", "std"))

    def _fitted(self, x: Any) -> tuple[Array, Array]:
        if self.mean is None or self.std is None:
            raise RuntimeError("expected a fitted Standardize, got a new one: call fit(x_train) first")
        shape, fitted = to_host(x).shape, self.mean.shape
        averaged = {axis % len(fitted) for axis in np.atleast_1d(self.axis).tolist()}
        if tuple(1 if axis in averaged else size for axis, size in enumerate(shape)) != fitted:
            wanted = ", ".join("n" if axis in averaged else str(size) for axis, size in enumerate(fitted))
            raise ValueError(
                f"expected x of shape ({wanted}), as it was fitted, got {shape}: same features, same order"
            )
        return self.mean, self.std
