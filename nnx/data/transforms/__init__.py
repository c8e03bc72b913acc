"""Transforms of whole batches, under torchvision's names, on the device where the batch lives.

They are written on the Array API, draw from nnx's counter-based random numbers (each sample by itself), keep dtype and
device, and leave their input alone: the same seed gives the same crops and flips on every backend. The first axis is
the samples', images are (n, c, h, w), or (n, h, w). A transform takes the arrays of a batch and gives as many back.

    transform = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), Normalize(mean, std)])
    loader = DataLoader(dataset, 64, shuffle=True, transform=transform)
"""

from nnx.data.transforms.base import Compose, Lambda, Transform
from nnx.data.transforms.crops import CenterCrop, RandomCrop
from nnx.data.transforms.erasing import RandomErasing
from nnx.data.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from nnx.data.transforms.mixing import CutMix, MixUp
from nnx.data.transforms.pixels import GaussianNoise, Normalize, OneHot, ToDtype

__all__ = [
    "CenterCrop",
    "Compose",
    "CutMix",
    "GaussianNoise",
    "Lambda",
    "MixUp",
    "Normalize",
    "OneHot",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "ToDtype",
    "Transform",
]
