"""Where the windows of a convolution or a pool lie: what the kernels of all libraries are told.

Axis by axis, window o reads the places o · stride - before + k · dilation of its axis, k = 0 … kernel - 1; places
outside of it are padding.
"""

from typing import NamedTuple

from nnx.typing import Shape

Table = tuple[tuple[int | None, ...], ...]
"""Of one axis: row k, column o is the place that window o reads at its offset k; None outside of the axis."""


class Windows(NamedTuple):
    """A number a spatial axis each; padding: (before, after) a spatial axis."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]

    def spans(self) -> Shape:
        """How far a window reaches along each axis, first to last place."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def outputs(self, size: Shape) -> Shape:
        """How many windows there are along each axis of an input of that size; 0 or less where none fits."""
        found = zip(size, self.padding, self.spans(), self.stride, strict=True)
        return tuple((n + before + after - span) // s + 1 for n, (before, after), span, s in found)

    def tables(self, size: Shape) -> tuple[Table, ...]:
        """A table for each axis of an input of that size."""
        axes = zip(self.kernel, self.stride, self.dilation, self.padding, size, self.outputs(size), strict=True)
        return tuple(
            tuple(tuple(_inside(o * s - before + k * d, n) for o in range(windows)) for k in range(kernel))
            for kernel, s, d, (before, _), n, windows in axes
        )

    def symmetric(self) -> Shape | None:
        """The padding as a number an axis, if it is the same before and after."""
        return tuple(b for b, _ in self.padding) if all(b == a for b, a in self.padding) else None

    def padded(self, size: Shape) -> Shape:
        """The size with its padding."""
        return tuple(n + before + after for n, (before, after) in zip(size, self.padding, strict=True))


def _inside(place: int, n: int) -> int | None:
    return place if 0 <= place < n else None
