"""What PyTorch has and nnx lacks, is written down here, with the reason."""

import importlib
import inspect

import numpy as np
import pytest

import nnx
from nnx import functional as F
from tests.oracle import torch

CHAPTERS = [
    "activation",
    "batchnorm",
    "container",
    "distance",
    "dropout",
    "flatten",
    "instancenorm",
    "linear",
    "normalization",
]

LEFT_OUT = {
    "Container": "an older name of Module",
    "CrossMapLRN2d": "an older name of LocalResponseNorm",
    "SyncBatchNorm": "needs several processes",
    "NonDynamicallyQuantizableLinear": "for quantisation alone",
}
"""And every Lazy...: their shapes are known only after the first call, and PyTorch itself marks them as may change."""

FUNCTIONS = [
    "threshold",
    "relu",
    "hardtanh",
    "hardswish",
    "relu6",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "prelu",
    "rrelu",
    "glu",
    "gelu",
    "logsigmoid",
    "hardshrink",
    "tanhshrink",
    "softsign",
    "softplus",
    "softmin",
    "softmax",
    "softshrink",
    "gumbel_softmax",
    "log_softmax",
    "tanh",
    "sigmoid",
    "hardsigmoid",
    "silu",
    "mish",
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
    "normalize",
    "linear",
    "bilinear",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "pairwise_distance",
    "cosine_similarity",
]

NOT_TAKEN = {"inplace", "device", "dtype", "out", "_stacklevel"}
"""Arguments that mean nothing here: arrays are not changed in place, and are born on the active backend."""

LEFT_OUT_ARGUMENTS = {
    ("gumbel_softmax", "eps"): "without effect in PyTorch",
    ("RReLU", "training"): "",
    ("Sequential", "args"): "named layers here",
    ("Hardtanh", "min_value"): "deprecated", ("Hardtanh", "max_value"): "deprecated",
    ("Softmax", "dim"): "None warns in PyTorch", ("Softmin", "dim"): "", ("LogSoftmax", "dim"): "",
    ("softmax", "dim"): "", ("softmin", "dim"): "", ("log_softmax", "dim"): "",
}  # fmt: skip


def classes(chapter):
    module = importlib.import_module(f"torch.nn.modules.{chapter}")
    return [name for name in module.__all__ if not name.startswith("Lazy")]


NAMES = [name for chapter in CHAPTERS for name in classes(chapter)]


def test_the_lists_are_not_empty():
    assert len(NAMES) > 50
    assert {"ReLU", "BatchNorm2d", "ModuleList", "Bilinear", "GLU"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_there_or_left_out_for_a_reason(name):
    assert hasattr(nnx, name) or name in LEFT_OUT, f"torch.nn.{name} is missing"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LEFT_OUT])
def test_every_layer_takes_pytorchs_arguments(name):
    same_arguments(name, getattr(nnx, name).__init__, getattr(torch.nn, name).__init__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_pytorchs_arguments(name):
    theirs = getattr(torch.nn.functional, name)
    try:
        inspect.signature(theirs)
    except ValueError:  # built in
        assert hasattr(F, name)
        return
    same_arguments(name, getattr(F, name), theirs)


def same_arguments(name, ours, theirs):
    own, other = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    for argument, described in other.items():
        if argument in NOT_TAKEN or (name, argument) in LEFT_OUT_ARGUMENTS or described.kind in (2, 4):
            continue
        found = next(iter(own.values())) if argument == "input" else own.get(argument)
        assert found is not None, f"{name} has no argument {argument}"
        default = described.default
        if default is not inspect.Parameter.empty:
            assert found.default == default, f"{name}({argument}={found.default!r}), PyTorch's is {default!r}"


INPLACE = [name for name in NAMES if "inplace" in inspect.signature(getattr(torch.nn, name)).parameters]


@pytest.mark.parametrize("name", [name for name in INPLACE if hasattr(nnx, name)])
def test_inplace_is_taken_and_changes_nothing(name):
    """Where PyTorch's code says inplace=True, by name or by position."""
    given = {"Threshold": (0.1, 20.0)}.get(name, ())
    layer, x = getattr(nnx, name)(*given, inplace=True), np.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
    if name in ("Dropout2d", "Dropout3d", "FeatureAlphaDropout"):
        x = x.reshape(2, 3, 2, 2) if name == "Dropout2d" else x.reshape(2, 3, 2, 2, 1)
    before = x.copy()
    nnx.seed(0)
    y = layer(x)
    nnx.seed(0)
    np.testing.assert_array_equal(y, getattr(nnx, name)(*given)(x))
    np.testing.assert_array_equal(x, before)


def test_arguments_that_a_module_does_not_take_are_refused():
    class Bare(nnx.Module):
        def __call__(self, x):
            return x

    Bare()
    with pytest.raises(TypeError, match=r"Bare\(\) takes no arguments, got 3, 'width'"):
        Bare(3, width=4)
    with pytest.raises(TypeError, match="unexpected keyword"):
        nnx.ReLU(anything=1)
