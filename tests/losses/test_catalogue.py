"""PyTorch's losses are all there, as functions and as modules, with its arguments and defaults."""

import inspect

import pytest

import nnx
from nnx import losses
from tests.oracle import torch

TF = torch.nn.functional

FUNCTIONS = sorted(
    {name for name in TF.__dict__ if name.endswith("_loss")}
    | {"binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div"}
)
MODULES = sorted(name for name in torch.nn.__dict__ if name.endswith("Loss"))
EXCLUDED = {
    "AdaptiveLogSoftmaxWithLoss": "a layer with weights of its own, a tree of softmaxes",
    "LinearCrossEntropyLoss": "a Linear and its cross-entropy in one, to save memory on a GPU: a layer, too",
    "linear_cross_entropy": "its function",
}
DEPRECATED = {"size_average", "reduce"}  # replaced by reduction in PyTorch 0.4
DIFFERENT = {"ignore_index": None}  # -100 in PyTorch; here no label is ignored unless one says so
OWN = {"dice_loss", "quadratic_cost", "sigmoid_focal_loss", "DiceLoss", "Loss", "SigmoidFocalLoss"}


def test_the_lists_are_not_empty():
    assert {"ctc_loss", "mse_loss", "triplet_margin_with_distance_loss"} < set(FUNCTIONS)
    assert {"CTCLoss", "MSELoss", "CrossEntropyLoss"} < set(MODULES)


def test_every_loss_is_there():
    missing = [name for name in FUNCTIONS if name not in EXCLUDED and name not in losses.__all__]
    missing += [name for name in MODULES if name not in EXCLUDED and not hasattr(nnx, name)]
    assert not missing, f"torch has these losses, nnx does not: {missing}"
    unknown = set(losses.__all__) - set(FUNCTIONS) - set(MODULES) - OWN
    assert not unknown, f"nnx has these losses, torch does not: {sorted(unknown)}"


def test_exclusions_are_of_things_that_exist():
    known = set(FUNCTIONS) | set(MODULES) | {name for name in TF.__dict__ if "loss" in name.lower()}
    known |= {name for name in torch.nn.__dict__ if "Loss" in name} | set(TF.__dict__)
    assert set(EXCLUDED) <= known


def arguments(function):
    """Name, kind and default of each, without what PyTorch has deprecated."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters if p.name not in DEPRECATED]


def expected(function):
    return [(name, kind, DIFFERENT.get(name, default)) for name, kind, default in arguments(function)]


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in EXCLUDED])
def test_arguments_of_functions(name):
    assert arguments(getattr(losses, name)) == expected(getattr(TF, name))


@pytest.mark.parametrize("name", [name for name in MODULES if name not in EXCLUDED])
def test_arguments_of_modules(name):
    assert getattr(nnx, name) is getattr(losses, name)
    assert arguments(getattr(nnx, name)) == expected(getattr(torch.nn, name))
