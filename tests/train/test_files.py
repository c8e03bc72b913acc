"""What callbacks write: the best weights by Lightning's arguments, logs that a resume goes on with, TensorBoard."""

import csv
import json
import sys
from types import ModuleType
from typing import ClassVar

import pytest

import nnx
from nnx.io import load_safetensors, read_lines
from nnx.train import Callback, Checkpoint, CSVLogger, MetricsLog, ModelCheckpoint, TensorBoard
from tests.train.networks import Stop, loader, points, trainer, weights

SCORES = [3.0, 1.0, 2.0, 0.5, 4.0]


class Told(Callback):
    """Gives each epoch a score, and keeps its weights."""

    def __init__(self, scores=SCORES):
        self.scores, self.kept = scores, {}

    def on_epoch_end(self, trainer, record):
        record["score"] = self.scores[record["epoch"] - 1]
        self.kept[record["epoch"]] = weights(trainer)


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


def run(folder, name="m-{epoch}.safetensors", monitor="score", epochs=5, **options):
    told, best = Told(), ModelCheckpoint(folder / name, monitor, **options)
    trainer().fit(loader(), epochs=epochs, callbacks=[told, best])
    return told, best


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"save_top_k": 2}, ["m-2.safetensors", "m-4.safetensors"]),
        ({"save_top_k": -1}, [f"m-{k}.safetensors" for k in (1, 2, 3, 4, 5)]),
        ({"save_top_k": 0}, []),
        ({"save_top_k": 0, "save_last": True}, ["last.safetensors"]),
        ({"save_top_k": 2, "mode": "max"}, ["m-1.safetensors", "m-5.safetensors"]),
        ({"save_top_k": 1, "save_last": True}, ["last.safetensors", "m-4.safetensors"]),
        ({"save_top_k": 2, "every_n_epochs": 2}, ["m-2.safetensors", "m-4.safetensors"]),
        ({"save_top_k": -1, "every_n_epochs": 2}, ["m-2.safetensors", "m-4.safetensors"]),
        ({"monitor": None}, ["m-5.safetensors"]),
        ({"monitor": None, "save_top_k": 2}, ["m-4.safetensors", "m-5.safetensors"]),
        (
            {"name": "m.safetensors", "save_top_k": 2},
            ["m-epoch=2-step=14.safetensors", "m-epoch=4-step=28.safetensors"],
        ),
        ({"name": "{score:.1f}.safetensors"}, ["0.5.safetensors"]),
    ],
)
def test_which_weights_are_kept(options, names, tmp_path):
    told, best = run(tmp_path, **options)
    assert kept(tmp_path) == names
    for name in names:
        arrays, meta = load_safetensors(tmp_path / name)
        assert {path: x.tobytes() for path, x in arrays.items()} == told.kept[meta["epoch"]]
        assert name != "last.safetensors" or meta["epoch"] == 5
    assert (best.best_path is None) == (options.get("save_top_k") == 0)
    if best.best_path is not None and options.get("monitor", "score"):
        assert load_safetensors(best.best_path)[1]["score"] == best.saved["score"]


def test_every_n_steps_by_the_latest_validation(tmp_path):
    best = ModelCheckpoint(tmp_path / "s{step}.safetensors", "val_loss", save_top_k=-1, every_n_train_steps=4)
    t = trainer()
    t.fit(loader(), validation=points(30), epochs=2, validate_every=3, callbacks=[best])
    assert kept(tmp_path) == ["s12.safetensors", "s4.safetensors", "s8.safetensors"]
    assert load_safetensors(tmp_path / "s4.safetensors")[1]["val_loss"] == t.validations["val_loss"][0]


def test_whole_states_can_be_kept(tmp_path):
    run(tmp_path, "c.safetensors", save_weights_only=False)
    t = trainer()
    t.resume(tmp_path / "c.safetensors")
    assert t.epoch == 4


def test_nan_is_never_among_the_best(tmp_path):
    told, best = Told([float("nan"), 2.0, float("nan")]), ModelCheckpoint(tmp_path / "m{epoch}", "score", save_top_k=3)
    trainer().fit(loader(), epochs=3, callbacks=[told, best])
    assert kept(tmp_path) == ["m2"]


def test_the_best_are_known_after_a_resume(tmp_path):
    def callbacks():
        return [Told(), ModelCheckpoint(tmp_path / "m{epoch}", "score", save_top_k=2), Checkpoint(tmp_path / "c")]

    with pytest.raises(KeyboardInterrupt):
        trainer().fit(loader(), epochs=5, callbacks=[Stop(16), *callbacks()])
    assert kept(tmp_path) == ["c", "m1", "m2"]
    t = trainer()
    t.resume(tmp_path / "c")
    t.fit(loader(), epochs=5, callbacks=callbacks())
    assert kept(tmp_path) == ["c", "m2", "m4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"save_top_k": -2}, r"save_top_k must be -1 \(all\), 0 \(none\) or more, got -2"),
        ({"every_n_epochs": 0}, "every_n_epochs must be at least 1, or None, got 0"),
        ({"every_n_epochs": 1, "every_n_train_steps": 2}, "every_n_epochs=1 and every_n_train_steps=2: choose one"),
    ],
)
def test_misuse_of_model_checkpoint(options, words):
    with pytest.raises(ValueError, match=words):
        ModelCheckpoint("m", **options)


def test_a_name_that_is_not_recorded(tmp_path):
    with pytest.raises(ValueError, match=r"'\{f1\}.safetensors' names f1, and there is epoch, step, lr, loss"):
        run(tmp_path, "{f1}.safetensors")


# ---- logs ------------------------------------------------------------------------------------------------------------


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv(tmp_path):
    t = trainer()
    t.fit(loader(), validation=points(30), epochs=3, callbacks=[CSVLogger(tmp_path / "a.csv")])
    found = rows(tmp_path / "a.csv")
    assert list(found[0]) == list(t.history.records[0])
    assert [float(row["val_loss"]) for row in found] == t.history["val_loss"]
    assert [int(row["step"]) for row in found] == [7, 14, 21]


def test_a_new_column_is_one_of_all_rows(tmp_path):
    class Late(Callback):
        def on_epoch_end(self, trainer, record):
            if record["epoch"] == 2:
                record["late, or not"] = 0.5
            record["messages"] = ["left out"]

    trainer().fit(loader(), epochs=3, callbacks=[Late(), CSVLogger(tmp_path / "a.csv")])
    assert [row["late, or not"] for row in rows(tmp_path / "a.csv")] == ["", "0.5", ""]
    assert "messages" not in rows(tmp_path / "a.csv")[0]


@pytest.mark.parametrize("kind", [CSVLogger, MetricsLog])
def test_steps_and_validations_are_logged(kind, tmp_path):
    t = trainer()
    losses = []

    class Look(Callback):
        def on_batch_end(self, trainer, loss):
            losses.append(float(loss))

    t.fit(loader(), validation=points(30), validate_every=4, callbacks=[Look(), kind(tmp_path / "a", every_n_steps=3)])
    found = rows(tmp_path / "a") if kind is CSVLogger else read_lines(tmp_path / "a")
    assert [int(row["step"]) for row in found] == [3, 4, 6, 7]
    assert [float(row["loss"]) for row in found[0:3:2]] == pytest.approx([losses[2], losses[5]])
    assert float(found[1]["val_loss"]) == t.validations["val_loss"][0]
    with pytest.raises(ValueError, match="every_n_steps must be at least 1, or None, got 0"):
        kind(tmp_path / "a", every_n_steps=0)


@pytest.mark.parametrize("kind", [CSVLogger, MetricsLog])
def test_a_log_of_a_resumed_training_is_that_of_a_whole_one(kind, tmp_path):
    """Records behind the checkpoint come again, and stand there once; a row that was cut short does not."""

    def fit(t, name, *callbacks):
        t.fit(loader(), epochs=3, callbacks=[kind(tmp_path / name, every_n_steps=2), *callbacks])

    fit(trainer(), "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(trainer(), "broken", Checkpoint(tmp_path / "c"), Stop(13))
    with (tmp_path / "broken").open("a") as file:
        file.write('{"epoch": 1, "st' if kind is MetricsLog else "1,2,0.0")
    t = trainer()
    t.resume(tmp_path / "c")
    fit(t, "broken")
    read = rows if kind is CSVLogger else read_lines
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read(tmp_path / n)] for n in ("whole", "broken")
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("kind", [CSVLogger, MetricsLog])
def test_another_training_is_logged_behind_the_first(kind, tmp_path):
    for _ in range(2):
        trainer().fit(loader(), epochs=2, callbacks=[kind(tmp_path / "a")])
    found = rows(tmp_path / "a") if kind is CSVLogger else read_lines(tmp_path / "a")
    assert [int(row["epoch"]) for row in found] == [1, 2, 1, 2]


def test_read_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"b": 2}\n{"c"')
    assert read_lines(path) == [{"a": 1}, {"b": 2}]
    path.write_bytes(b'{"a": 1}\n{"b"\n{"c": 3}\n')
    with pytest.raises(nnx.io.CheckpointError, match=r"a\.jsonl, line 2: expected a JSON object"):
        read_lines(path)


# ---- TensorBoard -----------------------------------------------------------------------------------------------------


class Writer:
    """tensorboardX's, written down."""

    made: ClassVar[list] = []

    def __init__(self, folder, **options):
        self.folder, self.options, self.scalars, self.others, self.closed = folder, options, [], [], False
        Writer.made.append(self)

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def add_text(self, *args):
        self.others.append(args)

    def add_histogram(self, name, values, step):
        self.others.append((name, values.shape, step))

    def close(self):
        self.closed = True


@pytest.fixture
def writers(monkeypatch):
    module = ModuleType("tensorboardX")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    Writer.made = []
    return Writer.made


def test_tensorboard(writers, tmp_path, backend):
    t = trainer()
    board = TensorBoard(tmp_path / "runs", every_n_steps=5, histograms=True)
    t.fit(loader(), validation=points(30), epochs=2, validate_every=6, callbacks=[board, Checkpoint(tmp_path / "c")])
    (writer,) = writers
    assert (writer.folder, writer.options, writer.closed) == (str(tmp_path / "runs"), {}, True)
    assert ("validation/loss", t.history["val_loss"][1], 14) in writer.scalars
    assert ("validation/loss", t.validations["val_loss"][0], 6) in writer.scalars
    assert ("training/accuracy", t.history["accuracy"][0], 7) in writer.scalars
    assert [step for name, _, step in writer.scalars if name == "training/loss"] == [5, 7, 10, 14]
    assert ("0.weight", (8, 2), 7) in writer.others
    other = trainer()
    other.resume(tmp_path / "c")
    other.fit(loader(), epochs=3, callbacks=[TensorBoard(tmp_path / "runs")])
    assert writers[1].options == {"purge_step": 15}


def test_tensorboard_writes_its_messages_and_closes_after_an_error(writers):
    class Say(Callback):
        def on_epoch_end(self, trainer, record):
            record["messages"] = ["the gradient of 0.weight vanishes"]

    with pytest.raises(KeyboardInterrupt):
        trainer().fit(loader(), epochs=2, callbacks=[Say(), TensorBoard("runs"), Stop(9)])
    assert writers[0].others == [("messages/0", "the gradient of 0.weight vanishes", 7)]
    assert writers[0].closed


def test_tensorboard_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboardX"):
        trainer().fit(loader(), callbacks=[TensorBoard("runs")])


def test_the_events_of_tensorboardx_itself(tmp_path):
    pytest.importorskip("tensorboardX", reason="TensorBoard's events need tensorboardX")
    t = trainer()
    t.fit(loader(), epochs=2, callbacks=[TensorBoard(tmp_path, histograms=True)])
    (events,) = tmp_path.glob("events.*")
    assert b"training/loss" in events.read_bytes()
    assert json.dumps(t.history.records)
