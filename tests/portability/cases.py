"""What is trained with the doors shut: rows of losses, optimizers and metrics, each with what it is called with.

A loss or an optimizer that nnx exports and that has no row here is called as most are.
"""

import numpy as np

import nnx

# ---- losses: (name of the function, the kinds of its further arguments, options) -------------------------------------

N, C = 8, 4
KINDS = {
    "share": lambda rng: rng.uniform(0.05, 0.95, (N, C)).astype("float32"),
    "label": lambda rng: rng.integers(0, C, N),
    "labels": lambda rng: np.asarray([[0, 2, -1, -1], [3, -1, -1, -1]] * (N // 2)),
    "sign": lambda rng: rng.choice([-1.0, 1.0], (N, C)).astype("float32"),
    "sign a row": lambda rng: rng.choice([-1.0, 1.0], N).astype("float32"),
}
SIGNATURES = {
    "cosine_embedding_loss": ("share", "sign a row"),
    "cross_entropy": ("label",),
    "gaussian_nll_loss": ("share", "share"),
    "hinge_embedding_loss": ("sign",),
    "margin_ranking_loss": ("share", "sign"),
    "multi_margin_loss": ("label",),
    "multilabel_margin_loss": ("labels",),
    "nll_loss": ("label",),
    "soft_margin_loss": ("sign",),
    "triplet_margin_loss": ("share", "share"),
    "triplet_margin_with_distance_loss": ("share", "share"),
}
LOSSES = {
    name: (name, SIGNATURES.get(name, ("share",)), {})
    for name in nnx.losses.__all__
    if name.islower() and name != "ctc_loss"  # of sequences: below
}
LOSSES |= {
    "cross_entropy of shares": ("cross_entropy", ("share",), {}),
    "cross_entropy, smoothed": ("cross_entropy", ("label",), {"label_smoothing": 0.1}),
    "cross_entropy, ignoring": ("cross_entropy", ("label",), {"ignore_index": 2}),
    "cross_entropy, weighted": ("cross_entropy", ("label",), {"weight": [1.0, 2.0, 0.5, 1.0]}),
    "logits, weighted": ("binary_cross_entropy_with_logits", ("share",), {"pos_weight": [1.0, 2.0, 0.5, 1.0]}),
}


def loss_of(name):
    """(the loss, its arguments) on the active backend."""
    function, kinds, options = LOSSES[name]
    rng = np.random.default_rng(0)
    arguments = [nnx.asarray(KINDS[kind](rng)) for kind in ("share", *kinds)]
    options = {k: nnx.asarray(v, "float32") if isinstance(v, list) else v for k, v in options.items()}

    def loss(z, *others):
        found = getattr(nnx.losses, function)(z, *others, **options)
        return nnx.namespace(found).mean(found)  # sigmoid_focal_loss gives one a number, as torchvision's

    return loss, arguments


# ---- optimizers ------------------------------------------------------------------------------------------------------

OTHERWISE = {"Optimizer", "ByPath", "LBFGS"}  # the base, a choice among others, and one that reads its losses
FOR_MATRICES = {"Muon"}
OPTIMIZERS = {
    name: (name, {"lr": 1e-2})
    for name, kind in vars(nnx.optim).items()
    if isinstance(kind, type) and issubclass(kind, nnx.optim.Optimizer) and name not in OTHERWISE
}
OPTIMIZERS |= {
    "SGD, Nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "Adam, decayed": ("Adam", {"lr": 1e-2, "weight_decay": 1e-3}),
    "RMSprop, centred": ("RMSprop", {"lr": 1e-2, "centered": True, "momentum": 0.5}),
}


def optimizer(name):
    kind, options = OPTIMIZERS[name]
    return getattr(nnx.optim, kind)(**options)


# ---- metrics: functions of scores and classes, in the loop ---------------------------------------------------------

METRICS = {
    "accuracy": nnx.metrics.accuracy,
    "top 2": lambda z, y: nnx.metrics.accuracy(z, y, k=2),
    "error": lambda z, y: nnx.metrics.mean_squared_error(z, z * 0.5),
    "distance": lambda z, y: nnx.metrics.mean_absolute_error(z, z * 0.5),
    "entropy": nnx.losses.cross_entropy,
}
