"""Sentences of the standard as functions of a namespace: what its own test-suite demands, without a comparison.

Each is asked of the library alone and of nnx's namespace over it, whose figure may not be lower. A claim takes the
namespace and a source of numbers, and raises where it does not hold.
"""

import cmath
import itertools
import math
import operator

SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64")
FLOATS, COMPLEXES = ("float32", "float64"), ("complex64", "complex128")
NUMERIC = (*SIGNED, *UNSIGNED, *FLOATS, *COMPLEXES)
INF, NAN = math.inf, math.nan
CLAIMS = {}


def claim(name, *variants):
    """Register a claim, once for each variant, which it takes as further arguments."""

    def register(f):
        for v in variants or ((),):
            v = v if isinstance(v, tuple) else (v,)
            CLAIMS[" ".join([name, *map(str, v)])] = lambda xp, _f=f, _v=v: _f(xp, *_v)
        return f

    return register


def promoted(a, b):
    """The dtype of a + b by the standard's table, None where it has none."""
    for family in (SIGNED, UNSIGNED):
        if a in family and b in family:
            return family[max(family.index(a), family.index(b))]
    if a in SIGNED + UNSIGNED and b in SIGNED + UNSIGNED:
        signed, unsigned = (a, b) if a in SIGNED else (b, a)
        wide = max(SIGNED.index(signed), UNSIGNED.index(unsigned) + 1)
        return SIGNED[wide] if wide < 4 else None
    if a in FLOATS + COMPLEXES and b in FLOATS + COMPLEXES:
        double = {a, b} & {"float64", "complex128"}
        return (COMPLEXES if {a, b} & set(COMPLEXES) else FLOATS)[1 if double else 0]
    return None


PAIRS = [(a, b) for a, b in itertools.product(NUMERIC, NUMERIC) if promoted(a, b)]


def ones(xp, name, shape=(2, 3)):
    return xp.ones(shape, dtype=getattr(xp, name))


@claim("promotion", *PAIRS)
def _(xp, a, b):
    x, y, wanted = ones(xp, a), ones(xp, b), getattr(xp, promoted(a, b))
    assert xp.result_type(x.dtype, y.dtype) == wanted == xp.result_type(x, y)
    for f in (xp.add, xp.multiply, operator.sub, operator.mul):
        assert f(x, y).dtype == wanted
    assert xp.concat([x, y]).dtype == xp.where(x == 1, x, y).dtype == xp.matmul(x, y.T).dtype == wanted


@claim("number with", *NUMERIC)
def _(xp, name):
    x = ones(xp, name)
    for y in (x + 1, 1 + x, x * 2, 2 - x if name not in UNSIGNED else x, x**1, x == 1):
        assert y.shape == (2, 3)
        assert y.dtype in (x.dtype, xp.bool)
    if name in FLOATS + COMPLEXES:
        assert (x + 0.5).dtype == (0.5 * x).dtype == (x / 2).dtype == x.dtype
    x += 1
    x *= 2
    assert x.dtype == getattr(xp, name)
    assert bool(xp.all(x == 4))


SHAPES = [
    ((), (2,)),
    ((1,), (3,)),
    ((2, 1), (1, 3)),
    ((4, 1, 2), (3, 1)),
    ((0,), (1,)),
    ((2, 0), ()),
    ((5, 1, 0), (1, 1)),
]


@claim("broadcast", *SHAPES)
def _(xp, a, b):
    wanted = tuple(j if i == 1 else i for i, j in itertools.zip_longest(a[::-1], b[::-1], fillvalue=1))[::-1]
    x, y = ones(xp, "float64", a), ones(xp, "float64", b)
    for f in (xp.add, xp.maximum, xp.atan2, operator.lt, xp.logaddexp):
        assert f(x, y).shape == wanted == f(y, x).shape
    assert [z.shape for z in xp.broadcast_arrays(x, y)] == [wanted, wanted]
    assert xp.broadcast_to(x, wanted).shape == wanted


@claim("no broadcast", ((2,), (3,)), ((2, 3), (3, 2)))
def _(xp, a, b):
    try:
        ones(xp, "float64", a) + ones(xp, "float64", b)
    except Exception:  # the standard does not say which
        return
    raise AssertionError("shapes that do not broadcast were added")


SPECIAL = [
    ("sqrt", (-0.0,), -0.0),
    ("sqrt", (-1.0,), NAN),
    ("exp", (-INF,), 0.0),
    ("log", (0.0,), -INF),
    ("log1p", (-1.0,), -INF),
    ("atan", (INF,), math.pi / 2),
    ("atan2", (0.0, -0.0), math.pi),
    ("atan2", (-0.0, 0.0), -0.0),
    ("ceil", (-0.5,), -0.0),
    ("floor", (-0.0,), -0.0),
    ("round", (2.5,), 2.0),
    ("trunc", (-0.9,), -0.0),
    ("pow", (1.0, NAN), 1.0),
    ("pow", (NAN, 0.0), 1.0),
    ("pow", (-INF, 3.0), -INF),
    ("add", (INF, -INF), NAN),
    ("add", (-0.0, -0.0), -0.0),
    ("subtract", (0.0, 0.0), 0.0),
    ("multiply", (0.0, INF), NAN),
    ("multiply", (-0.0, 2.0), -0.0),
    ("divide", (1.0, -0.0), -INF),
    ("remainder", (-1.0, 3.0), 2.0),
    ("floor_divide", (-1.0, 3.0), -1.0),
    ("hypot", (INF, NAN), INF),
    ("copysign", (2.0, -0.0), -2.0),
    ("maximum", (NAN, 1.0), NAN),
    ("minimum", (1.0, NAN), NAN),
    ("nextafter", (0.0, 1.0), 5e-324),
    ("sign", (-0.0,), 0.0),
    ("abs", (-0.0,), 0.0),
    ("negative", (0.0,), -0.0),
    ("expm1", (-0.0,), -0.0),
    ("tanh", (-INF,), -1.0),
    ("logaddexp", (-INF, -INF), -INF),
    ("square", (-INF,), INF),
    ("reciprocal", (-0.0,), -INF),
    ("asinh", (-0.0,), -0.0),
    ("acosh", (0.5,), NAN),
    ("cos", (INF,), NAN),
]


@claim("special value", *SPECIAL)
def _(xp, name, args, wanted):
    y = float(getattr(xp, name)(*(xp.asarray(a, dtype=xp.float64) for a in args)))
    same_sign = wanted != 0 or name == "sign" or math.copysign(1, y) == math.copysign(1, wanted)
    assert math.isnan(y) if math.isnan(wanted) else y == wanted and same_sign


REDUCED = [
    ("sum", "int8", "int64"),
    ("sum", "uint8", "uint64"),
    ("prod", "int32", "int64"),
    ("sum", "float32", "float32"),
    ("prod", "complex64", "complex64"),
    ("cumulative_sum", "int16", "int64"),
    ("cumulative_prod", "uint16", "uint64"),
    ("mean", "float32", "float32"),
    ("max", "int8", "int8"),
    ("argmax", "float32", "int64"),
    ("std", "float32", "float32"),
    ("count_nonzero", "float32", "int64"),
    ("all", "float32", "bool"),
]


@claim("dtype of a reduction", *REDUCED)
def _(xp, function, given, wanted):
    x = ones(xp, given, (3,))
    y = getattr(xp, function)(x)
    assert y.dtype == getattr(xp, wanted)
    assert y.shape == ((3,) if "cumulative" in function else ())


@claim("conversion", ("float64", 1.5, float), ("int64", -3, int), ("bool", True, bool), ("complex128", 1 - 2j, complex))
def _(xp, dtype, value, kind):
    x = xp.asarray(value, dtype=getattr(xp, dtype))
    assert kind(x) == value
    assert type(kind(x)) is kind
    assert isinstance(x, type(xp.asarray(0)))
    assert x.__array_namespace__() is not None


@claim("limits", *FLOATS, *SIGNED, *UNSIGNED)
def _(xp, name):
    dtype = getattr(xp, name)
    for given in (dtype, ones(xp, name)):
        found = (xp.finfo if name in FLOATS else xp.iinfo)(given)
        kind = float if name in FLOATS else int
        assert found.dtype == dtype
        assert isinstance(found.max, kind)
        assert isinstance(found.min, kind)
        assert found.bits == int("".join(c for c in name if c.isdigit()))


@claim("info")
def _(xp):
    info = xp.__array_namespace_info__()
    assert {"boolean indexing", "data-dependent shapes"} <= set(info.capabilities())
    assert info.default_device() is None or info.default_device() in info.devices()
    assert {"real floating", "complex floating", "integral", "indexing"} <= set(info.default_dtypes())
    assert info.dtypes(kind=("signed integer", "bool")).keys() == {*SIGNED, "bool"}
    assert info.dtypes()["float32"] == xp.float32
    assert xp.__array_api_version__ >= "2024.12"
    assert {xp.float32: 1, xp.int8: 2}[xp.int8] == 2
    assert xp.asarray(0).dtype == info.default_dtypes()["integral"]


@claim("constants")
def _(xp):
    assert (xp.e, xp.pi, xp.inf, xp.newaxis) == (math.e, math.pi, INF, None)
    assert math.isnan(xp.nan)


@claim("copies")
def _(xp):
    x = xp.asarray([1.0, 2.0])
    y, z = xp.asarray(x, copy=True), xp.asarray(x, copy=False)
    x[0] = 5.0
    assert (float(y[0]), float(z[0])) == (1.0, 5.0)
    for wrong in (lambda: xp.asarray([1.0], copy=False), lambda: xp.asarray(x, dtype=xp.float32, copy=False)):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError("copy=False copied")


@claim("sets")
def _(xp):
    x = xp.asarray([[3, 1], [1, 3], [2, 2]])
    found = xp.unique_all(x)
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    assert found.inverse_indices.shape == x.shape
    assert bool(xp.all(xp.take(found.values, xp.reshape(found.inverse_indices, (-1,))) == xp.reshape(x, (-1,))))
    assert xp.unique_counts(x)._fields == ("values", "counts")
    assert xp.unique_inverse(x)._fields == ("values", "inverse_indices")
    assert xp.unique_values(xp.asarray([NAN, NAN])).shape == (2,)


@claim("statements in place", "iadd", "imul", "isub", "itruediv", "ipow", "ifloordiv", "imod")
def _(xp, name):
    x = xp.asarray([[1.0, 2.0, 4.0]])
    y = getattr(operator, name)(xp.asarray(x, copy=True), xp.asarray([2.0, 2.0, 2.0]))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)


@claim("complex", "exp", "sqrt", "log", "sin", "tanh", "acos", "atanh")
def _(xp, name):
    for z in (0.5 - 0.25j, -1.5 + 2j, 0.25 + 0.75j):
        y = complex(getattr(xp, name)(xp.asarray(z)))
        assert cmath.isclose(y, getattr(cmath, name)(z), rel_tol=1e-12)


@claim("sequences")
def _(xp):
    x = xp.reshape(xp.arange(6), (2, 3))
    assert [int(v) for row in xp.unstack(x) for v in xp.unstack(row)] == list(range(6))
    assert [tuple(i.shape) for i in xp.nonzero(x)] == [(5,), (5,)]
    assert [a.shape for a in xp.meshgrid(xp.arange(2), xp.arange(3))] == [(3, 2), (3, 2)]
    assert tuple(xp.linalg.svd(xp.ones((2, 3)))._fields) == ("U", "S", "Vh")


def holds(xp, name):
    """None if it does, or why it does not."""
    try:
        CLAIMS[name](xp)
    except Exception as error:
        return error
    return None
