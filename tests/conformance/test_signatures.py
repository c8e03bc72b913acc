"""The standard's signatures, as array-api-strict writes them: names, kinds, defaults, of functions and of methods."""

import inspect

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import Var
from tests.conformance.libraries import LIBRARIES, NEWEST, functions, named

NAMED_THERE = {"__setitem__"}  # array-api-strict lets its arguments be named, the standard does not
EXTENDED = {"expand_dims"}  # its axis has a default in 2023.12 and 2024.12, and none in 2025.12
OF_THE_STANDARD = [
    n for n, f in vars(strict.asarray(0).__class__).items() if inspect.isfunction(f) and n.startswith("__")
]
ITS_OWN = {"__init__", "__new__", "__repr__", "__str__", "__hash__", "__iter__", "__len__", "__array__", "__buffer__"}
IN_PLACE = {f"__i{n}__" for n in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()}  # noqa: SIM905


def parts(function):
    """(name of what may be given by name, kind, default) of each parameter."""
    return [
        (
            p.name if p.kind is not p.POSITIONAL_ONLY else "",
            p.kind,
            None if "UNDEF" in repr(p.default) else p.default,
        )
        for p in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize("name", functions(NEWEST))
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_of_functions(library, name):
    with library.in_version():
        if name not in functions(library.version):
            return
        found, expected = parts(named(library.above, name)), parts(named(strict, name))
    assert found == expected or name in EXTENDED


def of_the_arrays():
    return [n for n in OF_THE_STANDARD if n not in ITS_OWN and n not in IN_PLACE]


@pytest.mark.parametrize("name", of_the_arrays())
def test_of_methods(name):
    x = strict.asarray([1.0])
    found, expected = parts(getattr(Var(x), name)), parts(getattr(x, name))
    assert found == expected or (name in NAMED_THERE and len(found) == len(expected))


def test_the_lists_of_names_are_not_empty():
    assert len(functions(NEWEST)) > 170
    assert {"__add__", "__rpow__", "__array_namespace__", "__dlpack__", "__setitem__"} <= set(of_the_arrays())


def test_arguments_of_an_operation_may_not_be_named():
    xp = nnx.namespace(Var(np.ones(2)))
    for call in (lambda: xp.exp(x=np.ones(2)), lambda: xp.add(x1=np.ones(2), x2=1.0), lambda: xp.sum(np.ones(2), 0)):
        with pytest.raises(TypeError):
            call()
