"""What callbacks see inside of a step: δ of each layer, dead and saturated units, the operation of the first NaN."""

import math
import re

import numpy as np
import pytest

import nnx
from nnx.train import ActivationStats, Callback, Diverged, GradientStats, Progress, TerminateOnNaN, Trainer
from tests.train.networks import modes, points, weights

CE = nnx.losses.cross_entropy


class Keep(Callback):
    """The records as the callbacks have left them."""

    last = True

    def __init__(self):
        self.records = []

    def on_epoch_end(self, trainer, record):
        self.records.append(record)


def fit(net, *callbacks, x=None, y=None, lr=1e-12, batch_size=10, **options):
    t = Trainer(net, nnx.optim.SGD(lr), CE, **options)
    px, py = points(40)
    t.fit(px if x is None else x, py if y is None else y, batch_size=batch_size, callbacks=callbacks)
    return t


# ---- δ ---------------------------------------------------------------------------------------------------------------


class WithOffsets(nnx.Module):
    """Zeros added to each z: the gradient with respect to them is δ."""

    def __init__(self, n):
        self.one, self.two = nnx.Linear(2, 5), nnx.Linear(5, 3)
        self.at_one, self.at_two = nnx.init.zeros((n, 5)), nnx.init.zeros((n, 3))

    def __call__(self, x):
        return self.two(nnx.functional.sigmoid(self.one(x) + self.at_one)) + self.at_two


def test_delta_is_the_gradient_of_the_weighted_sums(backend):
    """One batch of 40: ‖δˡ‖ by GradientStats, and by the gradient of offsets."""
    norms = {}

    class Look(Callback):
        def on_gradients(self, trainer, grads):
            norms.update({path: float(np.sqrt((nnx.to_numpy(g) ** 2).sum())) for path, g in grads.items()})

    for compile in modes(backend):
        nnx.seed(0)
        stats = GradientStats()
        fit(WithOffsets(40), stats, Look(), batch_size=40, compile=compile)
        assert stats.deltas[0] == pytest.approx({"one": norms["at_one"], "two": norms["at_two"]}, rel=1e-5)
        assert stats.norms[0] == pytest.approx(norms, rel=1e-5)


def test_the_step_is_as_without_a_watcher(backend):
    def trained(*callbacks):
        nnx.seed(0)
        net = nnx.Sequential(
            nnx.Linear(2, 8), nnx.ReLU(), nnx.Dropout(0.3), nnx.Linear(8, 8), nnx.Tanh(), nnx.Linear(8, 3)
        )
        return weights(fit(net, *callbacks, lr=0.1))

    assert trained() == trained(GradientStats(), ActivationStats())


def test_classes_are_their_own_again():
    nnx.seed(0)
    net = nnx.Sequential(nnx.Linear(2, 3))
    with pytest.raises(ValueError, match="label 9"):
        fit(net, GradientStats(), y=np.full(40, 9))
    assert type(net[0]) is nnx.Linear


def test_a_layer_that_is_used_twice_adds_up():
    nnx.seed(0)
    layer = nnx.Linear(2, 2)
    stats, apart = GradientStats(), GradientStats()
    fit(nnx.Sequential(layer, nnx.Tanh(), layer, nnx.Tanh(), nnx.Linear(2, 3)), stats)
    nnx.seed(0)
    one, two = nnx.Linear(2, 2), nnx.Linear(2, 2)
    two.load_state_dict(one.state_dict())
    last = nnx.Sequential(one, nnx.Tanh(), two, nnx.Tanh(), nnx.Linear(2, 3))
    last[4].load_state_dict(_last(2))
    fit(last, apart)
    found, parts = stats.deltas[0], apart.deltas[0]
    assert list(found) == ["0", "4"]
    assert found["0"] > 0
    assert len(parts) == 3


def _last(n):
    return {"weight": nnx.init.zeros((3, n)), "bias": nnx.init.zeros((3,))}


def test_a_message_names_delta_and_weight():
    nnx.seed(0)
    layers = [layer for _ in range(10) for layer in (nnx.Linear(16, 16), nnx.Sigmoid())]
    stats, keep = GradientStats(), Keep()
    fit(nnx.Sequential(nnx.Linear(2, 16), *layers, nnx.Linear(16, 3)), stats, keep)
    pattern = (
        r"the gradient of 0.weight vanishes: norm \d\.\de-\d+, ‖δ‖ \d\.\de-\d+, norm \d\.\de[-+]\d+ elsewhere\. ReLU"
    )
    assert re.match(pattern, stats.messages[0])
    assert keep.records[0]["messages"] == stats.messages
    deltas = list(stats.deltas[0].values())
    assert deltas == sorted(deltas), "BP2: smaller in every layer that it is carried back"
    assert len(deltas) == 12


# ---- activations -----------------------------------------------------------------------------------------------------


def with_dead(k, of=8):
    """A ReLU layer of which k units are never active."""
    nnx.seed(0)
    first = nnx.Linear(2, of)
    first.bias = nnx.asarray([-100.0] * k + [100.0] * (of - k), "float32")
    return nnx.Sequential(first, nnx.ReLU(), nnx.Linear(of, 3))


@pytest.mark.parametrize("dead", [0, 2, 3, 8])
def test_dead_units_are_counted_and_named(backend, dead):
    stats, keep = ActivationStats(), Keep()
    t = fit(with_dead(dead), stats, keep, compile=modes(backend)[-1] and dead == 3)
    assert stats.shares == [{"1": dead / 8}]
    expected = (
        [] if dead <= 2 else [f"{dead / 8:.0%} of the units of 1 (ReLU) are dead: 0 for every sample of the epoch"]
    )
    assert [message.partition(". ")[0] for message in stats.messages] == expected
    assert keep.records[0].get("messages", []) == stats.messages
    assert t.steps.watchers == []


def test_a_unit_that_one_sample_wakes_is_not_dead():
    """Of the last batch alone, the one whose x is large."""
    nnx.seed(0)
    first = nnx.Linear(2, 4)
    first.weight = nnx.asarray([[1.0, 0.0]] * 4, "float32")
    first.bias = nnx.asarray([-5.0, -5.0, -500.0, -500.0], "float32")
    x = np.zeros((40, 2))
    x[33] = 10.0
    stats = ActivationStats()
    fit(nnx.Sequential(first, nnx.ReLU(), nnx.Linear(4, 3)), stats, x=x)
    assert stats.shares == [{"1": 0.5}]


@pytest.mark.parametrize(
    ("kind", "shape", "units"), [("conv", (6, 1, 4, 4), 4), ("tokens", (6, 5, 4), 4), ("flat", (6, 4), 4)]
)
def test_what_a_unit_is(kind, shape, units):
    """A channel of an image, a feature of a token: the second of four is dead."""
    nnx.seed(0)
    if kind == "conv":
        layer = nnx.Conv2d(1, 4, 1)
        net = nnx.Sequential(layer, nnx.ReLU(), nnx.Flatten(), nnx.Linear(64, 3))
    else:
        layer = nnx.Linear(4, 4)
        tail = [nnx.Flatten(), nnx.Linear(20, 3)] if kind == "tokens" else [nnx.Linear(4, 3)]
        net = nnx.Sequential(layer, nnx.ReLU(), *tail)
    layer.bias = nnx.asarray([100.0, -100.0, 100.0, 100.0], "float32")
    stats = ActivationStats()
    fit(net, stats, x=np.random.default_rng(0).normal(size=shape), y=np.arange(6) % 3)
    assert stats.shares == [{"1": 1 / units}]


@pytest.mark.parametrize("kind", [nnx.Sigmoid, nnx.Tanh, nnx.Hardtanh, nnx.Hardsigmoid])
@pytest.mark.parametrize("flat", [0, 1, 3])
def test_saturated_outputs_are_counted_and_named(kind, flat):
    nnx.seed(0)
    first = nnx.Linear(2, 4)
    first.weight = nnx.init.zeros((4, 2))
    first.bias = nnx.asarray([20.0, -20.0, 20.0][:flat] + [0.1] * (4 - flat), "float32")
    stats = ActivationStats()
    fit(nnx.Sequential(first, kind(), nnx.Linear(4, 3)), stats)
    assert stats.shares == [{"1": pytest.approx(flat / 4)}]
    expected = (
        [f"75% of the outputs of 1 ({kind.__name__}) are saturated: the slope there is nearly 0"] if flat == 3 else []
    )
    assert [message.partition(". ")[0] for message in stats.messages] == expected


def test_a_shared_activation_is_the_mean_of_its_calls():
    nnx.seed(0)
    act, zero = nnx.Sigmoid(), nnx.init.zeros((2, 2))
    layers = [nnx.Linear(2, 2) for _ in range(4)]
    for layer, bias in zip(layers, [20.0, 0.0, 0.0, 0.0], strict=True):
        layer.weight, layer.bias = zero, nnx.asarray([bias] * 2, "float32")
    stats = ActivationStats()
    fit(nnx.Sequential(*[x for layer in layers for x in (layer, act)], nnx.Linear(2, 3)), stats)
    assert stats.shares == [{"1": pytest.approx(0.25)}]


def test_messages_of_several_callbacks_come_together():
    gradients, activations, keep = GradientStats(), ActivationStats(), Keep()
    fit(with_dead(8), gradients, activations, keep)
    assert keep.records[0]["messages"] == [*gradients.messages, *activations.messages]
    assert gradients.messages
    assert activations.messages


def test_misuse_of_activation_stats():
    with pytest.raises(ValueError, match=r"dead_above must be in \[0, 1\), got 2.0"):
        ActivationStats(dead_above=2.0)
    with pytest.raises(ValueError, match=r"looks at layers such as nnx.ReLU and nnx.Sigmoid, and Linear has none"):
        fit(nnx.Linear(2, 3), ActivationStats())


# ---- the first NaN ---------------------------------------------------------------------------------------------------


class Log(nnx.Module):
    def __call__(self, x):
        return nnx.namespace(x).log(x)


def bad(kind):
    nnx.seed(0)
    return nnx.Sequential(nnx.Linear(2, 4), kind(), nnx.Dropout(0.5), nnx.Linear(4, 3))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_terminate_on_nan_names_the_operation_and_keeps_the_weights(backend):
    words = r"step 1 of epoch 1 is not finite: log made the first NaN, \d+ of 40 values, in layer 1 \(Log\), called at "
    for compile in modes(backend):
        net = bad(Log)
        before = {path: nnx.to_numpy(x).tobytes() for path, x in net.state_dict().items()}
        with pytest.raises(Diverged, match=words):
            fit(net, TerminateOnNaN(), compile=compile)
        assert {path: nnx.to_numpy(x).tobytes() for path, x in net.state_dict().items()} == before


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_infinite_gradient_has_a_cause():
    """‖x‖ of 0: its derivative is 0/0."""

    class Norm(nnx.Module):
        def __call__(self, x):
            xp = nnx.namespace(x)
            return xp.sqrt(xp.sum((x - x) ** 2, axis=1, keepdims=True)) + x

    with pytest.raises(
        Diverged, match=r"the pullback of .* made the first NaN.*in layer 1 \(Norm\).*a derivative is infinite"
    ):
        fit(bad(Norm), TerminateOnNaN())


def test_nan_in_the_data_is_given():
    x, _ = points(40)
    x[25, 1] = math.nan
    with pytest.raises(
        Diverged, match=r"step \d of epoch 1 .* linear was given NaN in argument 0, in layer 0 \(Linear\)"
    ):
        fit(bad(nnx.ReLU), TerminateOnNaN(), x=x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_is_done_again_with_the_same_masks():
    """A dropout that divides by what it has kept: only some masks make a NaN, and that one is found."""

    class Share(nnx.Module):
        def __init__(self):
            self.drop = nnx.Dropout(0.5)

        def __call__(self, x):
            xp = nnx.namespace(x)
            kept = self.drop(xp.ones_like(x[:, :1]))
            return x * (xp.sum(kept) / xp.sum(kept * kept))

    class Counts(Callback):
        steps = 0

        def on_batch_end(self, trainer, loss):
            Counts.steps += 1

    t = Trainer(bad(Share), nnx.optim.SGD(1e-3), CE)
    with pytest.raises(Diverged, match=r"divide made the first NaN, 1 of 1 values, in layer 1 \(Share\)"):
        t.fit(*points(400), batch_size=2, callbacks=[TerminateOnNaN(), Counts()])
    assert Counts.steps > 0


def test_every_so_often():
    class Later(nnx.Module):
        def __init__(self):
            self.calls = 0

        def __call__(self, x):
            self.calls += 1
            return x * math.nan if self.calls == 3 else x

    with pytest.raises(Diverged, match=r"step 3 .* done again without nnx.compile it was finite"):
        fit(bad(Later), TerminateOnNaN(every=3))
    with pytest.raises(Diverged, match=r"the loss of epoch 1 is nan.*TerminateOnNaN"):
        fit(bad(Later), TerminateOnNaN(every=5))
    with pytest.raises(ValueError, match="every must be at least 1 update, got 0"):
        TerminateOnNaN(every=0)


def test_a_finite_training_is_left_alone(backend):
    nnx.seed(0)
    with_it = weights(fit(bad(nnx.ReLU), TerminateOnNaN(), lr=0.1))
    nnx.seed(0)
    assert with_it == weights(fit(bad(nnx.ReLU), lr=0.1))


# ---- a notebook ------------------------------------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch):
    """IPython's display, written down."""
    import sys
    from types import ModuleType, SimpleNamespace

    shown = []

    class ZMQInteractiveShell:
        pass

    module, display = ModuleType("IPython"), ModuleType("IPython.display")
    module.get_ipython = ZMQInteractiveShell
    display.HTML = lambda text: text
    display.display = lambda html, display_id: SimpleNamespace(update=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_progress_in_a_notebook(notebook, monkeypatch, capsys):
    from nnx.train import displays, progress

    now = iter(range(10**6))
    for module in (progress, displays):
        monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(now)))
    shown = Progress()
    assert shown.live
    t = Trainer(bad(nnx.ReLU), nnx.optim.SGD(0.1), CE)
    t.fit(*points(40), epochs=3, batch_size=10, callbacks=[shown])
    bars = [html for html in notebook if "<progress" in html]
    assert any("<progress value='7' max='12'>" in html and "epoch 2/3  loss " in html for html in bars)
    assert any("steps/s" in html and " left" in html for html in bars)
    assert "<progress" not in notebook[-1]
    assert notebook[-1].count("epoch ") == 3
    assert capsys.readouterr().out == ""


def test_plain_lines_in_a_notebook_on_request(notebook, capsys):
    assert not Progress(live=False).live
    fit(bad(nnx.ReLU), Progress(live=False))
    assert capsys.readouterr().out.startswith("epoch   1  loss ")
    assert notebook == []


def test_remaining_time_and_rate(monkeypatch):
    """10 steps a second: 40 steps in all, the rate counted from the second on."""
    from nnx.train import displays, progress

    moved = []

    class Screen(displays.Plain):
        def move(self, done, text, rate, remaining):
            moved.append((done, text.split("  ")[0], rate, remaining))

    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    class Tick(Callback):
        def on_batch_end(self, trainer, loss):
            now[0] += 1.0

    shown = Progress(live=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    shown.display.bar.console.file.close()
    shown.display = Screen(None)
    monkeypatch.setattr(Screen, "line", lambda self, text: None)
    t = Trainer(bad(nnx.ReLU), nnx.optim.SGD(0.1), CE)
    t.fit(*points(40), epochs=100, batch_size=10, max_steps=20, callbacks=[Tick(), shown])
    assert moved[0] == (2, "epoch 1/100", "1 steps/s", "0:00:18 left")
    assert moved[-1] == (20, "epoch 5/100", "1 steps/s", "0:00:00 left")
