"""A training step as one program: nnx.compile writes down what a step asks of NumPy, and the four equations are left.

    python examples/compiled_step.py

The tape, the modules and the optimizer have done their work once they have said which products and sums are wanted.
The program that is left is what one would write by hand, line by line, and it computes the same bits.
"""

import time

import numpy as np

import nnx

STEPS = 300


def step_of(compiled):
    """A 784-30-10 network's step by SGD, and the batch that it is given."""
    nnx.seed(0)
    model = nnx.Sequential(nnx.Linear(784, 30), nnx.Sigmoid(), nnx.Linear(30, 10))
    optimizer = nnx.optim.SGD(lr=0.5)
    loss_and_grads = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))

    def step(x, y):
        loss, grads = loss_and_grads(model, x, y)
        optimizer.update(model, grads)
        return loss

    return nnx.compile(step, state=(model, optimizer)) if compiled else step


def microseconds(step, x, y):
    """The best of many steps, and the last loss."""
    best = float("inf")
    for _ in range(STEPS):
        start = time.perf_counter()
        loss = step(x, y)
        best = min(best, time.perf_counter() - start)
    return best * 1e6, float(loss)


def main():
    """Both ways, side by side, and the program."""
    with nnx.use_backend("numpy"):
        rng = np.random.default_rng(0)
        x, y = rng.random((10, 784), dtype=np.float32), rng.integers(0, 10, 10)
        eager, compiled = step_of(False), step_of(True)
        (slow, loss), (fast, same) = microseconds(eager, x, y), microseconds(compiled, x, y)
    print(compiled.text)
    print(f"as it is written {slow:.0f} µs, compiled {fast:.0f} µs a step; loss after {STEPS} steps {same:.6f}")
    assert same == loss, "not the same bits"
    assert compiled.text.count("matmul") == 5, "two layers: two products forward, three backward (nobody wants dx)"
    assert fast < slow
    return compiled.text


if __name__ == "__main__":
    main()
