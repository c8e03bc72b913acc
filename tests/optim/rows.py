"""One row an optimizer: what the tests of structure, packing, groups and state run through."""

from nnx import optim

ROWS = {
    "SGD": lambda **more: optim.SGD(0.05, momentum=0.9, nesterov=True, **more),
    "plain": lambda **more: optim.SGD(0.05, **more),
    "ASGD": lambda **more: optim.ASGD(0.05, lambd=0.01, t0=3.0, **more),
    "Adam": lambda **more: optim.Adam(1e-2, weight_decay=1e-3, amsgrad=True, **more),
    "AdamW": lambda **more: optim.AdamW(1e-2, **more),
    "NAdam": lambda **more: optim.NAdam(1e-2, **more),
    "RAdam": lambda **more: optim.RAdam(1e-2, betas=(0.9, 0.9), **more),
    "Adamax": lambda **more: optim.Adamax(1e-2, **more),
    "Adagrad": lambda **more: optim.Adagrad(1e-2, initial_accumulator_value=0.1, **more),
    "Adadelta": lambda **more: optim.Adadelta(**more),
    "RMSprop": lambda **more: optim.RMSprop(1e-2, momentum=0.9, centered=True, **more),
    "Rprop": lambda **more: optim.Rprop(1e-2, **more),
    "Lion": lambda **more: optim.Lion(1e-2, weight_decay=0.1, **more),
    "LAMB": lambda **more: optim.LAMB(1e-2, **more),
    "AdamWScheduleFree": lambda **more: optim.AdamWScheduleFree(1e-2, weight_decay=0.1, warmup_steps=4, **more),
}
NOT_ELEMENTWISE = {"LAMB"}
"""Muon, which moves matrices alone, is in test_matrices.py; L-BFGS, which wants the loss, in test_lbfgs.py."""
