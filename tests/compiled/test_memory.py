"""What a compiled step on NumPy keeps while it runs: an array is let go after its last use, whatever made it."""

import tracemalloc

import numpy as np
import pytest

import nnx

WIDTH, BATCH, DEPTH = 64, 512, 6
ONE = WIDTH * BATCH * 4
"""Bytes of an activation."""


class Chain(nnx.Module):
    """Linear, LayerNorm and GELU, in turn: products, and kernels that return a pullback."""

    def __init__(self):
        self.parts = [nnx.Sequential(nnx.Linear(WIDTH, WIDTH), nnx.LayerNorm(WIDTH), nnx.GELU()) for _ in range(DEPTH)]

    def __call__(self, x):
        for part in self.parts:
            x = part(x)
        return x


@pytest.fixture
def steps():
    with nnx.use_backend("numpy"), nnx.random.scope(0):
        model, optimizer = Chain(), nnx.optim.SGD(0.01)
        x = np.random.default_rng(0).normal(size=(BATCH, WIDTH)).astype("float32")
        run = nnx.value_and_grad(lambda model, x: nnx.losses.mse_loss(model(x), x))

        def step(x):
            loss, grads = run(model, x)
            optimizer.update(model, grads)
            return loss

        compiled, infer = nnx.compile(step, state=(model, optimizer)), nnx.compile(lambda x: model(x), state=(model,))
        yield {"eager": lambda: step(x), "compiled": lambda: compiled(x), "infer": lambda: infer(x)}


def peak(step):
    """(the most bytes above what was there before, what is left after) of a step that is warm."""
    for _ in range(3):
        step()
    tracemalloc.start()
    try:
        step()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        step()
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before, after - before


def test_a_compiled_step_keeps_what_its_backward_pass_needs(steps):
    """A layer keeps x of the norm, GELU's slope and the next product's input: three activations each."""
    most, left = peak(steps["compiled"])
    assert most < (3 * DEPTH + 4) * ONE
    assert most <= peak(steps["eager"])[0]
    assert left < 1 << 14  # nothing large is kept from step to step that the step before did not have


def test_inference_keeps_one_layer(steps):
    most, left = peak(steps["infer"])
    assert most < 4 * ONE
    assert left < 1 << 14
