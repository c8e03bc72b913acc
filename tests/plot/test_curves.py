"""Learning curves and gradient flow: the numbers of the lines are those that were recorded."""

import json

import numpy as np
import pytest

import nnx
from nnx import plot
from nnx.train import CSVLogger, GradientStats, History, MetricsLog, Progress, Trainer
from tests.plot.pictures import RECORDS, network, points


def lines(ax):
    return {line.get_label(): list(line.get_ydata()) for line in ax.lines}


def sources(tmp_path):
    """The same records in every form."""
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    trainer = type("Trained", (), {"history": History(RECORDS)})()
    return [RECORDS, History(RECORDS), trainer, tmp_path, str(tmp_path), tmp_path / "metrics.jsonl"]


def test_records_in_every_form(tmp_path):
    for source in sources(tmp_path):
        assert plot.records_of(source) == RECORDS


def test_learning_curves():
    ax = plot.learning_curves(History(RECORDS))
    found = lines(ax)
    assert found["training"] == [2.0, 1.0, 0.5, 0.25]
    np.testing.assert_array_equal(found["validation"], [1.5, 0.5, np.nan, 0.75])
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4]
    assert set(ax.lines[2].get_xdata()) == {2}
    assert ax.lines[2].get_label() == "lowest val_loss, epoch 2"
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("Learning curves: loss", "epoch", "loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(found)
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle(), "told apart without colour, too"


def test_learning_curves_of_another_metric():
    records = [{"epoch": k, "loss": 1.0, "accuracy": k / 10, "val_accuracy": k / 20} for k in (1, 2)]
    found = lines(plot.learning_curves(records, metric="accuracy"))
    assert found == {"training": [0.1, 0.2], "validation": [0.05, 0.1]}
    with pytest.raises(KeyError, match="nothing named 'f1' was recorded: there is accuracy, epoch, loss, val_accuracy"):
        plot.learning_curves(records, metric="f1")
    with pytest.raises(KeyError, match="nothing named 'loss' was recorded: there is no epoch yet"):
        plot.learning_curves([])


@pytest.mark.parametrize("data", [[0.5, 0.25], 3, None])
def test_what_holds_no_records(data):
    with pytest.raises(TypeError, match=r"expected what was measured: a History, a Trainer, .*, got .*of losses alone"):
        plot.learning_curves(data)


def test_records_of_updates_are_no_epochs():
    mixed = [{"epoch": 1, "step": 1, "lr": 0.1, "loss": 7.0}, *RECORDS[:2], {"epoch": 3, "step": 8, "val_loss": 0.1}]
    assert lines(plot.learning_curves(mixed))["training"] == [2.0, 1.0]


def test_one_epoch_is_seen():
    ax = plot.learning_curves(RECORDS[:1])
    assert ax.lines[0].get_marker() == "."
    assert ax.get_xlim() == (0.0, 2.0)
    assert list(ax.get_xticks()) == [0.0, 1.0, 2.0]


def test_gradient_flow():
    ax = plot.gradient_flow(RECORDS)
    np.testing.assert_array_equal(lines(ax)["0.weight"], [0.5, np.nan, 0.1, 0.2])
    assert len(ax.lines) == 1, "biases are left out"
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel().startswith("‖∂C/∂W‖")


def test_gradient_flow_of_a_training(tmp_path, capsys):
    """GradientStats itself, and what it logs, draw the same; the bar does not show a number a layer."""
    model, (x, y) = network(), points(30)
    stats, log = GradientStats(log=True), MetricsLog(tmp_path / "metrics.jsonl")
    trainer = Trainer(model, nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
    table = CSVLogger(tmp_path / "metrics.csv")
    trainer.fit(x, y, epochs=3, batch_size=10, callbacks=[stats, log, table, Progress(live=False)])
    drawn = lines(plot.gradient_flow(stats))
    assert drawn == lines(plot.gradient_flow(tmp_path))
    assert drawn == {path: [norms[path] for norms in stats.norms] for path in ("0.weight", "3.weight")}
    record = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["delta_norm/3"] == stats.deltas[-1]["3"] > 0.0
    assert "grad_norm/3.bias,delta_norm/0" in (tmp_path / "metrics.csv").read_text()
    assert "norm" not in capsys.readouterr().out
    colors = [line.get_color() for line in plot.gradient_flow(stats).lines]
    assert colors[0][2] > colors[0][0], "the first layer is blue"
    assert colors[-1][0] > colors[-1][2], "the last one vermilion"


def test_gradient_flow_that_was_not_recorded():
    with pytest.raises(KeyError, match=r"no grad_norm/<path> was recorded: .* nnx.train.GradientStats\(log=True\)"):
        plot.gradient_flow([{"epoch": 1, "loss": 1.0}])


@pytest.mark.parametrize("norms", [{"0.weight": 0.0}, {"0.weight": None}, {"0.weight": float("nan")}])
def test_gradient_flow_of_nothing(norms):
    ax = plot.gradient_flow([{"epoch": 1} | {f"grad_norm/{path}": x for path, x in norms.items()}])
    ax.figure.draw_without_rendering()
    assert np.isnan(ax.lines[0].get_ydata()).all()


def test_a_legend_of_many_layers_is_short():
    record = {"epoch": 1} | {f"grad_norm/{k}.weight": 1.0 for k in range(40)}
    ax = plot.gradient_flow([record, record])
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(ax.lines) == 40
    assert len(named) <= 9
    assert (named[0], named[-1]) == ("0.weight", "39.weight")
