"""Layers of sequences give the same numbers on every backend as on NumPy: values, gradients, text. Without torch."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx import models
from nnx.functional.attention_blocks import blocked

TOKENS, LENGTHS = np.asarray([[1, 2, 1, 0], [4, 4, 3, 2]]), np.asarray([4, 2])
MASK = np.asarray([[True, False, True, True], [False] * 4, [True] * 4, [True, True, False, True]])


def numbers(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def bag(model, index):
    offsets = nnx.asarray(np.asarray([0, 3, 3]))
    return nnx.namespace(model.weight).concat(
        [F.embedding_bag(index[0, :], model.weight, offsets, mode=mode) for mode in ("sum", "mean", "max")]
    )


class Attention(nnx.Module):
    def __init__(self):
        self.q, self.k, self.v = (nnx.asarray(numbers(2, 4, n), "float64") for n in (3, 3, 2))

    def __call__(self, causal, mask=None):
        return blocked(self.q, self.k, self.v, mask, causal, 0.5, 2)


X, WIDE = numbers(4, 2, 3), numbers(2, 4, 6)
CASES = {
    "embedding": (lambda: nnx.Embedding(5, 3, 1, dtype="float64"), lambda m, i: m(i), [TOKENS]),
    "bags": (lambda: nnx.EmbeddingBag(5, 3, dtype="float64"), bag, [TOKENS]),
    "lstm": (lambda: nnx.LSTM(3, 2, 2, bidirectional=True, dtype="float64"), lambda m, x: m(x)[0], [X]),
    "gru, lengths": (lambda: nnx.GRU(3, 2, bidirectional=True, dtype="float64"), lambda m, x, n: m(x, None, n)[0],
                     [X, LENGTHS]),
    "lstm, projected": (lambda: nnx.LSTM(3, 4, proj_size=2, dtype="float64"), lambda m, x: m(x)[1][0], [X]),
    "attention, causal": (Attention, lambda m: m(True), []),
    "attention, masked": (Attention, lambda m, mask: m(False, mask), [MASK]),
    "encoder layer": (
        lambda: nnx.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, dtype="float64"),
        lambda m, x: m(x, is_causal=True), [WIDE],
    ),
    "gpt": (lambda: models.GPT(5, 6, 1, 2, 4, dtype="float64"), lambda m, t: m(t), [TOKENS]),
    "vit": (lambda: models.ViT(4, 2, 1, 2, 4, 6, num_classes=3, in_channels=1, dtype="float64"), lambda m, x: m(x),
            [numbers(2, 1, 4, 4)]),
    "text": (lambda: models.GPT(5, 6, 1, 2, 4, dtype="float64"), lambda m, t: m.generate(t, 4, seed=5), [TOKENS]),
}  # fmt: skip


def squares(model, call, *arrays):
    y = call(model, *arrays)
    return nnx.namespace(y).sum(y * y)


def results(name):
    """The value and, but for text, every gradient of Σ y² on the active backend, as NumPy arrays."""
    make, call, arrays = CASES[name]
    model = make()
    model.update({path: nnx.asarray(numbers(*x.shape)) for path, x in model.named_parameters()})
    arrays = [nnx.asarray(a) for a in arrays]
    y = call(model, *arrays)
    grads = {}
    if name != "text":
        grads = nnx.grad(squares)(model, call, *arrays)
    return [np.array(nnx.to_numpy(x)) for x in (y, *grads.values())]


@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers_on_every_backend(backend, name):
    found = results(name)
    with nnx.use_backend("numpy"):
        expected = results(name)
    for x, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, e, 1e-9, 1e-9)
