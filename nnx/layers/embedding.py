"""Tables of vectors, one for each word, character or category."""

from nnx import functional as F
from nnx import init
from nnx.backend import get_backend
from nnx.functional.embeddings import BagMode
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both tables are: rows, one of which may stand for nothing.

    weight: (num_embeddings, embedding_dim) from N(0, 1), the row padding_idx 0
    """

    weight: Array

    def __init__(self, rows: int, features: int, padding_idx: int | None, by_frequency: bool, dtype: str) -> None:
        name = type(self).__name__
        if rows < 1 or features < 1:
            raise ValueError(f"{name}({rows}, {features}): both sizes must be at least 1")
        if padding_idx is not None and not -rows <= padding_idx < rows:
            raise ValueError(f"{name}: padding_idx must be in [-{rows}, {rows}), got {padding_idx}")
        self.num_embeddings, self.embedding_dim = rows, features
        self.padding_idx = None if padding_idx is None else padding_idx % rows
        self.scale_grad_by_freq = by_frequency
        weight = init.normal((rows, features), dtype=dtype)
        if self.padding_idx is not None:
            weight = get_backend().set_item(weight, (self.padding_idx, ...), init.zeros((features,), dtype))
        self.weight = weight

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Embedding(_Table):
    """weight[input]: a learnt vector for each index.

    weight: (num_embeddings, embedding_dim) from N(0, 1); the row padding_idx is 0 and gets no gradient
    input: (...) integers in [0, num_embeddings)   returns (..., embedding_dim)
    Raises ValueError for an index out of range where nnx.functional.embedding does. There is no max_norm: a forward
    pass changes no parameter here; renormalise after the optimizer's step.

    >>> import nnx
    >>> Embedding(10, 3)(nnx.asarray([[1, 2], [3, 4]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        scale_grad_by_freq: bool = False,
        dtype: str = "float32",
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, scale_grad_by_freq, dtype)

    def __call__(self, input: Array) -> Array:
        """See nnx.functional.embedding."""
        return F.embedding(input, self.weight, self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq)


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors of each bag of indices.

    weight: (num_embeddings, embedding_dim) from N(0, 1); see nnx.functional.embedding_bag for the arguments
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        scale_grad_by_freq: bool = False,
        mode: BagMode = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        dtype: str = "float32",
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, scale_grad_by_freq, dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    def __call__(self, input: Array, offsets: Array | None = None, per_sample_weights: Array | None = None) -> Array:
        """See nnx.functional.embedding_bag."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
            scale_grad_by_freq=self.scale_grad_by_freq,
        )

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{super().extra_repr()}, mode={self.mode!r}"
