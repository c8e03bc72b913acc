"""The solvers' rules: in place and in blocks they do what they do everywhere, and what scikit-learn's do."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

import nnx
from nnx.sklearn import rules
from nnx.sklearn.network import Dense, dense

SOLVERS = {
    "adam": lambda: rules.ScikitAdam(lr=0.1, betas=(0.8, 0.9), eps=1e-3),
    "nesterov": lambda: rules.ScikitSGD(lr=0.1, momentum=0.9, nesterov=True),
    "heavy ball": lambda: rules.ScikitSGD(lr=0.1, momentum=0.9),
    "plain": lambda: rules.ScikitSGD(lr=0.1),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("block", [1 << 17, 40])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_in_place_is_as_elsewhere(solver, block, penalty, monkeypatch):
    monkeypatch.setattr(rules, "BLOCK", block)  # 40 bytes: five numbers, and a rest
    rng = np.random.default_rng(0)
    here, there = (Dense(np.ones((4, 3)), np.ones(3)) for _ in range(2))
    mine, usual = SOLVERS[solver](), SOLVERS[solver]()
    for step in range(4):
        mine.lr = usual.lr = 0.1 / (step + 1)
        grads = {path: rng.normal(size=p.shape) for path, p in here.trainable().items()}
        given = {path: g.copy() for path, g in grads.items()}
        mine.__dict__["_penalty"] = penalty
        mine.update(here, grads)
        weight = there.weight
        moved = usual.apply(there.trainable(), grads | {"weight": grads["weight"] + penalty * weight})
        there.update(moved)
        assert all((g == given[path]).all() for path, g in grads.items()), "gradients are the caller's"
    np.testing.assert_allclose(here.weight, there.weight, rtol=1e-12)
    np.testing.assert_allclose(here.bias, there.bias, rtol=1e-12)


def test_goes_on_from_its_state():
    rng = np.random.default_rng(0)
    grads = [{"weight": rng.normal(size=(4, 3)), "bias": rng.normal(size=3)} for _ in range(4)]
    whole, first, second = rules.ScikitAdam(), rules.ScikitAdam(), rules.ScikitAdam()
    a, b = (Dense(np.ones((4, 3)), np.ones(3)) for _ in range(2))
    for k in range(4):
        whole.update(a, grads[k])
        (first if k < 2 else second).update(b, grads[k])
        if k == 1:
            second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(a.weight, b.weight)


@pytest.mark.float64("finite differences")
def test_dense_has_the_right_gradient(backend):
    rng = np.random.default_rng(0)
    x, w, b = (nnx.asarray(rng.normal(size=shape)) for shape in ((5, 4), (4, 3), (3,)))
    nnx.gradcheck(dense, x, w, b)


def test_importing_nnx_does_not_import_scikit_learn():
    import subprocess
    import sys

    code = "import sys, nnx; print('sklearn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
