"""One model in three programs: PyTorch's optimizer trains it, JAX compiles it, and nnx computes every gradient.

nnx.interop.to_torch_module gives a torch.nn.Module, to_jax_function a pure function with its own derivative. Neither
copies a parameter: what PyTorch trains is the model's own memory.

    python examples/interop.py

Shows those of PyTorch and JAX that are installed.
"""

import importlib.util

import numpy as np

import nnx
from nnx.interop import to_jax_function, to_torch_module


def data():
    """y = sin 3x, with a little noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (128, 1)).astype("float32")
    return x, (np.sin(3.0 * x) + rng.normal(0.0, 0.05, x.shape)).astype("float32")


def network():
    return nnx.Sequential(nnx.Linear(1, 32), nnx.Tanh(), nnx.Linear(32, 1))


def in_torch(steps=300):
    """The model between PyTorch's loss and PyTorch's optimizer."""
    import torch

    with nnx.use_backend("torch", "cpu"):
        model = network()
    module = to_torch_module(model)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    x, y = map(torch.from_numpy, data())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(module(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert torch.equal(model(x), module(x).detach()), "what was trained is the model itself"
    return losses


def in_jax(steps=300):
    """The model in a step that jax.jit compiles; parameters are a value that goes in and comes out."""
    import jax

    with nnx.use_backend("jax"):
        model = network()
        x, y = map(nnx.asarray, data())
    function, params = to_jax_function(model)

    @jax.jit
    def step(params):
        loss, grads = jax.value_and_grad(lambda p: jax.numpy.mean((function(p, x) - y) ** 2))(params)
        return loss, jax.tree.map(lambda p, g: p - 0.05 * g, params, grads)

    losses = []
    for _ in range(steps):
        loss, params = step(params)
        losses.append(float(loss))
    model.update(params)
    return losses


def main():
    found = {}
    for name, run in (("torch", in_torch), ("jax", in_jax)):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        losses = found[name] = run()
        print(f"in a program of {name}: loss {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps")
        assert losses[-1] < 0.5 * losses[0]
    return found


if __name__ == "__main__":
    main()
