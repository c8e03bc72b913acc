"""What callbacks owe each other: the order that they are called in, and a whole step in what a checkpoint holds."""

import io

import pytest

import nnx
from nnx.train import (
    ActivationStats,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    GradientStats,
    LearningRateFinder,
    MetricsLog,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
)
from nnx.train.displays import display_for
from tests.train.networks import Stop, loader, points, records, trainer, weights


def validations(t):
    return t.validations.records


@pytest.mark.parametrize("step", [4, 5, 8])
def test_the_validation_of_a_step_is_in_the_checkpoint_of_that_step(step, tmp_path):
    """Both are due after the same update, and the training ends before another one."""

    def fit(t, *callbacks):
        nnx.seed(5)
        checkpoint = Checkpoint(tmp_path / "c", every=4)
        t.fit(
            loader(), validation=points(30), epochs=2, validate_every=4, callbacks=[checkpoint, *callbacks, Reduce(t)]
        )
        return t

    class Reduce(ReduceLROnPlateau):
        """A user's own, of every validation."""

        def __init__(self, trainer):
            super().__init__(patience=0, min_delta=1.0)

        def on_validation(self, trainer, record):
            self.on_epoch_end(trainer, record)

    expected = fit(trainer())
    with pytest.raises(KeyboardInterrupt):
        fit(trainer(), Stop(step))
    found = trainer()
    found.resume(tmp_path / "c")
    fit(found)
    assert validations(found) == validations(expected)
    assert [record["step"] for record in validations(found)] == [4, 8, 12]
    assert weights(found) == weights(expected)


def test_a_training_that_has_stopped_early_is_at_its_end_after_a_resume(tmp_path):
    """It was killed behind the last checkpoint."""

    def fit(t, *stop):
        early = EarlyStopping("val_loss", patience=1, min_delta=10.0)
        t.fit(loader(), validation=points(30), epochs=9, callbacks=[early, Checkpoint(tmp_path / "c"), *stop])

    expected, t, found = trainer(), trainer(), trainer()
    nnx.seed(5)
    fit(expected)
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        fit(t, Interrupt(2))
    found.resume(tmp_path / "c")
    fit(found)
    assert (found.epoch, found.step) == (expected.epoch, expected.step)
    assert records(found) == records(expected)
    assert weights(found) == weights(expected)


class Interrupt(Callback):
    """Ctrl-C behind an epoch and its checkpoint."""

    last = True

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer, record):
        if trainer.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stats", [GradientStats(small=0.99), ActivationStats(dead_above=0.0)], ids=["δ", "dead"])
def test_messages_are_shown_wherever_progress_stands(stats):
    text = io.StringIO()
    t = trainer()
    t.model[0].bias = nnx.asarray([-100.0] + [0.0] * 7, "float32")
    t.fit(loader(), callbacks=[Progress(file=text), stats])
    assert stats.messages
    assert all(message in text.getvalue() for message in stats.messages)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (EarlyStopping("loss"), r"got one EarlyStopping: callbacks=\[callback\]"),
        ([EarlyStopping], r"EarlyStopping\(\) makes one"),
        (None, "a list of Callbacks, got None"),
        ([print], "got <built-in function print>: a Callback is a subclass with hooks"),
    ],
)
def test_what_is_no_list_of_callbacks(given, words):
    with pytest.raises(TypeError, match=words):
        trainer().fit(loader(), callbacks=given)


@pytest.mark.parametrize("make", [Checkpoint, CSVLogger, MetricsLog, lambda path: ModelCheckpoint(path, "loss")])
def test_a_place_that_cannot_be_written_is_told_before_the_first_step(make, tmp_path):
    for path, error in ((tmp_path / "none" / "file", FileNotFoundError), (tmp_path, IsADirectoryError)):
        t = trainer()
        with pytest.raises(error, match=r"make it first|is a directory"):
            t.fit(loader(), callbacks=[make(path)])
        assert t.step == 0


def test_a_narrow_terminal_shows_rate_and_remaining_time():
    """The numbers are cut, as the line above has them all."""
    console = pytest.importorskip("rich.console", reason="rich is not installed: pip install rich")
    display = display_for(True, io.StringIO())
    display.open(10, 0)
    display.move(3, "epoch 3/4" + "  val_accuracy 0.9667" * 6, "30 steps/s", "0:01:05 left")
    text = io.StringIO()
    console.Console(file=text, width=80).print(display.bar.get_renderable())
    display.close(3)
    assert "30 steps/s  0:01:05 left epoch 3/4" in text.getvalue()
    assert text.getvalue().count("\n") == 1


# ---- half precision --------------------------------------------------------------------------------------------------


def test_deltas_are_without_the_scale_of_the_loss():
    full, half = GradientStats(), GradientStats()
    trainer().fit(loader(), callbacks=[full])
    trainer(precision="16-mixed").fit(loader(), callbacks=[half])
    assert half.deltas[0] == pytest.approx(full.deltas[0], rel=0.05)
    assert half.messages == []


def test_shares_are_counted_in_single_precision():
    """float16 counts to 2048, and no further."""

    class Look(Callback):
        def on_gradients(self, trainer, grads):
            notes.extend(trainer.gathered.notes)

    notes = []
    t = trainer(precision="16-mixed")
    t.fit(loader(), callbacks=[ActivationStats(), Look()])
    assert {str(x.dtype) for note in notes for x in note.values()} == {"float32"}


def test_the_sweep_for_a_rate_leaves_the_scale_as_it_was():
    t = trainer(precision="16-mixed")
    t.precision.scaler.growth_interval = 3
    before = t.precision.scaler.state_dict()
    LearningRateFinder(steps=12).find(t, loader())
    assert t.precision.scaler.state_dict() == before


# ---- which is better -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("val_f1", -1.0), ("val_auroc", -1.0), ("val_accuracy", -1.0), ("valacc", -1.0), ("r2", -1.0),
        ("val_loss", 1.0), ("val_dice_loss", 1.0), ("val_rmse", 1.0), ("surface", 1.0),
    ],
)  # fmt: skip
def test_more_of_a_score_is_better(name, sign):
    assert EarlyStopping(name).sign == sign
    assert EarlyStopping(name, mode="min").sign == 1.0
