"""erf, the library's own and the one written on the standard."""

import numpy as np

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from nnx.functional.special import erf_of_standard
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close

X = np.concatenate([np.linspace(-7.0, 7.0, 197), [0.0, 0.46875, -0.46875, 4.0, 1e4, -1e4, 1e-300]])


def test_erf(backend):
    check_against_torch(F.erf, torch.special.erf, X)
    check_second_order(F.erf, torch.special.erf, X)


def test_erf_of_the_standard(backend):
    assert_close(erf_of_standard(nnx.asarray(X)), torch.special.erf(torch.from_numpy(X)).numpy(), 2e-15)


def test_gradient_equals_differences():
    gradcheck(F.erf, X[20:-7:8], order=2)
    gradcheck(erf_of_standard, X[20:-7:8], order=2)
