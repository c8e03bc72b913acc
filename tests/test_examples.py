"""Every example runs, says what it claims, and its claims hold. Each runs once; the tests look at what it returned."""

import contextlib
import functools
import importlib.util
import io
import runpy
import tempfile
from pathlib import Path

import numpy as np
import pytest

import nnx

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ARGUMENTS = {"nielsen": [["--data", "digits", "--epochs", "8"]]}
DRAWN = ["gradient_check", "gradient_descent", "overfitting", "universal_approximation", "vanishing_gradients"]


pictures = {}
"""By example, what it has drawn."""


@functools.cache
def names_of(name):
    """What an example defines."""
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="example")


@functools.cache
def ran(name):
    """What an example's main returned, and what it printed."""
    nnx.seed(0)
    with contextlib.redirect_stdout(io.StringIO()) as printed, tempfile.TemporaryDirectory() as folder:
        draws = name in DRAWN and importlib.util.find_spec("matplotlib") is not None
        found = names_of(name)["main"](*([folder] if draws else ARGUMENTS.get(name, [])))
        pictures[name] = [file.read_bytes() for file in Path(folder).glob(f"{name}.png")]
    return found, printed.getvalue()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_prints(path):
    assert ran(path.stem)[1].strip()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_says_how_it_is_run(path):
    source = path.read_text()
    assert f"    python examples/{path.name}" in source.split('"""')[1]
    assert '\nif __name__ == "__main__":\n' in source
    assert "    assert " in source, "an example asserts what it claims"


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES if "argparse" in path.read_text()])
def test_command_line(name, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("name", DRAWN)
def test_draws(name):
    pytest.importorskip("matplotlib", reason="the pictures need matplotlib")
    ran(name)
    assert pictures[name][0].startswith(b"\x89PNG")


CHEAP = ["chain_rule", "neuron_and_layer", "update_after_all_gradients"]


@pytest.mark.parametrize("name", CHEAP)
def test_on_every_backend(name, backend, capsys):
    if backend.name != "numpy":  # which test_runs_and_prints has done
        names_of(name)["main"]()
        assert capsys.readouterr().out


def test_four_equations_by_hand_and_numeric():
    by_hand, numeric = ran("four_equations")[0]
    assert by_hand < 1e-12
    assert 0 < numeric < 1e-8


def test_neuron_rows_and_columns_are_the_same_numbers():
    found, printed = ran("neuron_and_layer")
    assert len(found["apart"]) == 4
    assert max(found["apart"].values()) < 1e-6
    assert found["gradients"] < 1e-6
    assert found["nand"] == [True, True, True, False]
    assert "NAND" in printed


def test_a_wrong_convention_is_another_number():
    names = names_of("neuron_and_layer")
    square = nnx.asarray([[1.0, 2.0], [3.0, 4.0]], "float32")
    a, b = names["rows"](square, square, 0.0), names["columns"](square, square.T, 0.0)
    assert not np.allclose(nnx.to_numpy(a), nnx.to_numpy(b))


# ---- Nielsen's network -----------------------------------------------------------------------------------------------


def test_nielsen_learns_and_says_so_each_epoch():
    found, printed = ran("nielsen")
    assert found["data"] == "digits"
    assert printed.count("epoch ") >= 8
    assert found["before"] < 0.3 < 0.8 < max(found["scores"])


def test_nielsen_has_the_books_network_and_cost():
    names = names_of("nielsen")
    (x, y), (test_x, _) = names["enlarged_digits"]()
    assert x.shape[1] == test_x.shape[1] == 784
    assert set(np.unique(y)) == set(range(10))
    model = names["network"]()
    assert [tuple(p.shape) for p in model.parameters()] == [(30, 784), (30,), (10, 30), (10,)]
    assert float(nnx.to_numpy(model.layers[0].weight).std()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("option", [["--l2", "5"], ["--dropout", "0.3"], ["--small-weights"]], ids=lambda o: o[0][2:])
def test_nielsen_options_do_better_on_the_digits(option, capsys):
    found = names_of("nielsen")["main"]([*ARGUMENTS["nielsen"][0], *option])
    assert max(found["scores"]) > max(ran("nielsen")[0]["scores"]) + 0.02
    if option[0] == "--l2":
        assert found["norm"] < ran("nielsen")[0]["norm"] / 3, "L2 makes the weights small"


def test_nielsen_l2_is_the_books_update():
    """w ← (1 - ηλ/n) w - η ∂C₀/∂w, b ← b - η ∂C₀/∂b: the biases do not decay."""
    names = names_of("nielsen")
    x, labels = np.ones((10, 784), dtype=np.float32), np.arange(10)
    moved = {}
    for l2 in (0.0, 2.0):
        nnx.seed(0)
        model = names["network"](small_weights=True)
        before = model.state_dict()
        names["train"](model, (x, labels), (x, labels), epochs=1, eta=0.5, l2=l2, report=lambda line: None)
        moved[l2] = {path: nnx.to_numpy(p) - nnx.to_numpy(before[path]) for path, p in model.named_parameters()}
    for path, step in moved[2.0].items():
        decay = 0.5 * 2.0 / 10 * nnx.to_numpy(before[path]) if path.endswith("weight") else 0.0
        np.testing.assert_allclose(step, moved[0.0][path] - decay, atol=1e-6)


def test_nielsen_says_when_fashion_mnist_is_absent(monkeypatch, capsys):
    def absent():
        raise nnx.data.DatasetMissing("nowhere")

    monkeypatch.setattr(nnx.data, "fashion_mnist", absent)
    assert names_of("nielsen")["load"]("auto")[0] == "digits"
    assert "Fashion-MNIST was not found" in capsys.readouterr().out
    with pytest.raises(nnx.data.DatasetMissing):
        names_of("nielsen")["load"]("fashion-mnist")


# ---- gradient descent and the chain rule -----------------------------------------------------------------------------


def test_gradient_descent_rates_and_batches():
    found, _ = ran("gradient_descent")
    costs = {name: curve[-1] - found["lowest"] for name, curve in found["by_rate"].items()}
    assert costs["right"] < 1e-3 < costs["just below the limit"] < costs["too small"] < costs["too large"]
    assert {size: iterations for size, (_, iterations) in found["by_batch"].items()} == {200: 10, 20: 100, 1: 2000}
    last = {size: curve[-1] for size, (curve, _) in found["by_batch"].items()}
    assert last[1] < last[20] < last[200], "more steps an epoch: further after as many epochs"
    assert found["noise"][1] / found["noise"][20] == pytest.approx(20**0.5, rel=0.2)


def test_the_limit_of_the_learning_rate_is_two_over_the_curvature():
    names = names_of("gradient_descent")
    x, y = names["points"](np.random.default_rng(3))
    hessian = np.asarray([[np.mean(x * x), np.mean(x)], [np.mean(x), 1.0]])
    limit = 2.0 / np.linalg.eigvalsh(hessian).max()
    below, above = (names["descend"](x, y, limit * k, len(x), 200)[0] for k in (0.99, 1.01))
    assert below[-1] < below[0]
    assert above[-1] > above[0]


def test_chain_rule_node_by_node():
    found, printed = ran("chain_rule")
    assert set(found["apart"]) == set("wxby")
    assert max(found["apart"].values()) < 1e-15
    for total, summed in found["sums"].values():
        assert total == pytest.approx(summed, abs=1e-15)
    assert found["paths"] == ["0.bias", "0.weight"], "a shared layer is one parameter"
    assert found["layer"] < 1e-14
    assert (found["kept"], found["left"]) == (5, 0)
    rows, gradient = names_of("chain_rule")["node_by_node"]()
    assert len(rows) == 8
    assert all(downstream == upstream * local for *_, upstream, local, downstream in rows)
    assert f"{gradient['w']:.6f}" in printed


def test_chain_rule_by_numeric_differences():
    names = names_of("chain_rule")
    point, h = [names[k] for k in "WXBY"], 1e-5
    _, gradient = names["node_by_node"]()
    for k, name in enumerate("wxby"):
        ahead, behind = (
            float(names["cost"](*(nnx.asarray(v + s * (j == k), "float64") for j, v in enumerate(point))))
            for s in (h, -h)
        )
        assert gradient[name] == pytest.approx((ahead - behind) / (2 * h), abs=1e-9)


# ---- updates only after all gradients --------------------------------------------------------------------------------


def test_updating_too_early_gives_the_gradient_of_no_function():
    rows, _ = ran("update_after_all_gradients")
    assert all(row["right"] < 1e-8 and row["right_asymmetry"] < 1e-14 for row in rows)
    for name in ("wrong", "wrong_at_new", "wrong_asymmetry"):
        errors = [row[name] for row in rows]
        assert errors == sorted(errors), f"{name} grows with the learning rate"
        assert errors[0] > 1e-3
    assert rows[-1]["wrong"] / rows[0]["wrong"] == pytest.approx(100.0, rel=0.01), "in proportion to it"


def test_every_pullback_sees_the_weights_of_the_forward_pass():
    """nnx's own order: the model is as it was while a pullback of its first layer's output runs, and new afterwards."""
    nnx.seed(0)
    model = nnx.Sequential(nnx.Linear(3, 4), nnx.Linear(4, 2))
    optimizer = nnx.optim.SGD(lr=0.1)
    before = model.state_dict()
    seen = []

    @nnx.op
    def spy(x):
        def pullback(dy):
            seen.append(model.state_dict())
            return (dy,)

        return x, pullback

    def loss(model, x):
        return nnx.namespace(x).sum(model.layers[1](spy(model.layers[0](x))))

    x = nnx.asarray(np.ones((2, 3)), "float32")
    _, grads = nnx.value_and_grad(loss)(model, x)
    optimizer.update(model, grads)
    assert len(seen) == 1
    for path, w in seen[0].items():
        np.testing.assert_array_equal(nnx.to_numpy(w), nnx.to_numpy(before[path]))
    assert not np.array_equal(nnx.to_numpy(model.layers[1].weight), nnx.to_numpy(before["1.weight"]))


# ---- the rest of the textbook ----------------------------------------------------------------------------------------


def test_gradient_check_has_a_valley_with_both_slopes():
    found, printed = ran("gradient_check")
    assert [round(k) for k in found["slopes"].values()] == [2, -1, 1, -1]
    assert found["best"][0] > found["best"][1], "central differences like a larger step than forward ones"
    assert found["central"][3] < 1e-7 < found["float32"][3]
    assert "1e-04" in printed
    assert "← h = 1e-4" in printed


def test_gradient_check_would_see_a_wrong_gradient():
    names = names_of("gradient_check")
    model = names["network"]("float64")
    x, y = (nnx.asarray(np.random.default_rng(0).uniform(size=(6, k))) for k in (4, 2))
    central, _ = names["differences"](model, x, y, 1e-4)
    grads = nnx.grad(names["cost"])(model, x, y)
    exact = np.concatenate([nnx.to_numpy(grads[path]).ravel() for path in model.state_dict()])
    assert np.abs(central - exact).max() < 1e-8
    wrong = exact.copy()
    wrong[7] *= 1.001
    assert np.abs(central - wrong).max() > 1e-8


def test_vanishing_gradients_by_depth_and_remedy():
    ratios, learnt = ran("vanishing_gradients")[0]
    sigmoid = list(ratios["sigmoid, Xavier"].values())
    assert sigmoid == sorted(sigmoid, reverse=True)
    assert sigmoid[-1] < 1e-9
    for remedy in ("tanh, Xavier", "ReLU, Kaiming", "sigmoid + residuals", "ReLU, N(0, 0.01²) + layer norm"):
        assert 0.05 < ratios[remedy][20] < 20.0, remedy
    assert ratios["ReLU, Xavier"][20] < ratios["ReLU, Kaiming"][20] / 100
    assert ratios["sigmoid + layer norm"][20] > 100 * sigmoid[-1]
    assert learnt["sigmoid, Xavier"] < 0.3 < 0.9 < learnt["ReLU, Kaiming"]
    assert "0.weight vanishes" in learnt["sigmoid, Xavier: messages"][0]
    assert not learnt["ReLU, Kaiming: messages"]


def test_deltas_are_those_of_the_weights_gradient():
    """The offsets' gradients are δˡ: BP3 makes ∂C/∂W of them."""
    names = names_of("vanishing_gradients")
    setting = names["SETTINGS"]["tanh, Xavier"]
    x, y = nnx.init.normal((5, 4)), nnx.init.normal((5, 4))
    weights, offsets = [nnx.init.xavier_normal((4, 4)) for _ in range(3)], [nnx.init.zeros((5, 4)) for _ in range(3)]
    deltas, grads = nnx.value_and_grad(names["cost"], argnums=(0, 1))(offsets, weights, x, y, setting)[1]
    np.testing.assert_allclose(nnx.to_numpy(deltas[0].T @ x), nnx.to_numpy(grads[0]), atol=1e-6)


def test_universal_approximation():
    found, _ = ran("universal_approximation")
    built, trained = (np.asarray(list(errors.values())) for errors in found.values())
    assert list(found["built"]) == [1, 2, 4, 8, 16, 32, 64]
    assert (np.diff(built) < 0).all()
    assert built[-1] < built[0] / 20
    assert trained[-1] < trained[0] / 20
    assert (trained < built).all()


def test_overfitting_and_what_helps():
    table, turn = ran("overfitting")[0]
    plain = table["nothing"]
    assert plain["train_accuracy"] > 0.95
    assert plain["gap"] > 0.5
    assert turn < 50
    for method in ("L2", "dropout", "early stopping"):
        assert table[method]["gap"] < plain["gap"] - 0.1, method
        assert table[method]["test_loss"] < plain["test_loss"] - 0.1, method
        assert table[method]["test_accuracy"] > plain["test_accuracy"] + 0.02, method
    assert table["early stopping"]["epochs"] < 80


def test_augmentation_cures_what_it_shows():
    found, printed = ran("augmentation")
    best = {trial: max(found, key=lambda method: found[method][trial]) for trial in found["nothing"]}
    assert {trial: best[trial] for trial in ("moved", "noisy", "mirrored")} == {
        "moved": "crop",
        "noisy": "noise",
        "mirrored": "flip",
    }
    assert best["as they are"] not in ("crop", "flip")
    assert found["nothing"]["moved"] < 0.6 < 0.8 < found["crop"]["moved"]
    assert f"{found['crop']['moved']:.3f}" in printed


def test_augmentation_moves_images_by_one_pixel():
    names = names_of("augmentation")
    _, (x, _) = names["sets"](0)
    moved = names["trials"](x)["moved"]
    np.testing.assert_array_equal(moved[0, 0, :, 1:], x[0, 0, :, :-1])
    np.testing.assert_array_equal(moved[-1, 0, :-1], x[-1, 0, 1:])


def test_overfitting_sets_are_disjoint():
    (x, _), (val_x, _), (test_x, _) = names_of("overfitting")["sets"](0)
    assert len(x) + len(val_x) + len(test_x) == 1797


def test_the_chosen_validation_score_is_optimistic():
    found, _ = ran("hyperparameter_search")
    assert found["scores"][found["chosen"]] == max(found["scores"].values())
    assert len(found["scores"]) == 12
    assert found["test"] > 0.85
    luck = [mean for mean, _ in found["luck"].values()]
    assert luck == sorted(luck)
    assert abs(luck[0]) < 0.005 < luck[-1]


def test_optimism_is_luck_alone():
    """Coins: every candidate is right half of the time, and the best of twelve still looks better than that."""
    names = names_of("hyperparameter_search")
    rng = np.random.default_rng(0)
    coins = (rng.random((12, 1400)) < 0.5).astype(float)
    mean, error = names["optimism"](coins, 12, rng)
    assert mean > 0.05 > 10 * error
    mean, error = names["optimism"](coins, 1, rng)
    assert abs(mean) < 4 * error
