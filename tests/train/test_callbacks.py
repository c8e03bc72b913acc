"""Callbacks: each hook, in which order, and those that ship with nnx."""

import io

import pytest

import nnx
from nnx.io import JsonLines, load, load_safetensors
from nnx.train import (
    ActivationStats,
    Callback,
    Checkpoint,
    EarlyStopping,
    GradientStats,
    MetricsLog,
    ModelCheckpoint,
    Profiler,
    Progress,
    Trainer,
)
from tests.train.networks import Calls, Stop, loader, points, records, trainer, weights


def test_the_order_of_the_hooks():
    log = []
    t = trainer()
    t.fit(*points(20), validation=points(20), epochs=2, batch_size=10, callbacks=[Calls("a ", log), Calls("b ", log)])
    batch = ["on_gradients", "on_batch_end"]
    epoch = ["on_epoch_begin", *batch, *batch, "on_epoch_end"]
    assert log == [f"{name} {hook}" for hook in ["on_train_begin", *epoch, *epoch, "on_train_end"] for name in "ab"]


def test_every_hook_of_the_base_does_nothing():
    hooks = {name for name in vars(Callback) if name.startswith("on_")}
    assert hooks == {h for h in dir(Callback) if h.startswith("on_")}
    assert len(hooks) == 7
    trainer().fit(*points(20), callbacks=[Callback()])
    for hook in hooks:
        assert f"{hook}(trainer" in nnx.train.callbacks.__doc__, "each is documented"


def test_hooks_see_the_state_that_they_are_told_of():
    seen = {}

    class Look(Callback):
        def on_gradients(self, trainer, grads):
            seen.setdefault("before", weights(trainer))
            seen["paths"] = list(grads)

        def on_batch_end(self, trainer, loss):
            seen.setdefault("after", weights(trainer))
            seen.setdefault("loss", float(loss))
            seen.setdefault("step", trainer.step)

        def on_epoch_end(self, trainer, record):
            seen["epoch"] = (trainer.epoch, record["epoch"], len(trainer.history))

    t = trainer()
    first = weights(t)
    t.fit(*points(20), batch_size=20, callbacks=[Look()])
    assert seen["before"] == first != seen["after"] == weights(t)
    assert seen["paths"] == list(t.model.trainable())
    assert (seen["step"], seen["epoch"]) == (1, (1, 1, 1))
    assert seen["loss"] == pytest.approx(t.history["loss"][0], rel=1e-6)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_gradients", "on_batch_end", "on_epoch_end", "on_train_end"]
)
def test_all_that_have_begun_are_told_the_end_after_an_error_in_one(hook):
    def fail(*args):
        raise ZeroDivisionError(hook)

    faulty = Callback()
    setattr(faulty, hook, fail)
    before, after = Calls(), Calls()
    with pytest.raises(ZeroDivisionError, match=hook):
        trainer().fit(loader(), callbacks=[before, faulty, after])
    assert before.log[-1] == "on_train_end"
    assert after.log[-1:] == ([] if hook == "on_train_begin" else ["on_train_end"])


def test_a_callback_that_refuses_is_not_hidden_by_those_behind_it():
    """Profiler and GradientStats take out at the end what they have put in at the beginning."""
    linear = Trainer(nnx.Linear(2, 3), nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
    with pytest.raises(ValueError, match="Linear has none: make the activations layers"):
        linear.fit(loader(), callbacks=[ActivationStats(), GradientStats(), Profiler(file=None)])


def test_a_fit_that_is_refused_changes_no_weight():
    """The best weights of an earlier fit are that one's."""
    t, stopping = trainer(), EarlyStopping(patience=1)
    t.fit(loader(), validation=loader(), epochs=2, callbacks=[stopping])
    t.fit(loader(), epochs=2)
    before = weights(t)
    with pytest.raises(ValueError, match="EarlyStopping watches 'val_loss', but there is nothing to validate on"):
        t.fit(loader(), callbacks=[stopping])
    assert weights(t) == before


def test_model_checkpoint_keeps_the_best(tmp_path):
    told = iter([3.0, 1.0, 2.0])
    kept = []

    class Told(Callback):
        def on_epoch_end(self, trainer, record):
            record["score"] = next(told)
            kept.append(weights(trainer))

    t = trainer()
    best = ModelCheckpoint(tmp_path / "m.safetensors", "score")
    t.fit(loader(), epochs=3, callbacks=[Told(), best])
    assert best.saved["epoch"] == 2
    other = trainer()
    assert load(tmp_path / "m.safetensors", other.model) == {"epoch": 2, "score": 1.0}
    assert weights(other) == kept[1]


def test_metrics_log(tmp_path):
    t = trainer()
    t.fit(loader(), epochs=2, callbacks=[MetricsLog(tmp_path / "m.jsonl")])
    assert isinstance(MetricsLog(tmp_path / "m.jsonl").file, JsonLines)
    import json

    assert [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()] == list(t.history)


def deep(activation, depth=10, scale=1.0):
    """A sigmoid net that is deep, or one whose weights are large."""
    nnx.seed(0)
    layers = [nnx.Linear(2, 16)]
    for _ in range(depth):
        layers += [activation(), nnx.Linear(16, 16)]
    net = nnx.Sequential(*layers, activation(), nnx.Linear(16, 3))
    for layer in net.modules():
        if isinstance(layer, nnx.Linear):
            layer.weight = layer.weight * scale
    return net


def judged(net):
    stats = GradientStats()
    t = Trainer(net, nnx.optim.SGD(1e-12), nnx.losses.cross_entropy)
    out = io.StringIO()
    t.fit(*points(40), batch_size=10, callbacks=[stats, Progress(1, file=out)])
    return stats, out.getvalue()


def test_gradients_that_vanish_are_named(backend):
    stats, shown = judged(deep(nnx.Sigmoid))
    assert stats.messages
    assert stats.messages[0].startswith("the gradient of 0.weight vanishes: norm ")
    assert not any("20.weight" in message or "22.weight" in message for message in stats.messages), (
        "not the last layers"
    )
    assert not any("explodes" in message for message in stats.messages)
    assert stats.messages[0] in shown
    assert stats.norms[0]["0.weight"] < 1e-4 * stats.norms[0]["22.weight"]


def test_gradients_that_explode_are_named():
    stats, shown = judged(deep(nnx.ReLU, scale=6.0))
    assert any(message.startswith("the gradient of 0.weight explodes: norm ") for message in stats.messages)
    assert not any("vanishes" in message for message in stats.messages), "the others are small beside it, and healthy"
    assert "clipping by norm" in shown


def test_one_layer_that_explodes_does_not_make_the_others_vanish():
    messages = list(
        GradientStats().judge({"a.weight": 1e30, "b.weight": 1.0, "c.weight": 1e-9, "d.weight": float("nan")})
    )
    assert [message.split(":")[0] for message in messages] == [
        "the gradient of a.weight explodes",
        "the gradient of c.weight vanishes",
        "the gradient of d.weight explodes",
    ]


def test_healthy_gradients_have_no_message():
    stats, _ = judged(deep(nnx.ReLU, depth=1))
    assert stats.messages == []


def test_gradient_norms_are_root_mean_squares(backend):
    stats = GradientStats()
    seen = []

    class Look(Callback):
        def on_gradients(self, trainer, grads):
            seen.append(float((nnx.to_numpy(grads["3.weight"]).astype("float64") ** 2).sum()))

    trainer().fit(*points(40), epochs=2, batch_size=10, callbacks=[stats, Look()])
    assert len(stats.norms) == 2
    for epoch in range(2):
        assert stats.norms[epoch]["3.weight"] == pytest.approx(
            (sum(seen[4 * epoch : 4 * epoch + 4]) / 4) ** 0.5, rel=1e-5
        )


def test_progress_in_plain_lines():
    out = io.StringIO()
    t = trainer()
    t.fit(loader(), validation=points(), epochs=2, callbacks=[Progress(2, file=out)])
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    first = t.history.records[0]
    assert lines[0].startswith(f"epoch   1  loss {first['loss']:.4f}  accuracy {first['accuracy']:.4f}  val_loss ")
    assert lines[0].endswith(" s")
    assert "\x1b" not in out.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_in_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    progress = Progress(2, file=out)
    assert progress.live
    t = trainer()
    t.fit(loader(), epochs=2, callbacks=[progress])
    shown = out.getvalue()
    assert "\x1b[?25l" in shown
    assert shown.rstrip().endswith("\x1b[?25h"), "the cursor is there again"
    assert shown.count("epoch   1") == 1
    assert shown.count("epoch   2") == 1


def test_progress_closes_its_display_after_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    with pytest.raises(KeyboardInterrupt):
        trainer().fit(loader(), epochs=2, callbacks=[Progress(2, file=out), Stop(3)])
    assert out.getvalue().rstrip().endswith("\x1b[?25h")


def test_progress_can_be_told():
    assert not Progress(1, live=False, file=Terminal()).live
    assert Progress(1, live=True, file=io.StringIO()).live


def test_checkpoints_come_last_and_every_so_often(tmp_path):
    steps = []

    class Look(Callback):
        def on_batch_end(self, trainer, loss):
            steps.append((trainer.step, (tmp_path / "c").exists() and load_safetensors(tmp_path / "c")[1]["step"]))

    t = trainer()
    early = EarlyStopping("loss")
    t.fit(*points(40), batch_size=10, callbacks=[Checkpoint(tmp_path / "c", every=2), early, Look()])
    assert steps == [(1, False), (2, False), (3, 2), (4, 2)]
    _, meta = load_safetensors(tmp_path / "c")
    assert meta["step"] == 4
    assert meta["callbacks"]["EarlyStopping-0"]["best_epoch"] == 1, "what stands behind it has seen the epoch"
    assert records(t)
