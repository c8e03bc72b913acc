"""One epoch of 20,000 samples of 784 numbers, hidden 128, batch 64, Adam: loader and all; and the loader alone."""

from functools import partial

import numpy as np

import nnx
from benchmarks.suite import in_nnx, in_numpy, in_others, in_torch
from benchmarks.suite.cases import CASES

SAMPLES, BATCH = 20_000, 64


def data(samples):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 784)).astype("float32"), rng.integers(0, 10, samples)


def of_nnx(samples, shuffle, compiled=False):
    case = CASES["middle"]
    model, loss_of, optimizer, _, _ = in_nnx.parts(case)
    loader = nnx.data.DataLoader(nnx.data.ArrayDataset(*data(samples)), BATCH, shuffle=shuffle, seed=0)
    value_and_grad = nnx.value_and_grad(loss_of)

    def step(x, y):
        loss, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
        return loss

    run = nnx.compile(step, state=(model, optimizer)) if compiled else step

    def epoch():
        return sum(float(run(x, y)) * len(x) for x, y in loader) / samples

    return epoch


def of_numpy(samples, shuffle, stepper=in_numpy.stepper):
    """stepper(case) -> step(x, y) -> the loss, on NumPy's arrays"""
    step, (x, y), rng = stepper(CASES["middle"]), data(samples), np.random.default_rng(0)

    def epoch():
        order = rng.permutation(samples) if shuffle else np.arange(samples)
        rows = [order[i : i + BATCH] for i in range(0, samples, BATCH)]
        return sum(step(x[at], y[at]) * len(at) for at in rows) / samples

    return epoch


def of_torch(samples, shuffle):
    """Indexed by slices of a permutation: torch's own DataLoader, which joins samples one by one, is far slower."""
    torch, model = in_torch.torch, in_torch.started(CASES["middle"])
    x, y = map(torch.from_numpy, data(samples))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def epoch():
        order, total = torch.randperm(samples) if shuffle else torch.arange(samples), 0.0
        for at in order.split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[at]), y[at])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(at)
        return total / samples

    return epoch


def of_sklearn(samples, shuffle):
    from sklearn.neural_network import MLPClassifier

    x, y = data(samples)
    model = MLPClassifier(128, batch_size=BATCH, alpha=0.0, learning_rate_init=1e-4, max_iter=1, shuffle=shuffle)
    model.partial_fit(x[:BATCH], y[:BATCH], classes=np.arange(10))
    weights, biases = in_numpy.parameters(CASES["middle"])
    model.coefs_, model.intercepts_ = [w.T.copy() for w in weights], biases
    # the optimizer of the call before moves, and remembers, arrays that are no longer the model's
    del model._optimizer

    def epoch():
        return model.partial_fit(x, y).loss_

    return epoch


def loader_of_nnx(samples, shuffle, **options):
    """The batches of an epoch, and nothing done with them."""
    loader = nnx.data.DataLoader(nnx.data.ArrayDataset(*data(samples)), BATCH, shuffle=shuffle, seed=0, **options)

    def epoch():
        return float(sum(len(x) * int(y[0]) for x, y in loader))

    return epoch


def loader_of_numpy(samples, shuffle):
    """The same by `take` alone: what moving the rows costs."""
    (x, y), rng = data(samples), np.random.default_rng(0)

    def epoch():
        order = rng.permutation(samples) if shuffle else np.arange(samples)
        rows = (order[i : i + BATCH] for i in range(0, samples, BATCH))
        return float(sum(len(x.take(at, axis=0)) * int(y.take(at)[0]) for at in rows))

    return epoch


CONTESTANTS = {
    "nnx": of_nnx,
    "numpy": of_numpy,
    "torch": of_torch,
    "sklearn": of_sklearn,
    "autograd": partial(of_numpy, stepper=in_others.autograd_stepper),
    "thinc": partial(of_numpy, stepper=in_others.thinc_stepper),
}
LOADERS = {"nnx": loader_of_nnx, "numpy": loader_of_numpy}
