"""What is not elementwise is named, with the way out."""

import numpy as np
import pytest

import nnx
from nnx.fusion import NotElementwise, fuse

CLOSED = np.ones(3)
REFUSED = {
    "sum": (lambda x, a: nnx.namespace(x).sum(x), "sum is not elementwise: compute it outside of the fused function"),
    "matmul": (lambda x, a: nnx.namespace(x).matmul(x, x), "matmul is not elementwise"),
    "@": (lambda x, a: x @ x, "a matrix product of a value that is being traced"),
    "reshape": (lambda x, a: nnx.namespace(x).reshape(x, (-1,)), "reshape is not elementwise"),
    "zeros": (lambda x, a: nnx.namespace(x).zeros(3) + x, "zeros is not elementwise"),
    "linalg": (lambda x, a: nnx.namespace(x).linalg.inv(x), "linalg.inv is not elementwise"),
    "branch": (lambda x, a: x if x > 0 else -x, r"a branch on a value .* xp.where\(condition, a, b\)"),
    "branch on a number": (lambda x, a: x if a > 0 else -x, "a branch on a value"),
    "float": (lambda x, a: x * float(a), r"float\(\) of a value"),
    "shape": (lambda x, a: x / x.shape[0], "shapes are not known"),
    "len": (lambda x, a: x / len(x), r"len\(\) of a value"),
    "size": (lambda x, a: x / x.size, "x.size is not known"),
    "index": (lambda x, a: x[0], "a part of a value"),
    "closed over": (lambda x, a: x + CLOSED, r"an array of shape \(3,\) that is not one of its arguments: pass it"),
    "asarray": (lambda x, a: nnx.namespace(x).asarray(1.0), "asarray makes an array"),
    "a number's root": (lambda x, a: nnx.namespace(x).sqrt(a) * x, "xp.sqrt takes an array, got Number"),
    "a number": (lambda x, a: a, "returns an array or a tuple of arrays, got a number"),
    "nothing": (lambda x, a: None, "returns an array or a tuple of arrays, got NoneType"),
    "a list": (lambda x, a: [x], "returns an array or a tuple of arrays, got list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        fuse(function)(np.ones(3), 2.0)


def test_a_value_kept_from_another_trace():
    kept = []

    def leaky(x, y):
        kept.append(x)
        return kept[0] + y

    fuse(leaky)(np.ones(40000), np.ones(40000))
    with pytest.raises(NotElementwise, match="another trace"):
        fuse(leaky)(np.ones(40000, "float32"), np.ones(40000, "float32"))


def test_an_argument_that_is_none_of_these():
    with pytest.raises(TypeError, match=r"arguments are arrays, numbers, or static .* got ndarray, list"):
        fuse(lambda x, y: x)(np.ones(3), [1.0])


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="broadcast"):
        fuse(lambda x, y: x + y)(np.ones(40000), np.ones(39999))
