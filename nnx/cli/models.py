"""The families of models that `nnx train` makes, each with its arguments and when it can be used.

A row a family: what builds it from the shape of a sample and the number of outputs, and the defaults of its arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nnx
from nnx.cli.options import boolean, fraction, positive_int
from nnx.cli.rows import Setting

__all__ = ["ACTIVATIONS", "ARGUMENTS", "FAMILIES", "build", "completed"]

Shape = tuple[int, ...]
Model = Mapping[str, Any]

ACTIVATIONS: dict[str, Callable[[], nnx.Module]] = {
    "relu": nnx.ReLU,
    "sigmoid": nnx.Sigmoid,
    "tanh": nnx.Tanh,
    "gelu": nnx.GELU,
}

ARGUMENTS: dict[str, Setting] = {
    "hidden": Setting(positive_int, None, "hidden layers' widths (128)", many=True, metavar="N"),
    "activation": Setting(str, None, "of the hidden layers (relu)", choices=tuple(sorted(ACTIVATIONS))),
    "dropout": Setting(fraction, None, "probability, after each hidden layer (0.2)", metavar="P"),
    "layers": Setting(positive_int, None, "resnet: blocks of each stage", many=True),
    "width": Setting(positive_int, None, "resnet: channels of the first stage"),
    "small": Setting(boolean, None, "resnet: a stem that keeps the size (images of 64 pixels at most: yes)"),
    "depth": Setting(positive_int, None, "vgg: 11, 13, 16 or 19"),
    "batch_norm": Setting(boolean, None, "vgg: after each convolution"),
    "patch_size": Setting(positive_int, None, "vit: pixels"),
    "num_layers": Setting(positive_int, None, "vit: blocks"),
    "num_heads": Setting(positive_int, None, "vit: of each attention"),
    "hidden_dim": Setting(positive_int, None, "vit: of a token"),
    "mlp_dim": Setting(positive_int, None, "vit: between its two linear layers"),
}
"""What a family may be asked for; each takes those that its row has."""


@dataclass(frozen=True)
class Family:
    """build: (shape of a sample, outputs, its arguments) -> the model   images: it takes (c, h, w), not (features,)."""

    build: Callable[[Shape, int, Model], nnx.Module]
    defaults: Model
    images: bool = True


def mlp(shape: Shape, outputs: int, a: Model) -> nnx.Module:
    """Linear layers with an activation and dropout between them."""
    layers: list[nnx.Module] = []
    (features,) = shape
    for width in a["hidden"]:
        layers += [nnx.Linear(features, width), ACTIVATIONS[a["activation"]]()]
        layers += [nnx.Dropout(a["dropout"])] if a["dropout"] else []
        features = width
    return nnx.Sequential(*layers, nnx.Linear(features, outputs))


def lenet(shape: Shape, outputs: int, a: Model) -> nnx.Module:
    """LeNet-5, for images of 28 × 28."""
    if shape[1:] != (28, 28):
        raise ValueError(f"model lenet takes images of 28 × 28, got {shape[1]} × {shape[2]}: --image-size 28")
    from nnx.models import LeNet5

    return LeNet5(outputs, shape[0])


def resnet(shape: Shape, outputs: int, a: Model) -> nnx.Module:
    """A residual network of basic blocks."""
    from nnx.models import BasicBlock, ResNet

    return ResNet(BasicBlock, a["layers"], outputs, shape[0], width=a["width"], small=_small(shape, a))


def deep_resnet(name: str) -> Callable[[Shape, int, Model], nnx.Module]:
    """ResNet-18, -34 or -50."""
    return lambda shape, outputs, a: getattr(nnx.models, name)(outputs, shape[0], small=_small(shape, a))


def vgg(shape: Shape, outputs: int, a: Model) -> nnx.Module:
    """VGG; of its two wide layers `hidden` is the one width."""
    if min(shape[1:]) < 32:
        raise ValueError(f"model vgg takes images of 32 × 32 at least, got {shape[1]} × {shape[2]}: --image-size 32")
    if len(a["hidden"]) != 1:
        raise ValueError(f"model vgg has two wide layers of one width, got hidden {a['hidden']}: e.g. hidden=512")
    from nnx.models import VGG

    return VGG(a["depth"], outputs, shape[0], a["batch_norm"], a["dropout"], a["hidden"][0])


def vit(shape: Shape, outputs: int, a: Model) -> nnx.Module:
    """A vision transformer, for square images."""
    if shape[1] != shape[2] or shape[1] % a["patch_size"]:
        raise ValueError(
            f"model vit takes square images whose side model.patch_size={a['patch_size']} divides, got {shape[1]} × "
            f"{shape[2]}: --image-size {max(shape[1] // a['patch_size'], 1) * a['patch_size']}, or another patch_size"
        )
    if a["hidden_dim"] % a["num_heads"]:
        raise ValueError(f"model vit: num_heads {a['num_heads']} must divide hidden_dim {a['hidden_dim']}")
    rest = {name: given for name, given in a.items() if name != "type"}
    from nnx.models import ViT

    return ViT(shape[1], **rest, num_classes=outputs, in_channels=shape[0])


def _small(shape: Shape, a: Model) -> bool:
    return max(shape[1:]) <= 64 if a["small"] is None else bool(a["small"])


FAMILIES: dict[str, Family] = {
    "mlp": Family(mlp, {"hidden": [128], "activation": "relu", "dropout": 0.2}, images=False),
    "lenet": Family(lenet, {}),
    "resnet": Family(resnet, {"layers": [1, 1, 1], "width": 16, "small": None}),
    "resnet18": Family(deep_resnet("resnet18"), {"small": None}),
    "resnet34": Family(deep_resnet("resnet34"), {"small": None}),
    "resnet50": Family(deep_resnet("resnet50"), {"small": None}),
    "vgg": Family(vgg, {"depth": 11, "batch_norm": True, "dropout": 0.5, "hidden": [512]}),
    "vit": Family(
        vit,
        {"patch_size": 4, "num_layers": 4, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "dropout": 0.1},
    ),
}


def completed(kind: str, given: Model, where: Mapping[str, str]) -> dict[str, Any]:
    """A model's type and all of its arguments. Raises ValueError for one that the type has not, and says `where`."""
    defaults = FAMILIES[kind].defaults
    for name in given:
        if name not in defaults:
            has = f"it has {', '.join(defaults)}" if defaults else "it has none"
            raise ValueError(f"{where[name]}: the model {kind} has no setting {name}: {has}")
    return {"type": kind, **defaults, **given}


def build(shape: Shape, outputs: int, model: Model) -> nnx.Module:
    """The model of that type and these arguments. Raises ValueError for samples that it cannot take."""
    family = FAMILIES[model["type"]]
    if family.images and len(shape) != 3:
        raise ValueError(
            f"model {model['type']} takes images, got samples of {shape[0]} features: leave out --model, or take "
            "--model mlp"
        )
    return family.build(shape, outputs, model)
