"""Optimizers side by side: the same network, the same batches of digits, each with a learning rate that suits it.

A fair comparison would tune each optimizer for the problem; this one shows how they are written and that each of them
learns. Weight decay, a group without it for the biases (`groups`), Muon for the hidden matrices beside AdamW for the
rest (`ByPath`), the average of schedule-free AdamW (`optimizer.averaged`), L-BFGS, which looks at the loss of all
samples several times a step and has no use for batches, and the average of the weights along a training (`EMA`).

    python examples/optimizers.py
"""

import contextlib
import time

import numpy as np

import nnx
from nnx import data, optim

EPOCHS, BATCH = 12, 64
NO_DECAY = {"*.bias": {"weight_decay": 0.0}}
OPTIMIZERS = {
    "SGD": lambda: optim.SGD(0.3),
    "SGD, Nesterov": lambda: optim.SGD(0.05, momentum=0.9, nesterov=True),
    "ASGD": lambda: optim.ASGD(0.3),
    "Adagrad": lambda: optim.Adagrad(0.03),
    "Adadelta": lambda: optim.Adadelta(1.0),
    "RMSprop": lambda: optim.RMSprop(2e-3),
    "Rprop": lambda: optim.Rprop(1e-3),
    "Adam": lambda: optim.Adam(4e-3),
    "Adam, amsgrad": lambda: optim.Adam(4e-3, amsgrad=True),
    "AdamW, no decay of biases": lambda: optim.AdamW(4e-3, weight_decay=0.05, groups=NO_DECAY),
    "NAdam": lambda: optim.NAdam(4e-3),
    "RAdam": lambda: optim.RAdam(8e-3),
    "Adamax": lambda: optim.Adamax(1e-2),
    "Lion": lambda: optim.Lion(1e-3, weight_decay=0.1),
    "LAMB": lambda: optim.LAMB(2e-2),
    "Muon and AdamW": lambda: optim.ByPath({"*": optim.AdamW(4e-3), "[02].weight": optim.Muon(2e-2)}),
    "AdamW, schedule-free": lambda: optim.AdamWScheduleFree(1e-2, warmup_steps=20),
    "L-BFGS": lambda: optim.LBFGS(line_search_fn="strong_wolfe", max_iter=3),
}


def network():
    """64-32-32-10, the same numbers each time."""
    nnx.seed(0)
    return nnx.Sequential(nnx.Linear(64, 32), nnx.ReLU(), nnx.Linear(32, 32), nnx.ReLU(), nnx.Linear(32, 10))


def loss_of(model, x, y):
    """The cross entropy of a batch."""
    return nnx.losses.cross_entropy(model(x), y)


def trained(optimizer, x, y):
    """A network after EPOCHS epochs, and the average of its weights."""
    model, ema, rng = network(), optim.EMA(0.95), np.random.default_rng(0)
    value_and_grad = nnx.value_and_grad(loss_of)
    for _ in range(EPOCHS):
        if isinstance(optimizer, optim.LBFGS):
            optimizer.step(loss_of, model, nnx.asarray(x), nnx.asarray(y))
            continue
        order = rng.permutation(len(x))
        for k in range(0, len(x), BATCH):
            rows = order[k : k + BATCH]
            _, grads = value_and_grad(model, nnx.asarray(x[rows]), nnx.asarray(y[rows]))
            optimizer.update(model, grads)
            ema.update(model)
    return model, ema


def score(model, x, y):
    """The share of right answers."""
    return float((np.argmax(nnx.to_numpy(model(nnx.asarray(x))), axis=1) == y).mean())


def main():
    """Train with each; returns {name: (accuracy, accuracy of the averaged weights)}."""
    images, labels = data.digits()
    order = np.random.default_rng(1).permutation(len(labels))
    (x, y), (test_x, test_y) = ((images[rows], labels[rows]) for rows in (order[:1400], order[1400:]))
    found = {}
    print(f"{'optimizer':28} {'test accuracy':>14} {'of the EMA':>11} {'seconds':>8}")
    for name, make in OPTIMIZERS.items():
        optimizer, start = make(), time.perf_counter()
        model, ema = trained(optimizer, x, y)
        if isinstance(optimizer, optim.AdamWScheduleFree):
            optimizer.eval(model)
        accuracy = score(model, test_x, test_y)
        with ema.applied(model) if ema.count else contextlib.nullcontext():
            averaged = score(model, test_x, test_y)
        found[name] = accuracy, averaged
        print(f"{name:28} {accuracy:14.3f} {averaged:11.3f} {time.perf_counter() - start:8.2f}")
    assert min(accuracy for accuracy, _ in found.values()) > 0.8, "each of them learns"
    return found


if __name__ == "__main__":
    main()
