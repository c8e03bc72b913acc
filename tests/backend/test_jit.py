"""A whole training step, dropout included, under `jax.jit` as a user has it: without x64, written eagerly inside."""

import os
import subprocess
import sys

import pytest

STEP = """
import jax, numpy as np, nnx

nnx.set_backend("jax")
nnx.seed(3)
model = nnx.Sequential(nnx.Linear(4, 8), nnx.GELU(), nnx.Dropout(0.5), nnx.Linear(8, 3))
value_and_grad = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))

def step(weights, x, y):
    model.update(weights)
    return value_and_grad(model, x, y)

weights = model.trainable()
x = nnx.asarray(np.linspace(-1.0, 1.0, 20, dtype="float32").reshape(5, 4))
y = nnx.asarray(np.asarray([0, 1, 2, 0, 1], "int32"))
state = nnx.random.get_state()
eager = step(weights, x, y)
nnx.random.set_state(state)
compiled = jax.jit(step)(weights, x, y)
for one, other in zip(jax.tree.leaves(eager), jax.tree.leaves(compiled), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
print("equal")
"""


def test_a_step_under_jit_is_the_eager_step():
    pytest.importorskip("jax", reason="the compiler is JAX's")
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", STEP],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "JAX_ENABLE_X64": "0"},
    )
    assert found.stdout.strip() == "equal", found.stderr[-2000:]
