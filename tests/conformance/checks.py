"""Every function, operator, method and kind of index: as many drawn calls as asked for, compared with the library's.

`run` counts them by library and name, which is the figure that `python -m tests.conformance` prints.
"""

import operator
from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conformance.compare import compared, difference
from tests.conformance.draws import ANY, BOOL, FLOATING, INTEGRAL, NUMERIC
from tests.conformance.libraries import functions, named

REFUSED = {"linalg.svd", "linalg.qr"}
"""Functions that refuse a watched array in some of their calls, and say so: extra vectors that have no derivative."""

ROUNDING = 1000.0
"""Units in the last place of the largest element by which a rule made of others may differ from the library."""

UNMADE = {"empty", "empty_like"}  # their values are whatever was there
TYPES_ALONE = {"__array_namespace_info__"}  # test_namespace looks at it


def function_checks(library):
    rows = library.draws().rows
    wanted = [n for n in functions(library.version) if n not in TYPES_ALONE]
    missing = [n for n in wanted if n not in rows]
    assert not missing, f"the standard has functions without a row in rows.py: {missing}"
    return {n: (rows[n], lambda xp, *args, _n=n, **options: _called(xp, _n, args, options)) for n in wanted}


def _called(xp, name, args, options):
    y = named(xp, name)(*args, **options)
    return (y.shape, y.dtype) if name in UNMADE else y


UNARY = "abs invert neg pos".split()  # noqa: SIM905
BINARY = "add and eq floordiv ge gt le lt matmul mod mul ne or pow sub truediv xor".split()  # noqa: SIM905
SHIFTS = "lshift rshift".split()  # noqa: SIM905
REFLECTED = "add and floordiv matmul mod mul or pow sub truediv xor".split()  # noqa: SIM905
IN_PLACE = "add floordiv mod mul pow sub truediv and or xor".split()  # noqa: SIM905
CONVERSIONS = {"bool": bool, "int": int, "float": float, "complex": complex, "index": operator.index}


def operator_checks(library):
    d = library.draws()
    one = st.tuples(st.tuples(d.array()), st.just({}))
    two = d.pair().map(lambda xs: (xs, {}))
    few = st.integers(0, 7)
    shifts = d.dtypes[INTEGRAL].flatmap(
        lambda t: d.calls(d.xps.arrays(t, (2, 3)), few | d.xps.arrays(t, (3,), elements=few))
    )
    scalar = st.tuples(
        st.tuples(d.finite(FLOATING, ()) | d.array(INTEGRAL, ()) | d.array(BOOL, ()) | d.array(shape=(1,))), st.just({})
    )
    checks = {f"__{n}__": (one, _operator(n)) for n in UNARY}
    checks |= {f"__{n}__": (two, _operator(n)) for n in BINARY} | {f"__{n}__": (shifts, _operator(n)) for n in SHIFTS}
    checks |= {f"__r{n}__": (two, lambda xp, x, y, _n=n: _reflected(_n, x, y)) for n in REFLECTED}
    checks |= {f"__i{n}__": (two, lambda xp, x, y, _n=n: _in_place(_n, x, y)) for n in IN_PLACE}
    checks |= {f"__i{n}__": (shifts, lambda xp, x, y, _n=n: _in_place(_n, x, y)) for n in SHIFTS}
    factors = d.rows["matmul"]
    checks["__matmul__"] = (factors, _operator("matmul"))
    checks["__rmatmul__"] = (factors, lambda xp, x, y: y.__rmatmul__(x))
    checks["__imatmul__"] = (
        d.alike((3, 3), (3, 3)).map(lambda xs: (xs, {})),
        lambda xp, x, y: _in_place("matmul", x, y),
    )
    checks |= {f"__{n}__": (scalar, lambda xp, x, _f=f: _f(x)) for n, f in CONVERSIONS.items()}
    return checks


def _operator(name):
    f = getattr(operator, f"__{name}__")
    return lambda xp, *args: f(*args)


def _reflected(name, x, y):
    """The method alone, called with a number or an array of the same library."""
    x, y = (y, x) if not hasattr(x, "shape") else (x, y)
    return getattr(x, f"__r{name}__")(y)


def _in_place(name, x, y):
    """The statement `x += y`: where the library changes nothing but values, the result is x's in dtype and shape."""
    if not hasattr(x, "shape"):
        return None
    z = getattr(operator, name)(x, y) if name not in ("and", "or") else getattr(operator, f"__{name}__")(x, y)
    if z.shape != x.shape or z.dtype != x.dtype:
        return None  # an error in one library, another array in the next
    return getattr(operator, f"__i{name}__")(
        x * 1 if z.dtype != x.dtype else +x if "bool" not in str(x.dtype) else x & x, y
    )


def indexing_checks(library):
    d = library.draws()
    xps = d.xps
    boxes = d.array(shape=d.shapes(low=1)) | d.array()

    @st.composite
    def basic(draw):
        x = draw(boxes)
        return (x, draw(xps.indices(tuple(x.shape), allow_newaxis=True, max_dims=5))), {}

    @st.composite
    def assigned(draw):
        x = draw(boxes)
        key = draw(xps.indices(tuple(x.shape), allow_newaxis=False))
        number = xps.from_dtype(x.dtype) | xps.arrays(x.dtype, ())
        return (x, key, draw(number)), {}

    mask = d.array().flatmap(lambda x: st.tuples(st.just(x), xps.arrays(d.xp.bool, tuple(x.shape))))
    index = xps.arrays(d.xp.int64, (2, 2), elements=st.integers(-3, 2))
    pairs = st.tuples(d.array(shape=(3, 3)), st.tuples(index, index))
    mixed = st.tuples(d.array(shape=(3, 3, 2)), st.tuples(index, index, st.integers(0, 1)))
    outside = st.tuples(d.array(shape=(2, 3)), st.sampled_from([5, -4, (0, 7), (0, 0, 0), (..., ...), "a", 1.5]))
    plain = lambda pair: pair.map(lambda xk: (xk, {}))
    written = mask.flatmap(lambda xm: xps.from_dtype(xm[0].dtype).map(lambda v: ((*xm, v), {})))
    rows = st.tuples(
        d.alike((3, 3), (3,)), st.sampled_from([0, slice(None), (slice(1, None),), (..., slice(None)), -1])
    )
    into = st.tuples(d.array(FLOATING, (2, 3)), st.sampled_from([0, (..., slice(1, None))]), d.array(ANY, ()))
    return {
        "x[slices]": (basic(), lambda xp, x, key: x[key]),
        "x[mask]": (plain(mask), lambda xp, x, key: x[key]),
        "x[integers, integers]": (plain(pairs | mixed), lambda xp, x, key: x[key]),
        "x[wrong]": (plain(outside), lambda xp, x, key: x[key]),
        "x[slices] = number": (assigned(), _assign),
        "x[mask] = number": (written, _assign),
        "x[...] = array": (rows.map(lambda r: ((r[0][0], r[1], r[0][1]), {})), _assign),
        "x[...] = array of any dtype": (plain(into), _assign),
        "list(x)": (plain(st.tuples(d.array(shape=d.shapes(low=1)))), lambda xp, x: [x[k] for k in range(x.shape[0])]),
    }


def _assign(xp, x, key, value):
    y = xp.asarray(x, copy=True)
    y[key] = value
    return y


ATTRIBUTES = "dtype device ndim shape size T mT".split()  # noqa: SIM905


def attribute_checks(library):
    d = library.draws()
    one = st.tuples(st.tuples(d.array()), st.just({}))
    checks = {f"x.{n}": (one, lambda xp, x, _n=n: getattr(x, _n)) for n in ATTRIBUTES}
    matrix = st.tuples(st.tuples(d.array(shape=d.shapes(low=2, high=2))), st.just({}))
    checks["x.T"] = (matrix, lambda xp, x: x.T)  # of other arrays an error in one library, a value in the next
    checks["x.to_device"] = (one, lambda xp, x: x.to_device(x.device))
    numbers = st.tuples(st.tuples(d.array(NUMERIC)), st.just({}))
    checks["x.__dlpack_device__"] = (numbers, lambda xp, x: tuple(map(int, x.__dlpack_device__())))
    checks["xp of x"] = (one, lambda xp, x: x.__array_namespace__(api_version="2024.12") is not None)
    checks["xp of an unknown version"] = (one, lambda xp, x: x.__array_namespace__(api_version="1999.01"))
    return checks


PARTS = {
    "functions": function_checks,
    "operators": operator_checks,
    "indexing": indexing_checks,
    "attributes": attribute_checks,
}


def run(library, name, strategy, call, examples):
    """Counts of (constant, watched, ...) and the first difference of as many drawn calls."""
    counts, found = Counter(), []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(strategy)
    def drawn(args):
        with library.in_version():
            one(args)

    def one(args):
        for how, theirs, ours in compared(call, *args, library.below, library.above):
            counts[how] += 1
            if how == "watched" and name in REFUSED and isinstance(ours, NotImplementedError):
                counts["refused"] += 1
                continue
            loose = how == "watched" or name in library.rounded
            different = difference(theirs, ours, ROUNDING if loose else 0.0)
            if different is None:
                counts[f"{how} equal"] += 1
            else:
                found.append(f"{library.name}, {name} of {how} {args}: {different}")

    drawn()
    return counts, found
