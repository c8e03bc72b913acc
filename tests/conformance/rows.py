"""The rows of `draws`, chapter by chapter of the standard."""

import math

from hypothesis import strategies as st

from tests.conformance.draws import ANY, BOOL, COMPLEX, FLOATING, INTEGRAL, NUMERIC, OPTIONS_OF_NORM, REAL, kwargs

UNARY = """abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite isinf
isnan log log10 log1p log2 logical_not negative positive real reciprocal round sign signbit sin sinh sqrt square tan
tanh trunc""".split()  # noqa: SIM905
BINARY = """add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal
floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum minimum
multiply nextafter not_equal pow remainder subtract""".split()  # noqa: SIM905
SHIFTS = ("bitwise_left_shift", "bitwise_right_shift")


def elementwise(d):
    rows = {name: d.calls(d.array(ANY)) | d.calls(d.array(FLOATING)) for name in UNARY}
    rows |= {name: d.pair().map(lambda xs: (xs, {})) for name in BINARY}
    few = st.integers(0, 7)
    for name in SHIFTS:  # more than an array's bits is undefined
        rows[name] = d.dtypes[INTEGRAL].flatmap(
            lambda t: d.calls(d.xps.arrays(t, (2, 3)), few | d.xps.arrays(t, (3,), elements=few))
        )
    number = st.sampled_from([-2, 0, 1.5, 3, None])
    bounds = st.tuples(number, number).map(lambda b: tuple(sorted(b)) if None not in b else b)
    rows["clip"] = st.tuples(d.array(REAL), bounds).map(lambda xb: ((xb[0], *xb[1]), {})) | d.calls(
        d.finite(), min=d.finite(shape=()), max=st.just(200.0)
    )
    return rows


def statistics(d):
    rows = {name: d.reduction() for name in ("max", "min")} | {"mean": d.reduction(FLOATING)}
    rows |= {n: d.reduction("real floating", correction=st.sampled_from([0, 1, 0.5, 0.0, 7])) for n in ("var", "std")}
    rows |= {name: d.reduction(ANY, dtype=d.dtype_or_none(NUMERIC)) for name in ("sum", "prod")}
    running = d.with_axis(d, NUMERIC).flatmap(
        lambda xa: kwargs(include_initial=st.booleans(), dtype=d.dtype_or_none(NUMERIC)).map(
            lambda kw: ((xa[0],), {"axis": xa[1], **kw})
        )
    )
    rows |= dict.fromkeys(("cumulative_sum", "cumulative_prod"), running)
    return rows


def searching(d):
    rows = {name: d.reduction(REAL, several=False) for name in ("argmax", "argmin")}
    rows |= {name: d.reduction(ANY) for name in ("all", "any", "count_nonzero")}
    ordered = d.with_axis(d, REAL, none=False).flatmap(
        lambda xa: kwargs(descending=st.booleans(), stable=st.just(True)).map(
            lambda kw: ((xa[0],), {"axis": xa[1], **kw})
        )
    )
    rows |= dict.fromkeys(("sort", "argsort"), ordered) | {"nonzero": d.calls(d.array(ANY))}
    rows["isin"] = d.dtypes[INTEGRAL].flatmap(
        lambda t: d.calls(d.xps.arrays(t, (2, 3)), d.xps.arrays(t, (2,)), invert=st.booleans())
    )
    line = d.finite("real floating", d.shapes(low=1, high=1))
    rows["searchsorted"] = d.calls(line.map(d.xp.sort), d.finite(), side=st.sampled_from(["left", "right"]))
    three = d.xps.mutually_broadcastable_shapes(3, max_dims=3, max_side=3).map(lambda s: s.input_shapes)
    rows["where"] = d.dtypes[ANY].flatmap(
        lambda t: three.flatmap(
            lambda s: d.calls(d.array(BOOL, s[0]), d.xps.arrays(t, s[1]), d.xps.arrays(t, s[2]) | st.just(1))
        )
    )
    kinds = ANY, REAL, NUMERIC
    rows |= {f"unique_{k}": d.calls(d.array(kinds[1])) for k in ("all", "counts", "inverse", "values")}
    return rows


def creation(d):
    where = {"dtype": d.dtype_or_none()}
    shape = d.shapes() | st.integers(0, 4)
    number = st.integers(-5, 5) | st.floats(-5, 5, width=32)
    rows = {name: d.calls(shape, **where) for name in ("ones", "zeros", "empty")}
    rows |= {f"{name}_like": d.calls(d.array(), **where) for name in ("ones", "zeros", "empty")}
    fill = st.sampled_from([0, 1, True, 2.5, -math.inf, math.nan, 1j])
    rows["full"] = d.calls(shape, fill, **where)
    rows["full_like"] = d.calls(d.array(), fill, **where)
    rows["eye"] = d.calls(st.integers(0, 4), st.integers(0, 4) | st.none(), k=st.integers(-5, 5), **where)
    step = st.sampled_from([1, 2, 0.5, -1, -0.25, 3])
    rows["arange"] = d.calls(number) | d.calls(number, number, step, dtype=d.dtype_or_none(REAL))
    rows["linspace"] = d.calls(
        number, number, st.integers(0, 5), endpoint=st.booleans(), dtype=d.dtype_or_none(FLOATING)
    )
    nested = st.sampled_from([1, True, 2.5, 1j, [], [1, 2], [[1.0], [2]], [True, False], [[], []], (1, (2)), [1, 2.5j]])
    copy = {"copy": st.sampled_from([None, True, False])}
    rows["asarray"] = d.calls(nested, **where) | d.calls(d.array(), **where, **copy)
    rows["from_dlpack"] = d.calls(d.array(NUMERIC), **copy)
    lines = d.dtypes["real floating"].flatmap(lambda t: st.lists(d.xps.arrays(t, d.shapes(high=1)), max_size=3))
    rows["meshgrid"] = lines.flatmap(
        lambda xs: kwargs(indexing=st.sampled_from(["xy", "ij", "yx"])).map(lambda kw: (tuple(xs), kw))
    )
    rows |= {name: d.calls(d.array(ANY, d.shapes(low=1)), k=st.integers(-3, 3)) for name in ("tril", "triu")}
    return rows


def types(d):
    kinds = st.sampled_from(
        ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]
    )
    kind = kinds | d.dtypes[ANY] | st.lists(kinds | d.dtypes[ANY]).map(tuple)
    either = d.dtypes[ANY] | d.array()
    return {
        "isdtype": d.calls(d.dtypes[ANY], kind),
        "can_cast": d.calls(either, d.dtypes[ANY]),
        "result_type": st.lists(either | st.sampled_from([1, True, 2.5, 1j]), max_size=3).map(
            lambda xs: (tuple(xs), {})
        ),
        "finfo": d.calls(d.dtypes[FLOATING] | d.array(FLOATING)),
        "iinfo": d.calls(d.dtypes[INTEGRAL] | d.array(INTEGRAL)),
        "astype": d.calls(d.finite(REAL), d.dtypes[ANY], copy=st.booleans()),
        "broadcast_shapes": st.lists(d.shapes(), max_size=3).map(lambda s: (tuple(s), {})),
    }


def manipulation(d):
    some = d.with_axis(d, none=False)
    by_axis = some.map(lambda xa: ((xa[0],), {"axis": xa[1]}))
    several = d.with_axis(d, several=True, low=0)
    arrays = st.tuples(d.shapes(low=1), d.dtypes[ANY]).flatmap(
        lambda sd: st.lists(d.xps.arrays(sd[1], sd[0]), min_size=1, max_size=3)
    )
    joined = st.tuples(arrays, st.integers(-3, 3) | st.none()).map(lambda a: ((a[0],), {"axis": a[1]}))
    rows = {
        "concat": joined | joined.map(lambda c: (c[0], {})),
        "stack": joined.filter(lambda c: c[1]["axis"] is not None),
    }
    rows["expand_dims"] = some.map(lambda xa: ((xa[0],), {"axis": xa[1]}))
    squeezed = d.array(shape=d.shapes(low=1, side=1))
    rows["squeeze"] = d.with_axis(d, several=True, none=False, array=squeezed).map(lambda xa: (xa, {}))
    rows["flip"] = several.map(lambda xa: ((xa[0],), {"axis": xa[1]}))
    rows["unstack"] = by_axis
    shift = st.integers(-4, 4)
    rows["roll"] = several.flatmap(
        lambda xa: d.calls(
            st.just(xa[0]),
            st.tuples(*[shift] * len(xa[1])) if isinstance(xa[1], tuple) else shift,
            axis=st.just(xa[1]),
        )
    )
    rows["reshape"] = d.array().flatmap(
        lambda x: d.calls(
            st.just(x),
            st.sampled_from([(-1,), tuple(x.shape), (*x.shape, 1), (7, 5)]),
            copy=st.sampled_from([None, True]),
        )
    )
    rows["permute_dims"] = d.array().flatmap(lambda x: d.calls(st.just(x), st.permutations(range(x.ndim)).map(tuple)))
    axis = st.integers(-3, 2)
    rows["moveaxis"] = d.calls(d.array(shape=d.shapes(low=2)), axis, axis) | d.calls(
        d.array(shape=d.shapes(low=2, high=2)), st.just((0, 1)), st.sampled_from([(1, 0), (-1, -2)])
    )
    rows["matrix_transpose"] = d.calls(d.array())
    rows["broadcast_to"] = d.array().flatmap(
        lambda x: d.calls(st.just(x), st.sampled_from([tuple(x.shape), (2, *x.shape), (3, 3, 3)]))
    )
    rows["broadcast_arrays"] = d.pair(numbers=False).map(lambda xs: (xs, {})) | d.calls(d.array(), d.array(), d.array())
    rows["tile"] = d.calls(d.array(), st.lists(st.integers(0, 3), max_size=4).map(tuple))
    counts = d.xps.arrays(d.xp.int64, (3,), elements=st.integers(0, 3))
    rows["repeat"] = d.with_axis(d).flatmap(
        lambda xa: d.calls(st.just(xa[0]), st.integers(0, 3), axis=st.just(xa[1]))
    ) | d.calls(d.array(shape=(3, 2)), counts, axis=st.just(0))
    rows["diff"] = d.with_axis(d, NUMERIC, none=False, empty=False).flatmap(
        lambda xa: d.calls(st.just(xa[0]), axis=st.just(xa[1]), n=st.integers(1, 3))
    )
    row = d.finite(shape=(2, 1))
    rows["diff"] |= d.calls(d.finite(shape=(2, 3)), prepend=row, append=row)
    index = d.xps.arrays(d.xp.int64, st.integers(0, 4), elements=st.integers(0, 2))
    rows["take"] = st.tuples(st.tuples(d.array(shape=(3, 3)), index), axis.map(lambda k: {"axis": k})) | d.calls(
        d.array(shape=(3,)), index
    )
    grid = d.xps.arrays(d.xp.int64, (3, 3), elements=st.integers(-3, 2))
    rows["take_along_axis"] = d.calls(d.array(shape=(3, 3)), grid, axis=st.integers(-2, 1))
    return rows


def products(d):
    sizes = st.integers(0, 3)
    fitting = st.sampled_from(["ij,jk", "j,jk", "ij,j", "j,j", "bij,jk", "bij,bjk", "1ij,bjk", "ij,kj"])

    @st.composite
    def factors(draw):
        size = {k: draw(sizes) for k in "bijk"} | {"1": 1}
        return draw(d.alike(*(tuple(size[k] for k in s) for s in draw(fitting).split(",")), kind=NUMERIC))

    shapes = st.sampled_from([(3,), (2, 3), (2, 1, 3), (0, 3)])
    last = d.alike(shapes, shapes, kind=NUMERIC).map(lambda xs: (xs, {}))
    vecdot = last | d.alike((2, 3), (2, 3), kind=NUMERIC).map(lambda xs: (xs, {"axis": -2}))
    rows = {"matmul": factors().map(lambda xs: (tuple(xs), {})), "vecdot": vecdot}
    axes = st.sampled_from([0, 1, 2, ((-1,), (0,)), ((0, 1), (1, 0)), ((0, 1), (0, 1))])
    rows["tensordot"] = d.alike((2, 2), (2, 2), kind=NUMERIC).flatmap(
        lambda xs: st.tuples(st.just(xs), kwargs(axes=axes))
    )
    return rows


def linalg(d):
    square, any_shape = d.matrices() | d.matrices(COMPLEX), d.matrices(square=False) | d.matrices(COMPLEX, square=False)
    positive = d.matrices().map(lambda a: d.xp.matmul(a, a.mT) + 200.0 * d.xp.eye(a.shape[-1], dtype=a.dtype))
    symmetric = d.matrices().map(lambda a: a + a.mT)
    one = d.calls(square)
    names = ("det", "inv", "slogdet", "eig", "eigvals")
    rows = {f"linalg.{name}": one for name in names} | {f"linalg.{n}": d.calls(symmetric) for n in ("eigh", "eigvalsh")}
    rows["linalg.cholesky"] = d.calls(positive, upper=st.booleans())
    rows["linalg.qr"] = d.calls(any_shape, mode=st.sampled_from(["reduced", "complete"]))
    rows["linalg.svd"] = d.calls(any_shape, full_matrices=st.booleans())
    rows["linalg.svdvals"] = d.calls(any_shape)
    rows["linalg.pinv"] = d.calls(any_shape, rtol=st.sampled_from([None, 0.1]))
    rows["linalg.matrix_rank"] = d.calls(any_shape, rtol=st.sampled_from([None, 0.1]))
    rows["linalg.matrix_power"] = d.calls(square, st.integers(-2, 4))
    ords = st.sampled_from(["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf, None])
    rows["linalg.matrix_norm"] = d.calls(any_shape, keepdims=st.booleans(), ord=ords)
    ords = st.sampled_from([2, 1, 0, 3, 0.5, -1, -2.5, math.inf, -math.inf])
    rows["linalg.vector_norm"] = d.with_axis(
        d, several=True, array=d.finite(shape=d.shapes(1)) | d.finite(COMPLEX, d.shapes(1))
    ).flatmap(lambda xa: d.calls(st.just(xa[0]), axis=st.just(xa[1]), keepdims=st.booleans(), ord=ords))
    rows["linalg.trace"] = d.calls(
        d.array(NUMERIC, d.shapes(low=2)), offset=st.integers(-3, 3), dtype=d.dtype_or_none(NUMERIC)
    )
    rows["linalg.diagonal"] = d.calls(d.array(shape=d.shapes(low=2)), offset=st.integers(-3, 3))
    line = d.shapes(low=1, high=1)
    rows["linalg.outer"] = d.alike(line, line, kind=NUMERIC).map(lambda xs: (xs, {}))
    threes = st.sampled_from([(3,), (2, 3), (3, 3)])
    rows["linalg.cross"] = d.alike(threes, threes, kind=NUMERIC).map(lambda xs: (xs, {})) | d.alike(
        (3, 2), (3, 2), kind=NUMERIC
    ).map(lambda xs: (xs, {"axis": -2}))
    side = st.sampled_from([(3, 3), (2, 3, 3)])
    right = st.sampled_from([(3,), (3, 1), (3, 2), (2, 3, 2)])
    rows["linalg.solve"] = d.calls(d.finite(shape=side), d.finite(shape=right))
    rows |= {f"linalg.{n}": products(d)[n] for n in ("matmul", "vecdot", "tensordot")}
    rows["linalg.matrix_transpose"] = d.calls(d.array())
    return rows


def fft(d):
    norm = {"norm": st.sampled_from(OPTIONS_OF_NORM)}
    complex_ = d.finite(COMPLEX, d.shapes(low=1, empty=False))
    real = d.finite("real floating", d.shapes(low=1, empty=False))
    one = {"n": st.integers(1, 5) | st.none(), "axis": st.sampled_from([-1, 0, -1, 2]), **norm}
    rows = {f"fft.{name}": d.calls(complex_ | real, **one) for name in ("fft", "ifft", "irfft", "hfft")}
    rows |= {f"fft.{name}": d.calls(real, **one) for name in ("rfft", "ihfft")}

    def several(x):
        axes = st.lists(st.integers(0, max(x.ndim - 1, 0)), unique=True, min_size=1).map(tuple)
        return axes.flatmap(
            lambda a: d.calls(st.just(x), axes=st.just(a), s=st.tuples(*[st.integers(1, 4)] * len(a)), **norm).filter(
                lambda c: "s" not in c[1] or "axes" in c[1]
            )
        )

    rows |= {f"fft.{name}": complex_.flatmap(several) for name in ("fftn", "ifftn", "irfftn")}
    rows["fft.rfftn"] = real.flatmap(several)
    shifted = d.with_axis(d, several=True).map(lambda xa: ((xa[0],), {"axes": xa[1]}))
    rows |= dict.fromkeys(("fft.fftshift", "fft.ifftshift"), shifted)
    freq = d.calls(st.integers(1, 6), d=st.sampled_from([1.0, 0.5, 2]), dtype=d.dtype_or_none("real floating"))
    return rows | dict.fromkeys(("fft.fftfreq", "fft.rfftfreq"), freq)


PARTS = (elementwise, statistics, searching, creation, types, manipulation, products, linalg, fft)
