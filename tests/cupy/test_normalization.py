"""What a step of a normalising layer costs a GPU: no transfer, no synchronisation, and so many launches.

The numbers are what was counted, written down.
"""

import numpy as np
import pytest

import nnx

# a layer, the shape of its input -> launches of forward and backward, running statistics included
STEPS = {
    "batch": (lambda: nnx.BatchNorm2d(4), (8, 4, 5, 5), 40),
    "layer": (lambda: nnx.LayerNorm(16), (8, 16), 27),
    "rms": (lambda: nnx.RMSNorm(16), (8, 16), 21),
    "group": (lambda: nnx.GroupNorm(2, 4), (8, 4, 5, 5), 34),
    "batch-eval": (lambda: nnx.BatchNorm2d(4).eval(), (8, 4, 5, 5), 19),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step(emulated, cuda_budget, name):
    make, shape, launches = STEPS[name]
    model, x = make(), nnx.asarray(np.random.default_rng(0).normal(size=shape).astype("float32"))
    step = nnx.value_and_grad(lambda m, x: nnx.namespace(x).sum(m(x)), argnums=(0, 1))
    for _ in range(12):
        step(model, x)
    with cuda_budget(launch=launches):
        step(model, x)
