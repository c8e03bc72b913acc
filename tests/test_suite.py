"""benchmarks/suite: every row of the table is there, small ones run, and nothing is timed that does other work."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch, which is measured beside nnx, is not installed")

from benchmarks.suite import __main__ as command
from benchmarks.suite import epoch, in_jax, in_nnx, in_torch, measure, memory, profile, report, scaling
from benchmarks.suite.cases import CASES
from benchmarks.suite.rows import Row, rows

WORK = ("small", "tiny", "wide", "wider", "lenet", "resnet", "gpt", "lstm")
GOALS = {"jax": {"jax": 1.05}, "torch": {"torch": 1.1}, "inference": {"torch": 1.0}, "memory": {"torch": 1.0}}


def test_every_row_is_there():
    known = rows()
    names = {f"{kind}:{work}" for kind in ("train", "compiled", *GOALS) for work in WORK}
    assert set(known) == names | {"epoch", "compiled:epoch", "loader"}
    assert known["epoch"].goals == known["compiled:epoch"].goals == {"torch": 0.6, "sklearn": 0.45}
    assert all(known[f"compiled:{work}"].goals == known[f"train:{work}"].goals for work in WORK)
    assert known["loader"].goals == {"epoch": 0.1}
    for kind, goals in GOALS.items():
        assert all(known[f"{kind}:{work}"].goals == goals for work in WORK)
    assert all(set(row.goals) <= set(row.contestants) for row in known.values())
    assert "torch compiled" in rows(compiled=True)["train:lenet"].contestants


def test_smallest_rows_run(capsys, tmp_path):
    history = tmp_path / "history.jsonl"
    rows_ = ["train:tiny", "compiled:tiny", "torch:tiny", "inference:tiny", "memory:tiny"]
    arguments = [*rows_, "--repeat", "1", "--json", str(history)]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "train:tiny" in printed
    (entry,) = map(json.loads, history.read_text().splitlines())
    assert [row["name"] for row in entry["rows"]] == rows_
    assert entry["machine"]["cores"] >= 1
    assert entry["versions"]["numpy"] == np.__version__
    train = entry["rows"][0]
    assert set(train["values"]) == {"nnx", "numpy", "torch"}
    assert all(value > 0 for value in train["values"].values())
    assert command.main(arguments) == 0
    assert len(history.read_text().splitlines()) == 2


@pytest.mark.parametrize("work", ["lenet", "resnet", "gpt", "lstm"])
def test_networks_agree(work):
    case = CASES[work].smaller(2)
    steps = {"nnx": in_nnx.train(case), "torch": in_torch.train(case)}
    assert measure.agreement({name: measure._numbers(step, 2) for name, step in steps.items()}) < 1e-4
    steps = {"nnx": in_nnx.infer(case), "torch": in_torch.infer(case)}
    assert measure.agreement({name: measure._numbers(step, 1) for name, step in steps.items()}) < 1e-4


@pytest.mark.parametrize("work", ["tiny", "gpt"])
def test_jax_by_hand_agrees(work):
    pytest.importorskip("jax")
    case = CASES[work].smaller(2)
    steps = {"nnx": in_nnx.train(case), "jax": in_jax.train(case)}
    assert measure.agreement({name: measure._numbers(step, 2) for name, step in steps.items()}) < 1e-4


def test_epochs_agree():
    makers = {name: make for name, make in epoch.CONTESTANTS.items() if measure.installed(name)}
    found = {name: make(200, False)() for name, make in makers.items()}
    assert measure.agreement({name: [loss] for name, loss in found.items()}) < 1e-4


def test_other_work_is_not_timed(capsys, monkeypatch):
    case = CASES["tiny"]
    other = replace(case, optimizer="SGD")
    makers = {"nnx": partial(in_nnx.train, case), "torch": partial(in_torch.train, other)}
    with pytest.raises(measure.Disagreement, match="nnx and torch are"):
        measure.measured(Row("broken", "", makers, {"torch": 1.0}), 1)
    makers["torch"] = partial(in_torch.train, case.smaller(31))
    with pytest.raises(measure.Disagreement):
        measure.measured(Row("broken", "", makers, {"torch": 1.0}), 1)
    monkeypatch.setattr(measure, "TOLERANCE", -1.0)
    assert command.main(["train:tiny", "--repeat", "1"]) == 1
    assert "not timed" in capsys.readouterr().out


def test_wrong_gradients_are_seen():
    case = CASES["lstm"].smaller(2)
    steps = {"nnx": in_nnx.train(case), "torch": in_torch.train(case)}
    right = steps["torch"].gradients
    steps["torch"].gradients = lambda: {name: -g for name, g in right().items()}
    with pytest.raises(measure.Disagreement):
        measure.agreement({name: measure._numbers(step, 2) for name, step in steps.items()})


@pytest.mark.parametrize(("numbers", "why"), [([np.nan], "finite"), ([1.0, 2.0], "gives")])
def test_nonsense_disagrees(numbers, why):
    with pytest.raises(measure.Disagreement, match=why):
        measure.agreement({"nnx": numbers, "torch": [1.0]})


def test_memory_is_that_of_arrays():
    big = 4_000_000
    assert memory.peak("nnx", lambda: float(np.ones(big // 4, "float32").sum())) == pytest.approx(4.0, rel=0.01)
    step = in_torch.train(CASES["tiny"])
    assert 0.01 < memory.peak("torch", step) < 1.0


def test_distance_is_the_worst_ratio_to_its_goal():
    found = {"values": {"nnx": 2.0, "torch": 4.0, "numpy": 1.0}, "goals": {"torch": 0.25, "numpy": 4.0}}
    assert report.distance(found) == pytest.approx(2.0)
    assert report.distance({"values": {"nnx": 1.0}, "goals": {"torch": 1.0}}) is None


def test_scaling_and_profile(capsys):
    points = scaling.scaling(1, "wall", {"batch": [(4, 8, 1), (8, 8, 1)]})
    assert points[1]["arithmetic"] == pytest.approx(np.log2((6 * 8 + 15) / (6 * 4 + 15)))
    assert ["grows as" in scaling.line(point) for point in points] == [False, True]
    assert set(profile.phases(CASES["tiny"], repeat=1)) == {"forward", "backward", "update"}
    profile.show(rows()["train:tiny"], CASES["tiny"], steps=2)
    assert "tottime" in capsys.readouterr().out


def test_unknown_row():
    with pytest.raises(SystemExit, match="no row"):
        command.main(["nothing"])
