"""Losses with two inputs and more: a row a case, of name, options and arrays. The first array has a gradient."""

import numpy as np

rng = np.random.default_rng(11)
SHAPE = (4, 6)
X, Y, Z = rng.uniform(-2.0, 2.0, (3, *SHAPE))
POSITIVE, SHARE = rng.uniform(0.1, 3.0, SHAPE), rng.uniform(0.0, 1.0, SHAPE)
COUNTS = rng.integers(0, 6, SHAPE).astype(float)
SIGNS = rng.choice([-1.0, 1.0], SHAPE)
ROWS = SIGNS[:, 0].copy()
LABELS = rng.integers(0, 6, 4)
SETS = np.asarray([[3, 0, -1, 1, 2, 2], [5, 4, 3, 2, 1, 0], [-1, 0, 1, 2, 3, 4], [2, 2, 5, -1, -1, -1]])
HARD = (SHARE > 0.5).astype(float)
WEIGHT = rng.uniform(0.5, 2.0, 6)

IMAGE, TRUTH = rng.uniform(0.05, 0.95, (2, 3, 2, 2)), (rng.uniform(size=(2, 3, 2, 2)) > 0.5).astype(float)

# name, options, arrays
CASES = [
    ("poisson_nll_loss", {}, X, COUNTS),
    ("poisson_nll_loss", {"log_input": False}, POSITIVE, COUNTS),
    ("poisson_nll_loss", {"full": True, "eps": 1e-3, "log_input": False}, POSITIVE, POSITIVE),
    ("gaussian_nll_loss", {}, X, Y, POSITIVE),
    ("gaussian_nll_loss", {"full": True}, X, Y, POSITIVE[:, 0].copy()),
    ("gaussian_nll_loss", {}, X, Y, POSITIVE[:, :1].copy()),
    ("gaussian_nll_loss", {"eps": 1.0}, X, Y, POSITIVE),
    ("hinge_embedding_loss", {}, POSITIVE, SIGNS),
    ("hinge_embedding_loss", {"margin": 0.3}, X, SIGNS.astype(int)),
    ("margin_ranking_loss", {}, X, Y, SIGNS),
    ("margin_ranking_loss", {"margin": 0.5}, X, Y, SIGNS),
    ("margin_ranking_loss", {}, X, X, SIGNS),
    ("soft_margin_loss", {}, X, SIGNS.astype(int)),
    ("multi_margin_loss", {}, X, LABELS),
    ("multi_margin_loss", {"p": 2, "margin": 0.4}, X, LABELS),
    ("multi_margin_loss", {}, X[0].copy(), LABELS[0]),
    ("multilabel_margin_loss", {}, X, SETS),
    ("multilabel_margin_loss", {}, X[0].copy(), SETS[0].copy()),
    ("multilabel_soft_margin_loss", {}, X, SHARE),
    ("multilabel_soft_margin_loss", {}, X[0].copy(), HARD[0].copy()),
    ("triplet_margin_loss", {}, X, Y, Z),
    ("triplet_margin_loss", {"p": 1.0, "margin": 2.0}, X, Y, Z),
    ("triplet_margin_loss", {"p": 3.0, "swap": True, "eps": 1e-3}, X, Y, Z),
    ("triplet_margin_loss", {}, X[0].copy(), Y[0].copy(), Z[0].copy()),
    ("triplet_margin_with_distance_loss", {}, X, Y, Z),
    ("triplet_margin_with_distance_loss", {"swap": True, "margin": 3.0}, X, Y, Z),
    ("cosine_embedding_loss", {}, X, Y, ROWS),
    ("cosine_embedding_loss", {"margin": 0.2}, X, X, ROWS.astype(int)),
    ("cosine_embedding_loss", {"margin": -0.5}, X[0].copy(), Y[0].copy(), ROWS[0]),
    ("sigmoid_focal_loss", {}, X, HARD),
    ("sigmoid_focal_loss", {"gamma": 0.5, "alpha": -1.0}, X, SHARE),
    ("sigmoid_focal_loss", {"gamma": 0.0}, X, HARD),
    ("dice_loss", {}, IMAGE, TRUTH),
    ("dice_loss", {"smooth": 0.1}, POSITIVE, SHARE),
]
IDS = ["-".join([c[0], *(f"{k}={v}" for k, v in c[1].items()), str(i)]) for i, c in enumerate(CASES)]

FIRST = list({case[0]: case for case in reversed(CASES)}.values())
"""The first case of each."""


def arrays_of(case, dtype="float64"):
    return [np.asarray(x, dtype if np.asarray(x).dtype.kind == "f" else None) for x in case[2:]]
