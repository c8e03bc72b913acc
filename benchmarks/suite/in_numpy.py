"""A network of fully connected layers and its training step in NumPy, as one writes it by hand: no framework."""

import math

import numpy as np

LR = 1e-4


def parameters(case):
    """Weights and biases of the state dict, by layer."""
    state = case.weights()
    names = list(dict.fromkeys(name.partition(".")[0] for name in state))
    return [state[f"{name}.weight"] for name in names], [state[f"{name}.bias"] for name in names]


def loss_and_delta(case, z, y):
    """The loss of the outputs z, and its gradient there."""
    n = len(z)
    if case.loss == "mse_loss":
        difference = z - y
        return (difference * difference).mean(), difference * (2.0 / difference.size)
    rows = np.arange(n)
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    s = e.sum(axis=1, keepdims=True)
    delta = e / s
    delta[rows, y] -= 1
    return (np.log(s[:, 0]) - z[rows, y]).sum() / n, delta / n


def gradients(case, weights, biases, x, y):
    """The loss, and the gradients of weights and biases."""
    activations = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        activations.append(np.maximum(activations[-1] @ w.T + b, 0))
    loss, delta = loss_and_delta(case, activations[-1] @ weights[-1].T + biases[-1], y)
    dws, dbs = [], []
    for layer in reversed(range(len(weights))):
        a = activations[layer]
        dws.append(delta.T @ a)
        dbs.append(delta.sum(axis=0))
        if layer:
            delta = (delta @ weights[layer]) * (a > 0)
    return loss, dws[::-1] + dbs[::-1]


def update(case):
    """(params, grads) -> new params: SGD or Adam, which remembers."""
    m, v, t = None, None, 0

    def adam(params, grads):
        nonlocal m, v, t
        if m is None:
            m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
        t += 1
        size, root = LR / (1 - 0.9**t), 1 / math.sqrt(1 - 0.999**t)
        for i, g in enumerate(grads):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * (g * g)
        return [p - size * a / (np.sqrt(b) * root + 1e-8) for p, a, b in zip(params, m, v, strict=True)]

    def sgd(params, grads):
        return [p - LR * g for p, g in zip(params, grads, strict=True)]

    return adam if case.optimizer == "Adam" else sgd


def stepper(case):
    """step(x, y) -> the loss."""
    weights, biases = parameters(case)
    move, count = update(case), len(weights)

    def step(x, y):
        nonlocal weights, biases
        loss, grads = gradients(case, weights, biases, x, y)
        new = move(weights + biases, grads)
        weights, biases = new[:count], new[count:]
        return float(loss)

    return step


def train(case):
    """One step on the case's batch."""
    x, y = case.batch()
    step = stepper(case)
    return lambda: step(x, y)
