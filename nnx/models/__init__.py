"""A small zoo: networks that everybody knows, each in a file to read, under the names that weights come with."""

from typing import TYPE_CHECKING

from nnx.lazy import lazy

MODULES = (
    "autoencoder",
    "gpt",
    "lenet",
    "lstm",
    "resnet",
    "unet",
    "vgg",
    "vit",
)
"""Where the names are, those that are needed first at the front."""

if TYPE_CHECKING:
    from nnx.models.autoencoder import *
    from nnx.models.gpt import *
    from nnx.models.lenet import *
    from nnx.models.lstm import *
    from nnx.models.resnet import *
    from nnx.models.unet import *
    from nnx.models.vgg import *
    from nnx.models.vit import *
else:
    __getattr__, __dir__ = lazy(__name__, MODULES)
