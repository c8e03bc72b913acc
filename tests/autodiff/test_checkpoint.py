"""nnx.checkpoint: the same gradients bit for bit, the same random numbers, buffers written once, and less memory."""

import tracemalloc

import numpy as np
import pytest

import nnx
from nnx import Var
from nnx.autodiff.tree import assigned
from tests.support import assert_close, assert_same

X = np.asarray([[1.0, -0.5, 2.0], [0.25, 1.5, -1.0]])


class Block(nnx.Module):
    """x + dropout(tanh(W x)), which counts what it has seen."""

    def __init__(self, n=3, p=0.5):
        self.linear = nnx.Linear(n, n, dtype="float64")
        self.dropout = nnx.Dropout(p)
        self.register_buffer("mean", nnx.asarray(np.zeros(n)))
        self.register_buffer("shift", nnx.asarray(np.full(n, 0.1)))
        self.calls = 0

    def __call__(self, x, scale=1.0):
        xp = nnx.namespace(x)
        h = xp.tanh(self.linear(x)) * scale
        self.mean = self.mean * 0.9 + 0.1 * xp.mean(h, axis=0)
        self.calls += 1
        return self.shift + x + self.dropout(h) + self.mean


class Chain(nnx.Module):
    def __init__(self, wrap, depth=3):
        self.blocks = [Block() for _ in range(depth)]
        self.wrap = wrap

    def __call__(self, x):
        for block in self.blocks:
            x = self.wrap(block)(x)
        return x


def plain(f):
    return f


def loss(model, x):
    h = model(x)
    return nnx.namespace(h).sum(h * h)


def chains():
    """The same chain twice: plain and checkpointed."""
    found = []
    for wrap in (plain, nnx.checkpoint):
        nnx.seed(3)
        found.append(Chain(wrap))
    return found


def after(model, transform, *args):
    """What a transform of the loss gives, and the model's state afterwards, from one place of the random numbers."""
    nnx.seed(5)
    found = transform(loss)(model, *args)
    state = {path: nnx.to_numpy(x) for path, x in model.state_dict().items()}
    return found, state, [block.calls for block in model.blocks], nnx.random.get_state()["counter"]


def same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    elif isinstance(one, int):
        assert one == other
    else:
        assert not isinstance(one, Var)
        assert_same(one, nnx.to_numpy(other))


# ---- the same numbers -----------------------------------------------------------------------------------------------


def test_gradients_masks_buffers_and_counters_are_those_of_the_plain_chain(backend):
    ours, theirs = chains()
    x = backend.asarray(X)
    one, two = after(ours, nnx.value_and_grad, x), after(theirs, nnx.value_and_grad, x)
    same(one, two)
    assert one[2:] == ([1, 1, 1], 3), "each block ran once, as far as its state and the random numbers know"
    assert np.abs(one[1]["blocks.2.mean"]).max() > 0
    same(after(ours, lambda f: nnx.grad(f, argnums=1), x), after(theirs, lambda f: nnx.grad(f, argnums=1), x))


def test_host_draws_are_replayed_too():
    @nnx.checkpoint
    def noisy(x):
        return x * x * nnx.random.normal((3,), dtype="float64")

    for made in (False, True):  # NumPy's generator is made at its first use, inside of the function or before
        nnx.seed(1)
        if made:
            nnx.random.normal((2,))
        state = nnx.random.get_state()
        nnx.random.set_state(state)
        g = nnx.grad(lambda x: nnx.namespace(x).sum(noisy(x)))(np.ones(3))
        follows = nnx.random.normal(())
        nnx.random.set_state(state)
        draws = nnx.random.normal((3,), dtype="float64")
        assert_same(g, 2 * draws)
        assert_same(follows, nnx.random.normal(()))


def test_random_numbers_of_a_scope_that_has_ended(backend):
    def drop(x):
        return nnx.functional.dropout(x * x, 0.5)

    def inside(wrap):
        def f(x):
            with nnx.random.scope(9):
                y = wrap(drop)(x)
            return nnx.namespace(x).sum(y)

        return f

    x = backend.asarray(np.linspace(1.0, 2.0, 64))
    g = nnx.grad(inside(nnx.checkpoint))(x)
    assert_same(g, nnx.to_numpy(nnx.grad(inside(plain))(x)))
    assert (nnx.to_numpy(g) == 0).sum() > 10


# ---- what goes in and what comes out --------------------------------------------------------------------------------


def test_arrays_that_a_function_closes_over_get_their_gradients(backend):
    x = backend.asarray(X)

    def f(wrap):
        def loss(w, x):
            h = wrap(lambda: w * w + x)()
            return nnx.namespace(w).sum(h * w)

        return nnx.grad(loss, argnums=(0, 1))

    same(f(nnx.checkpoint)(x, x * 2.0), f(plain)(x, x * 2.0))


@pytest.mark.parametrize("given", ["closed over", "as an argument", "bound method", "in a nest"])
def test_parameters_of_a_module_get_their_gradients(backend, given):
    block = Block(p=0.0)
    call = {
        "closed over": lambda wrap, block, x: wrap(lambda x: block(x))(x),
        "as an argument": lambda wrap, block, x: wrap(lambda block, x: block(x))(block, x),
        "bound method": lambda wrap, block, x: wrap(block.__call__)(x),
        "in a nest": lambda wrap, block, x: wrap(lambda p: p["b"][0](p["x"]))({"b": [block], "x": x}),
    }[given]

    def both(wrap):
        block.mean = backend.asarray(np.zeros(3))
        return nnx.grad(lambda block, x: nnx.namespace(x).sum(call(wrap, block, x) ** 2))(block, backend.asarray(X))

    expected = both(plain)
    same(both(nnx.checkpoint), expected)
    assert set(expected) == {"linear.weight", "linear.bias"}


def test_keywords_nests_and_several_outputs(backend):
    def f(p, *, scale, power=2):
        xp = nnx.namespace(p["a"])
        return {"y": p["a"] * scale, "z": [xp.exp(p["b"][0]), 7, p["a"]], "w": p["a"] ** power}

    def loss(wrap):
        def g(p, scale):
            out = wrap(f)(p, scale=scale, power=3)
            assert out["z"][1] == 7
            return nnx.namespace(scale).sum(out["y"] * out["w"] + out["z"][0] + out["z"][2])

        return nnx.grad(g, argnums=(0, 1))

    x = backend.asarray(X)
    args = {"a": x, "b": (x * 0.5,)}, x + 1.0
    same(loss(nnx.checkpoint)(*args), loss(plain)(*args))


def test_output_that_nobody_uses_costs_nothing():
    ran = []

    @nnx.checkpoint
    def f(x):
        ran.append(1)
        return x * x

    def loss(x):
        f(x)
        return nnx.namespace(x).sum(x)

    assert_same(nnx.grad(loss)(np.ones(2)), np.ones(2))
    assert len(ran) == 1


def test_array_that_is_left_in_an_attribute_keeps_its_gradient():
    """What leaves the function by another door is a result, too."""
    left = {}

    @nnx.checkpoint
    def f(x):
        left["h"] = x * x
        return x * 2.0

    def loss(x):
        return nnx.namespace(x).sum(f(x) + left["h"] * 3.0)

    assert_same(nnx.grad(loss)(X), 2.0 + 6.0 * X)


def test_outside_of_a_transform_it_is_the_function_itself(backend):
    block = Block(p=0.0)
    x = backend.asarray(X)
    y = nnx.checkpoint(block)(x)
    assert type(y) is type(x)
    assert block.calls == 1
    with pytest.raises(TypeError, match="takes a function or a Module, got int"):
        nnx.checkpoint(3)


def test_name_and_documentation_are_kept():
    def documented(x):
        """What it does."""

    assert nnx.checkpoint(documented).__name__ == "documented"
    assert nnx.checkpoint(documented).__doc__ == "What it does."


def test_assignment_to_places_inside(backend):
    """Of what was computed or is closed over, and an argument that is rebound: the second run finds all as it was."""

    def f(wrap):
        def loss(x, w):
            seen = w * 1.0

            @wrap
            def inner(x):
                h = x * w
                h[0, 0] = x[1, 1] * 3.0
                x = x * 1.0
                x[1, 0] = h[0, 1]
                seen[0, 0] = x[0, 2] * h[1, 2]
                return h * x + seen

            return nnx.namespace(x).sum(inner(x) * x)

        return nnx.grad(loss, argnums=(0, 1))

    x, w = backend.asarray(X), backend.asarray(X + 3.0)
    same(f(nnx.checkpoint)(x, w), f(plain)(x, w))


# ---- transforms -----------------------------------------------------------------------------------------------------


@nnx.op
def cube(x):
    """x³, a rule that itself takes several steps."""
    return x * x * x, lambda dy: (dy * x * x * 3.0,)


def deep(wrap, x):
    """Nested: a checkpointed function in a checkpointed function."""

    @wrap
    def inner(x):
        return nnx.namespace(x).sin(x) * x

    @wrap
    def outer(x):
        return inner(cube(inner(x)) + x) * x

    return nnx.namespace(x).sum(outer(outer(x)))


def test_nested_checkpoints_and_higher_orders(backend):
    x = backend.asarray(X[0])
    kept, again = (lambda x: deep(plain, x)), (lambda x: deep(nnx.checkpoint, x))
    same(nnx.grad(again)(x), nnx.grad(kept)(x))
    assert_close(nnx.hessian(again)(x), nnx.to_numpy(nnx.hessian(kept)(x)), rtol=1e-12)
    v = backend.asarray(X[1])
    assert_close(nnx.hvp(again, x, v), nnx.to_numpy(nnx.hvp(kept, x, v)), rtol=1e-12)


def test_third_derivative_and_a_gradient_inside():
    cube = nnx.checkpoint(lambda x: x * x * x * x)
    f = nnx.grad(nnx.grad(nnx.grad(cube)))
    assert float(f(np.asarray(2.0))) == pytest.approx(48.0)
    slope = nnx.checkpoint(nnx.grad(lambda x: x * x * x))
    assert float(nnx.grad(slope)(np.asarray(2.0))) == pytest.approx(12.0)


def test_only_the_outer_of_two_tapes_is_concerned():
    def f(x):
        square = nnx.checkpoint(lambda: x * x)
        return nnx.grad(lambda y: square() * y * y)(x)

    assert float(nnx.grad(f)(np.asarray(3.0))) == pytest.approx(6 * 9.0)  # 2 x³


def test_pullback_that_is_called_later_and_twice(backend):
    """The model's arrays are its own again by then; the second run needs the watched ones."""
    ours, theirs = chains()
    found = []
    for model in (ours, theirs):
        nnx.seed(5)
        y, pullback = nnx.vjp(lambda model, x: model(x), model, backend.asarray(X))
        before = model.state_dict()
        found.append([y, pullback(backend.asarray(X)), pullback(backend.asarray(X * 2.0))])
        same(before, model.state_dict())
        assert [block.calls for block in model.blocks] == [1, 1, 1]
    same(*found)


def test_state_is_written_once_in_nested_checkpoints_too(backend):
    ours, theirs = chains()
    found = []
    for model, wrap in ((ours, plain), (theirs, nnx.checkpoint)):
        nnx.seed(5)
        g = nnx.grad(lambda model, x, wrap=wrap: loss(wrap(model), x))(model, backend.asarray(X))
        found.append([g, model.state_dict(), [block.calls for block in model.blocks]])
    same(*found)


def test_steps_are_counted_again_and_compared():
    def f(wrap):
        n = 1

        def unsteady(x):
            for _ in range(n):
                x = x * x
            return x

        def loss(x):
            nonlocal n
            y = wrap(unsteady)(x)
            n = 2
            return nnx.namespace(x).sum(y)

        return loss

    assert_same(nnx.grad(f(plain))(X), 2 * X)
    message = r"\(unsteady\) took other steps in the backward pass \(2 arrays\) than in the forward pass \(1\)"
    with pytest.raises(RuntimeError, match=message):
        nnx.grad(f(nnx.checkpoint))(X)


def test_what_was_closed_over_and_is_gone_is_an_error():
    """As many steps, but one of them no longer leads to w: a gradient would be lost silently."""
    holder = {}

    def loss(w, x):
        holder["w"] = w
        y = nnx.checkpoint(lambda x: x * holder["w"])(x * w)
        holder["w"] = X
        return nnx.namespace(y).sum(y)

    with pytest.raises(RuntimeError, match="took other steps"):
        nnx.grad(loss)(X, X)


def test_exception_in_either_run_leaves_everything_as_it_was(backend):
    block, fails = Block(p=0.5), [False]

    def f(x):
        y = block(x)
        if fails[0]:
            raise KeyError("mine")
        return y

    def loss(block, x):
        y = nnx.checkpoint(f)(x)
        fails[0] = True
        return nnx.namespace(y).sum(y)

    weight = block.linear.weight
    for calls in (1, 2):  # the first time in the backward pass, the second time in the forward pass
        with pytest.raises(KeyError, match="mine"):
            nnx.grad(loss)(block, backend.asarray(X))
        assert block.calls == calls
        assert block.linear.weight is weight
        assert type(block.mean) is type(weight)
    found = nnx.grad(lambda block, x: nnx.namespace(x).sum(nnx.checkpoint(block)(x)))(block, backend.asarray(X))
    assert set(found) == {"linear.weight", "linear.bias"}


def test_attribute_that_did_not_exist_before():
    class Lazy(nnx.Module):
        def __init__(self):
            self.weight = nnx.asarray(X)

        def __call__(self, x):
            if not hasattr(self, "_scale"):
                self._scale = x[0, 0] * 1.0
                return x * self.weight * self._scale
            return x * self.weight

    def found(wrap):
        model = Lazy()
        g = nnx.grad(lambda model, x: nnx.namespace(x).sum(wrap(model)(x)))(model, X)
        assert_same(model._scale, X[0, 0])
        return g

    same(found(nnx.checkpoint), found(plain))
    model = Lazy()
    nnx.vjp(lambda model, x: nnx.checkpoint(model)(x), model, X)[1](X)
    assert_same(model._scale, X[0, 0])
    assert not assigned.pending, "nobody would lower what the pullback's own run assigned"


def test_under_jax_jit_it_is_one_trace_with_a_barrier_between_the_runs():
    """The program says that the second run is no copy of the first. (XLA for the CPU drops it.)"""
    jax = pytest.importorskip("jax", reason="a test of one library")
    found = {}
    for wrap in (plain, nnx.checkpoint):
        traces = []

        def loss(x, wrap=wrap, traces=traces):
            traces.append(1)
            return deep(wrap, x)

        step = jax.jit(nnx.grad(loss))
        x = jax.numpy.asarray(X[0])
        found[wrap] = step(x)
        step(x + 1.0)
        assert len(traces) == 1
        assert ("optimization_barrier" in step.lower(x).as_text()) is (wrap is nnx.checkpoint)
    assert_close(found[nnx.checkpoint], nnx.to_numpy(found[plain]), rtol=1e-12)


# ---- memory ---------------------------------------------------------------------------------------------------------


def peak(wrap, depth=64, pieces=8, n=10_000, assign=False):
    """The most memory that the gradient of a chain of products takes, in arrays."""

    def piece(x):
        for _ in range(depth // pieces):
            x = x * x
            if assign:
                x[0] = 1.0
        return x

    def loss(x):
        for _ in range(pieces):
            x = wrap(piece)(x)
        return nnx.namespace(x).sum(x)

    x = np.ones(n)
    step = nnx.grad(loss)
    step(x)
    tracemalloc.start()
    try:
        step(x)
        return tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()


def test_peak_memory_of_a_deep_chain_falls():
    """64 steps keep 64 arrays; in 8 pieces of 8 they keep 8 and, one piece at a time, 8 more."""
    assert peak(plain) > 60
    assert peak(nnx.checkpoint) < 8 + 8 + 8


def test_peak_memory_of_a_chain_of_assignments_falls():
    """A piece that runs for the second time also keeps what its assignments have replaced, until it has run."""
    assert peak(plain, assign=True) > 60
    assert peak(nnx.checkpoint, assign=True) < 8 + 16 + 16
