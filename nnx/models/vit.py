"""ViT: an image is a sequence of patches, read by a transformer (Dosovitskiy et al. 2021).

The names are torchvision's, so that its weights load.
"""

from nnx import functional as F
from nnx import init
from nnx.backend import namespace
from nnx.layers import Dropout, LayerNorm, Linear, Module, MultiheadAttention, Sequential
from nnx.layers.activations import GELU
from nnx.typing import Array

__all__ = ["ViT"]


class Patches(Module):
    """Each patch p × p of an image as a vector: a convolution whose windows do not overlap, written as one matmul.

    weight: (d, c, p, p)   bias: (d,)   x: (n, c, h, w)   returns (n, h/p · w/p, d)
    """

    weight: Array
    bias: Array

    def __init__(self, channels: int, patch_size: int, width: int, dtype: str) -> None:
        self.patch_size = patch_size
        fan_in = channels * patch_size * patch_size
        self.weight = init.normal((width, channels, patch_size, patch_size), std=fan_in**-0.5, dtype=dtype)
        self.bias = init.zeros((width,), dtype)

    def __call__(self, x: Array) -> Array:
        """See the class."""
        xp, p = namespace(x), self.patch_size
        n, c, h, w = x.shape
        cut = xp.permute_dims(xp.reshape(x, (n, c, h // p, p, w // p, p)), (0, 2, 4, 1, 3, 5))
        rows = xp.reshape(cut, (n, (h // p) * (w // p), c * p * p))
        return F.linear(rows, namespace(self.weight).reshape(self.weight, (self.weight.shape[0], -1)), self.bias)


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, attention_dropout: float, dtype: str
    ) -> None:
        self.ln_1 = LayerNorm(width, eps=1e-6, dtype=dtype)
        self.self_attention = MultiheadAttention(width, heads, attention_dropout, batch_first=True, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.ln_2 = LayerNorm(width, eps=1e-6, dtype=dtype)
        first, second = Linear(width, hidden, dtype=dtype), Linear(hidden, width, dtype=dtype)
        for layer in (first, second):
            layer.weight = init.xavier_uniform(tuple(layer.weight.shape), dtype=dtype)
            layer.bias = init.normal((layer.weight.shape[0],), std=1e-6, dtype=dtype)
        self.mlp = Sequential(first, GELU(), Dropout(dropout), second, Dropout(dropout))

    def __call__(self, x: Array) -> Array:
        """x: (n, t, width)   returns its shape"""
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class Encoder(Module):
    """Learned positions are added, then the blocks, then a norm."""

    pos_embedding: Array

    def __init__(self, length: int, width: int, blocks: list[Block], dropout: float, dtype: str) -> None:
        self.pos_embedding = init.normal((1, length, width), std=0.02, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.layers: dict[str, Module] = {f"encoder_layer_{k}": block for k, block in enumerate(blocks)}
        self.ln = LayerNorm(width, eps=1e-6, dtype=dtype)

    def __call__(self, x: Array) -> Array:
        """x: (n, length, width)   returns its shape"""
        x = self.dropout(x + self.pos_embedding)
        for block in self.layers.values():
            x = block(x)
        return self.ln(x)


class ViT(Module):
    """The scores of the classes, read off a token that is put before the patches.

    x: (n, in_channels, image_size, image_size)   returns (n, num_classes)
    The defaults are ViT-B/16's. Raises ValueError for another size of image, or one that patch_size does not divide.

    >>> import nnx
    >>> model = ViT(image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
    >>> model(nnx.init.ones((2, 3, 8, 8))).shape
    (2, 10)
    """

    class_token: Array

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        num_layers: int = 12,
        num_heads: int = 12,
        hidden_dim: int = 768,
        mlp_dim: int = 3072,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        in_channels: int = 3,
        dtype: str = "float32",
    ) -> None:
        if image_size < 1 or patch_size < 1 or image_size % patch_size:
            raise ValueError(f"ViT: image_size must be a multiple of patch_size, got {image_size} and {patch_size}")
        self.image_size, self.in_channels = image_size, in_channels
        self.class_token = init.zeros((1, 1, hidden_dim), dtype)
        self.conv_proj = Patches(in_channels, patch_size, hidden_dim, dtype)
        rest = hidden_dim, num_heads, mlp_dim, dropout, attention_dropout, dtype
        blocks = [Block(*rest) for _ in range(num_layers)]
        self.encoder = Encoder((image_size // patch_size) ** 2 + 1, hidden_dim, blocks, dropout, dtype)
        head = Linear(hidden_dim, num_classes, dtype=dtype)
        head.weight, head.bias = init.zeros((num_classes, hidden_dim), dtype), init.zeros((num_classes,), dtype)
        self.heads: dict[str, Module] = {"head": head}

    def __call__(self, x: Array) -> Array:
        """See the class."""
        size = (self.in_channels, self.image_size, self.image_size)
        if tuple(x.shape[1:]) != size:
            raise ValueError(f"ViT expects images (n, {', '.join(map(str, size))}), got {tuple(x.shape)}")
        patches = self.conv_proj(x)
        token = namespace(patches, self.class_token).broadcast_to(self.class_token, (x.shape[0], 1, patches.shape[2]))
        x = self.encoder(namespace(patches).concat([token, patches], axis=1))
        return self.heads["head"](x[:, 0, :])
