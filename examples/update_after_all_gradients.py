"""Parameters change only after every gradient is known. What goes wrong otherwise, in numbers.

BP2 carries the error back through the weights of the layer above: δˡ = (δˡ⁺¹ Wˡ⁺¹) ⊙ σ′(zˡ). These must be the
weights that the forward pass used. A loop which goes backwards and updates each layer as soon as its gradient is
there has already replaced Wˡ⁺¹ when it comes to δˡ. What it computes then is

    not ∂C/∂W at the old weights      (compared with numeric gradients)
    not ∂C/∂W at the new weights      (likewise)
    the gradient of no function       (its Jacobian is not symmetric; that of every gradient, a Hessian, is)

and its error grows with the learning rate. In nnx the gradients are a value that the backward pass returns whole, and
`optimizer.update` comes after.

    python examples/update_after_all_gradients.py
"""

import numpy as np

import nnx

IN, HIDDEN, OUT, N = 3, 4, 2, 8
H = 1e-5
RATES = (0.01, 0.1, 0.5, 1.0)


def split(theta):
    """The two weight matrices in a vector of all their entries: first (h, i), second (o, h)."""
    xp = nnx.namespace(theta)
    return xp.reshape(theta[: HIDDEN * IN], (HIDDEN, IN)), xp.reshape(theta[HIDDEN * IN :], (OUT, HIDDEN))


def cost(theta, x, y):
    """1/2n Σ ‖tanh(x W₁ᵀ) W₂ᵀ - y‖²."""
    first, second = split(theta)
    xp = nnx.namespace(theta)
    return nnx.losses.quadratic_cost(xp.matmul(xp.tanh(xp.matmul(x, first.T)), second.T), y)


def backward(theta, x, y, eta, in_order):
    """What a loop over the layers takes for the gradient. in_order: W₂ is updated after W₁'s gradient, not before."""
    xp = nnx.namespace(theta)
    first, second = split(theta)
    a = xp.tanh(xp.matmul(x, first.T))
    delta = (xp.matmul(a, second.T) - y) / N  # BP1, with a linear output
    second_grad = xp.matmul(delta.T, a)  # BP3
    if not in_order:
        second = second - second_grad * eta  # too early
    delta = xp.matmul(delta, second) * (1.0 - a * a)  # BP2
    first_grad = xp.matmul(delta.T, x)  # BP3
    return xp.concat([xp.reshape(first_grad, (-1,)), xp.reshape(second_grad, (-1,))])


def numeric(theta, x, y):
    """∂C/∂θ by central differences, one entry at a time."""
    theta, slopes = nnx.to_numpy(theta), []
    for step in np.eye(len(theta)) * H:
        ahead, behind = (float(cost(nnx.asarray(theta + s), x, y)) for s in (step, -step))
        slopes.append((ahead - behind) / (2 * H))
    return np.asarray(slopes)


def asymmetry(theta, x, y, eta, in_order):
    """max |J - Jᵀ| of the Jacobian J of what `backward` returns: 0 for the gradient of any function."""
    jacobian = nnx.to_numpy(nnx.jacobian(backward)(theta, x, y, eta, in_order))
    return float(np.abs(jacobian - jacobian.T).max())


def main():
    rng = np.random.default_rng(0)
    theta = nnx.asarray(rng.normal(size=HIDDEN * IN + OUT * HIDDEN))
    x, y = nnx.asarray(rng.normal(size=(N, IN))), nnx.asarray(rng.normal(size=(N, OUT)))
    of_first = slice(0, HIDDEN * IN)  # both orders agree on W₂, whose gradient comes first
    reference = numeric(theta, x, y)[of_first]
    size = np.linalg.norm(reference)

    def relative(found, expected=reference):
        return float(np.linalg.norm(found - expected) / size)

    print("error of ∂C/∂W₁, relative to the numeric gradient (h = 1e-5)\n")
    print("  η      in order    too early: at the old weights   at (W₁, new W₂)   max |J - Jᵀ| in order   too early")
    rows = []
    for eta in RATES:
        right, wrong = (nnx.to_numpy(backward(theta, x, y, eta, in_order))[of_first] for in_order in (True, False))
        second_only = np.arange(theta.shape[0]) >= HIDDEN * IN
        moved = nnx.asarray(nnx.to_numpy(theta) - eta * second_only * nnx.to_numpy(backward(theta, x, y, eta, True)))
        row = {
            "right": relative(right),
            "wrong": relative(wrong),
            "wrong_at_new": relative(wrong, numeric(moved, x, y)[of_first]),
            "right_asymmetry": asymmetry(theta, x, y, eta, True),
            "wrong_asymmetry": asymmetry(theta, x, y, eta, False),
        }
        rows.append(row)
        print(
            f"{eta:5.2f} {row['right']:11.1e} {row['wrong']:26.4f} {row['wrong_at_new']:21.4f} "
            f"{row['right_asymmetry']:19.1e} {row['wrong_asymmetry']:17.4f}"
        )
    tape = relative(nnx.to_numpy(nnx.grad(cost)(theta, x, y))[of_first])
    print(f"\nnnx.grad: {tape:.1e}; it returns all gradients before anything can be updated")
    assert tape < 1e-8
    for row in rows:
        assert row["right"] < 1e-8
        assert row["right_asymmetry"] < 1e-14
        assert min(row["wrong"], row["wrong_at_new"], row["wrong_asymmetry"]) > 1e-3
    return rows


if __name__ == "__main__":
    main()
