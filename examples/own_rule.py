"""A rule of one's own: nnx.op makes a function and its pullback one step of the tape, nnx.check_rule tries it.

A rule returns y and a pullback, from ∂L/∂y to ∂L/∂argument. One writes it where the derivative is known better than by
the chain rule through every step. Here: y = √(x² + w²) - |x|, by which a hypotenuse exceeds a leg. As it stands it
loses all its digits where w is small; w² / (√(x² + w²) + |x|) is the same without the loss, and

    ∂y/∂x = x/r - sign x = -sign(x) y/r        ∂y/∂w = w/r        r = √(x² + w²)

    python examples/own_rule.py
"""

import numpy as np

import nnx


@nnx.op
def excess(x, w):
    """√(x² + w²) - |x|, to full precision."""
    xp = nnx.namespace(x, w)
    r = xp.hypot(x, w)
    y = w * w / (r + xp.abs(x))

    def pullback(dy):
        return (
            lambda: -dy * xp.sign(x) * y / r,  # costly entries may wait until somebody wants them
            lambda: dy * w / r,
        )

    return y, pullback


@nnx.op
def mistaken(x, w):
    """The same with a factor of 2 in its second entry."""
    y, pullback = excess.__wrapped__(x, w)
    return y, lambda dy: (pullback(dy)[0], lambda: 2.0 * pullback(dy)[1]())


def naive(x, w):
    xp = nnx.namespace(x, w)
    return xp.sqrt(x * x + w * w) - xp.abs(x)


def main():
    x, w = np.asarray([3.0, -1.5, 2.0]), np.asarray([4.0, 0.5, -1.0])
    report = nnx.check_rule(excess, x, w)
    print(f"the rule keeps its promises; largest relative error of its gradients: {report.worst:.0e}")
    try:
        nnx.check_rule(mistaken, x, w)
    except nnx.WrongRule as error:
        print(f"one that does not: {error}")
        message = str(error)
    assert "argument 1" in message
    assert "counted twice" in message

    small = np.asarray(1.0), np.asarray(1e-8)
    by_rule, by_steps = (float(nnx.grad(f, argnums=0)(*small)) for f in (excess, naive))
    print(f"∂y/∂x at (1, 1e-8): by the rule {by_rule:.4e}, by the steps of the formula {by_steps:.4e} (true: -5e-17)")
    assert abs(by_rule / -5e-17 - 1) < 1e-9
    assert by_steps == 0.0
    second = float(nnx.grad(nnx.grad(excess, argnums=1), argnums=1)(np.asarray(3.0), np.asarray(4.0)))
    assert abs(second - 9 / 125) < 1e-12  # x²/r³: a pullback differentiates itself
    return by_rule, by_steps, message


if __name__ == "__main__":
    main()
