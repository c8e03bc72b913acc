"""Half precision: what 16 bits cannot hold, what loss scaling does about it, and a network that learns all the same.

    python examples/half_precision.py

float16 ends at 65504, and below 6e-8 it has nothing but 0. The first table follows one gradient through both ends: a
loss that is scaled up keeps it off the lower one, and the scaler finds the largest scale that keeps it off the upper
one. Then a network learns to tell three clouds of points apart in float32 and in 16 bits, from the same start:
parameters and gradients are float32 in both, only the products are not. Runs on every backend; those without numbers of
16 bits show float32 alone, NNX_BACKEND=torch bfloat16, too. NumPy computes float16 in software: it saves no time there.
"""

import numpy as np

import nnx

STEPS = 120


def has(dtype):
    """Whether the active backend has numbers of that kind."""
    return hasattr(nnx.get_backend().xp, dtype)


def clouds(n=150):
    """Points of three overlapping clouds, and which one each is of."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    x = rng.normal(size=(n, 4)) + 2.0 * np.eye(3, 4)[labels]
    return nnx.asarray(x.astype("float32")), nnx.asarray(labels)


def small_gradient(scale, slope=1e-9):
    """∂/∂w of slope · w · x in float16 at w = x = 1, by way of a loss that is scaled: its value, or inf."""
    scaler = nnx.GradScaler(scale)
    one = nnx.asarray([[1.0]], "float32")

    @nnx.autocast("float16")
    def loss_of(w, x):
        y = nnx.functional.linear(x, w)
        return nnx.losses.l1_loss(y, y * 0.0) * slope

    _, g = scaler.value_and_grad(loss_of)(one, one)
    return float(nnx.to_numpy(g)[0, 0])


def learnt(dtype, x, y):
    """Losses of a training in that dtype (None: float32), the last accuracy, the model and the scaler."""
    nnx.seed(0)
    model, optimizer = nnx.Sequential(nnx.Linear(4, 32), nnx.ReLU(), nnx.Linear(32, 3)), nnx.optim.Adam(1e-2)
    scaler = nnx.GradScaler(growth_interval=20, enabled=dtype == "float16")

    def loss_of(model, x, y):
        with nnx.autocast(dtype or "float16", enabled=dtype is not None):
            return nnx.losses.cross_entropy(model(x), y)

    value_and_grad, losses = scaler.value_and_grad(loss_of), []
    for _ in range(STEPS):
        loss, grads = value_and_grad(model, x, y)
        scaler.update(optimizer, model, grads)
        losses.append(float(loss))
    kinds = {str(a.dtype).rpartition(".")[2] for a in [*model.parameters(), *grads.values()]}
    assert kinds == {"float32"}, "parameters and gradients are float32 whatever computes them"
    accuracy = float(np.mean(nnx.to_numpy(model(x)).argmax(axis=1) == nnx.to_numpy(y)))
    return losses, accuracy, scaler


def main():
    """Print both tables; returns what they show."""
    found = {"gradients": {}, "losses": {}, "accuracy": {}, "scale": None}
    if has("float16"):
        print("∂/∂w = 1e-9 in float16, by way of a loss times s\n")
        for exponent in (0, 8, 16, 24, 32, 48):
            g = small_gradient(2.0**exponent)
            found["gradients"][exponent] = g
            print(f"    s = 2^{exponent:<3}  {g:.3e}")
        assert found["gradients"][0] == 0.0, "without scaling it vanishes"
        assert abs(found["gradients"][16] / 1e-9 - 1.0) < 1e-3, "2^16, the scaler's first, keeps it"
        assert not np.isfinite(found["gradients"][48]), "too large a scale overflows: the step is left out"
    x, y = clouds()
    print(f"\nthree classes, {STEPS} steps\n")
    for dtype in (None, "float16", "bfloat16"):
        if dtype is not None and not has(dtype):
            continue
        name = dtype or "float32"
        losses, accuracy, scaler = learnt(dtype, x, y)
        found["losses"][name], found["accuracy"][name] = losses, accuracy
        note = f"   s = {scaler.get_scale():.0f}" if scaler.enabled else ""
        found["scale"] = scaler.get_scale() if scaler.enabled else found["scale"]
        print(f"    {name:9} loss {losses[0]:.4f} → {losses[-1]:.4f}   accuracy {accuracy:.3f}{note}")
    for name, losses in found["losses"].items():
        assert losses[-1] < 0.5 * losses[0], name
        assert abs(losses[-1] - found["losses"]["float32"][-1]) < 0.02, "the same loss, but for rounding"
    return found


if __name__ == "__main__":
    main()
