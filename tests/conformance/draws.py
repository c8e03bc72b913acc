"""What to call each function of the standard with: a row a function, a hypothesis strategy of (arguments, options).

Arrays come from `hypothesis.extra.array_api` over nnx's own namespace, as the standard's test-suite makes them. Most
are right calls; wrong ones (an axis too many, a dtype that a function refuses) are drawn as well, for an error is part
of a function's behaviour.
"""

import math

from hypothesis import strategies as st
from hypothesis.extra.array_api import make_strategies_namespace

ANY, REAL, FLOATING, NUMERIC, INTEGRAL, BOOL, COMPLEX = "any real floating numeric integral bool complex".split()  # noqa: SIM905
OPTIONS_OF_NORM = ("backward", "ortho", "forward")


class Draws:
    """The rows over one namespace, for one version of the standard."""

    def __init__(self, xp, version):
        self.xp, self.xps = xp, make_strategies_namespace(xp, api_version=version)
        xps = self.xps
        self.dtypes = {
            ANY: xps.scalar_dtypes(),
            REAL: xps.real_dtypes(),
            FLOATING: xps.floating_dtypes() | xps.complex_dtypes(),
            NUMERIC: xps.numeric_dtypes(),
            INTEGRAL: xps.integer_dtypes() | xps.unsigned_integer_dtypes(),
            BOOL: xps.boolean_dtypes(),
            COMPLEX: xps.complex_dtypes(),
            "real floating": xps.floating_dtypes(),
        }
        self.rows = self._rows()

    # ---- arrays --------------------------------------------------------------------------------------------------

    def shapes(self, low=0, high=3, side=3, empty=True):
        return self.xps.array_shapes(min_dims=low, max_dims=high, min_side=0 if empty else 1, max_side=side)

    def array(self, kind=ANY, shape=None, dtype=None, **elements):
        dtype = self.dtypes[kind] if dtype is None else dtype
        return self.xps.arrays(dtype, self.shapes() if shape is None else shape, elements=elements or None)

    def finite(self, kind="real floating", shape=None):
        """An array of numbers of moderate size."""
        if kind != COMPLEX:
            low = 0 if kind == REAL else -100
            return self.array(kind, shape, min_value=low, max_value=100, allow_nan=False, allow_infinity=False)
        numbers = st.complex_numbers(max_magnitude=100.0, width=64, allow_subnormal=False)
        return self.xps.arrays(self.dtypes[COMPLEX], self.shapes() if shape is None else shape, elements=numbers)

    def pair(self, kind=ANY, numbers=True):
        """Two arrays of shapes that broadcast, or an array and a Python number."""
        dtypes = self.dtypes[kind]
        shapes = self.xps.mutually_broadcastable_shapes(2, max_dims=3, max_side=3).map(lambda s: s.input_shapes)
        same = dtypes.flatmap(lambda d: shapes.flatmap(lambda s: st.tuples(*(self.xps.arrays(d, k) for k in s))))
        other = shapes.flatmap(lambda s: st.tuples(*(self.xps.arrays(dtypes, k) for k in s)))
        found = same | same | other
        if numbers:
            number = st.sampled_from([0, 1, -3, 2.5, -0.0, math.inf, math.nan, True, 1j])
            found |= st.tuples(self.array(kind), number) | st.tuples(number, self.array(kind))
        return found

    def alike(self, *shapes, kind=NUMERIC):
        """Arrays of one dtype, finite and moderate: what is summed in another order must not overflow."""
        small = st.complex_numbers(max_magnitude=100.0, width=64, allow_subnormal=False)

        def arrays(dtype):
            whole = self.xp.isdtype(dtype, "integral")
            elements = {"min_value": 0 if whole else -100, "max_value": 10 if whole else 100}
            if self.xp.isdtype(dtype, "complex floating"):
                elements = small
            return st.tuples(*(self.xps.arrays(dtype, s, elements=elements) for s in shapes))

        return self.dtypes[kind].flatmap(arrays)

    @st.composite
    @staticmethod
    def with_axis(draw, self, kind=ANY, several=False, low=1, none=True, array=None, **shape):
        """An array and an axis of it; sometimes one that it has not."""
        x = draw(self.array(kind, self.shapes(low=low, **shape)) if array is None else array)
        axes = st.integers(-x.ndim, max(x.ndim - 1, 0)) | st.integers(-5, 4)
        if several:
            axes |= st.lists(st.integers(0, max(x.ndim - 1, 0)), unique=True).map(tuple)
        return x, draw(axes | st.none() if none else axes)

    def reduction(self, kind=NUMERIC, several=True, none=True, **options):
        """f(x, axis=, keepdims=, ...)."""
        found = self.with_axis(self, kind, several, low=0, none=none)
        return found.flatmap(
            lambda xa: kwargs(keepdims=st.booleans(), **options).map(lambda kw: ((xa[0],), {"axis": xa[1], **kw}))
        )

    def matrices(self, kind="real floating", square=True):
        side = st.integers(1, 3)
        batch = st.sampled_from([(), (), (2,), (0,)])
        shape = st.tuples(batch, side, side).map(lambda s: (*s[0], s[1], s[1] if square else s[2]))
        return self.finite(kind, shape)

    def calls(self, *args, **options):
        return st.tuples(st.tuples(*args), kwargs(**options))

    def dtype_or_none(self, kind=ANY):
        return self.dtypes[kind] | st.none()

    # ---- rows ----------------------------------------------------------------------------------------------------

    def _rows(self):
        from tests.conformance import rows

        return {name: row for part in rows.PARTS for name, row in part(self).items()}


def kwargs(**options):
    """Each option given or left out."""
    return st.fixed_dictionaries({}, optional=options)
