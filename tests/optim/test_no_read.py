"""A whole step reads no value: it goes through a tracer, which has none. What holds there waits for no device."""

import numpy as np
import pytest

import nnx
from nnx import losses, metrics, optim

jax = pytest.importorskip("jax", reason="jax is not installed: nothing to trace with")

X, Y = np.ones((4, 3)), np.ones((4, 3)) * 0.5
LABELS = np.asarray([0, 1, 2, 0])
LOSSES = {
    "quadratic": lambda a: losses.quadratic_cost(a, nnx.asarray(Y)),
    "mse": lambda a: losses.mse_loss(a, nnx.asarray(Y)),
    "l1": lambda a: losses.l1_loss(a, nnx.asarray(Y)),
    "huber": lambda a: losses.huber_loss(a, nnx.asarray(Y)),
    "smooth_l1": lambda a: losses.smooth_l1_loss(a, nnx.asarray(Y), beta=0.5),
    "binary": lambda a: losses.binary_cross_entropy(nnx.functional.sigmoid(a), nnx.asarray(Y)),
    "logits": lambda a: losses.binary_cross_entropy_with_logits(a, nnx.asarray(Y), pos_weight=nnx.asarray(Y[0])),
    "kl": lambda a: losses.kl_div(a, nnx.asarray(Y), "batchmean"),
    "classes": lambda a: losses.cross_entropy(a, nnx.asarray(LABELS)),
    "options": lambda a: losses.cross_entropy(
        a, nnx.asarray(LABELS), nnx.asarray(Y[0]), ignore_index=1, label_smoothing=0.1
    ),
    "soft": lambda a: losses.cross_entropy(a, nnx.asarray(Y)),
    "nll": lambda a: losses.nll_loss(a, nnx.asarray(LABELS)),
    "accuracy": lambda a: losses.mse_loss(a, nnx.asarray(Y)) * metrics.accuracy(a, nnx.asarray(LABELS), 2),
    "penalty": lambda a: optim.l1_penalty(a) + optim.l2_penalty({"a": a}),
}


@pytest.fixture(autouse=True)
def _jax():
    with nnx.use_backend("jax"):
        yield


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_metrics(name):
    jax.make_jaxpr(nnx.value_and_grad(LOSSES[name]))(X)


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1},
    "Adam": {"weight_decay": 0.1},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {"lr_decay": 0.1},
    "ASGD": {"t0": 2.0},
    "NAdam": {},
    "RAdam": {},
    "Adamax": {},
    "Adadelta": {},
    "Rprop": {},
    "Lion": {},
    "LAMB": {},
    "Muon": {},
    "AdamWScheduleFree": {"warmup_steps": 5},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_clipping(name):
    def step(p, g, lr, steps):
        optimizer = getattr(optim, name)(**OPTIMIZERS[name], maximize=True)
        optimizer.lr, optimizer.steps = lr, steps  # a compiled step makes them inputs, so that they may change
        optimizer.state = {"w": optimizer._fresh(p)}
        grads, norm = optim.clip_grad_norm(optim.clip_grad_value({"w": g}, 0.5), 1.0)
        return optimizer.apply({"w": p}, grads), optimizer.state, norm

    jax.make_jaxpr(step)(X, Y, 0.1, 3)
