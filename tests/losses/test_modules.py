"""The losses that are modules: what they compute is the function's, weights are buffers, options are shown."""

import numpy as np
import pytest

import nnx
from nnx import losses
from tests.oracle import check_against_torch, torch
from tests.support import assert_close

rng = np.random.default_rng(13)
X, Y, Z = rng.uniform(-1.0, 1.0, (3, 4, 3))
SHARE, POSITIVE = rng.uniform(0.05, 0.95, (2, 4, 3))
SIGNS, ROWS = rng.choice([-1.0, 1.0], (4, 3)), rng.choice([-1.0, 1.0], 4)
LABELS, SETS = rng.integers(0, 3, 4), np.asarray([[1, -1, 0], [2, 0, -1], [0, 1, 2], [-1, 1, 1]])
WEIGHT = np.asarray([0.5, 2.0, 1.0])
SEQUENCE, SPELLED = rng.normal(size=(6, 4, 5)), rng.integers(2, 5, (4, 3))

# name, options (each other than its default), arrays
CASES = [
    ("BCELoss", {"reduction": "sum"}, SHARE, POSITIVE),
    ("BCELoss", {"weight": WEIGHT}, SHARE, POSITIVE),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy(), "reduction": "sum"}, X, SHARE),
    (
        "CTCLoss",
        {"blank": 1, "zero_infinity": True, "reduction": "sum"},
        SEQUENCE,
        SPELLED,
        (6, 1, 6, 6),
        (3, 3, 2, 1),
    ),
    ("CosineEmbeddingLoss", {"margin": -0.5, "reduction": "none"}, X, Y, ROWS),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": 1, "reduction": "none"}, X, LABELS),
    ("CrossEntropyLoss", {}, X, SHARE),
    ("GaussianNLLLoss", {"full": True, "eps": 0.5, "reduction": "sum"}, X, Y, POSITIVE),
    ("HingeEmbeddingLoss", {"margin": 0.5, "reduction": "none"}, X, SIGNS),
    ("HuberLoss", {"delta": 0.4, "reduction": "sum"}, X, Y),
    ("KLDivLoss", {"reduction": "batchmean", "log_target": True}, X, Y),
    ("L1Loss", {"reduction": "none"}, X, Y),
    ("MSELoss", {"reduction": "none"}, X, Y),
    ("MarginRankingLoss", {"margin": 0.3, "reduction": "none"}, X, Y, SIGNS),
    ("MultiLabelMarginLoss", {"reduction": "none"}, X, SETS),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT, "reduction": "none"}, X, SHARE),
    ("MultiMarginLoss", {"p": 2, "margin": 0.7, "weight": WEIGHT, "reduction": "none"}, X, LABELS),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2, "reduction": "none"}, X, LABELS),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 0.1, "reduction": "sum"}, POSITIVE, POSITIVE * 5),
    ("SmoothL1Loss", {"beta": 0.3, "reduction": "sum"}, X, Y),
    ("SoftMarginLoss", {"reduction": "none"}, X),
    ("TripletMarginLoss", {"margin": 2.0, "p": 1.0, "eps": 0.1, "swap": True, "reduction": "none"}, X, Y, Z),
    ("TripletMarginWithDistanceLoss", {"margin": 2.0, "swap": True, "reduction": "none"}, X, Y, Z),
]


def made(name, options, kind, asarray):
    return getattr(kind, name)(**{k: asarray(v) if isinstance(v, np.ndarray) else v for k, v in options.items()})


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_as_pytorchs(backend, case):
    name, options, *arrays = case
    fixed = tuple(x for x in arrays if isinstance(x, tuple))
    arrays = [x for x in arrays if not isinstance(x, tuple)]
    ours, theirs = made(name, options, nnx, nnx.asarray), made(name, options, torch.nn, torch.from_numpy)
    if name == "SoftMarginLoss":  # whose target has no gradient in PyTorch
        signs = nnx.asarray(SIGNS), torch.from_numpy(SIGNS)
        check_against_torch(lambda x: ours(x, signs[0]), lambda x: theirs(x, signs[1]), X)
        return
    if name == "CTCLoss":  # whose gradient is the same before a log_softmax
        check_against_torch(
            lambda x, y: ours(nnx.functional.log_softmax(x, -1), y, *fixed),
            lambda x, y: theirs(torch.log_softmax(x, -1), y, *fixed),
            *arrays, rtol=1e-9, atol=1e-11,
        )  # fmt: skip
        return
    check_against_torch(ours, theirs, *arrays, rtol=1e-9, atol=1e-11)


def test_every_module_has_a_case():
    own = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)} - {"Loss"}
    assert own - {case[0] for case in CASES} == {"DiceLoss", "SigmoidFocalLoss"}


@pytest.mark.parametrize(
    ("module", "function", "options"),
    [
        (nnx.DiceLoss, losses.dice_loss, {"smooth": 0.5, "reduction": "none"}),
        (nnx.SigmoidFocalLoss, losses.sigmoid_focal_loss, {"alpha": 0.6, "gamma": 1.0, "reduction": "sum"}),
    ],
)
def test_those_that_torch_lacks(backend, module, function, options):
    x, t = nnx.asarray(SHARE), nnx.asarray(POSITIVE)
    assert_close(module(**options)(x, t), nnx.to_numpy(function(x, t, **options)))
    assert_close(module()(x, t), nnx.to_numpy(function(x, t)))


def test_weights_are_buffers(backend):
    loss = nnx.BCEWithLogitsLoss(pos_weight=nnx.asarray(WEIGHT))
    assert not list(loss.parameters())
    state = loss.state_dict()
    assert list(state) == list(torch.nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy(WEIGHT)).state_dict())
    other = nnx.BCEWithLogitsLoss(pos_weight=nnx.asarray(np.ones(3)))
    other.load_state_dict(state)
    x, t = nnx.asarray(X), nnx.asarray(SHARE)
    assert_close(other(x, t), nnx.to_numpy(loss(x, t)))
    assert loss.to(dtype="float32").pos_weight.dtype == nnx.asarray(WEIGHT, "float32").dtype
    assert not nnx.CrossEntropyLoss().state_dict()


def test_options_are_shown():
    assert repr(nnx.SmoothL1Loss(beta=0.5)) == "SmoothL1Loss(reduction='mean', beta=0.5)"
    assert "label_smoothing=0.1" in repr(nnx.CrossEntropyLoss(label_smoothing=0.1))
    assert repr(nnx.MSELoss().eval()) == "MSELoss(reduction='mean')"


def test_a_network_trains_with_one(backend):
    nnx.seed(3)
    model, optimizer = nnx.Linear(3, 3), nnx.optim.SGD(0.5)
    x, y = nnx.asarray(X, "float32"), nnx.asarray(LABELS)
    trainer = nnx.train.Trainer(model, optimizer, nnx.CrossEntropyLoss(nnx.asarray(WEIGHT, "float32")))
    history = trainer.fit(x, y, epochs=5, batch_size=4)
    assert history.records[-1]["loss"] < history.records[0]["loss"]
