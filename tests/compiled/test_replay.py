"""A library without a compiler: the step's calls are written down and run again, to the same bits."""

import traceback

import numpy as np
import pytest

import nnx
from nnx.backend import numba_fusion
from nnx.backend.replay import compiler_of
from nnx.backend.replay.book import ValueRead


@pytest.fixture
def backend(backend):
    """NumPy: on a GPU a step's own kernels are fewer than its calls."""
    if backend.name != "numpy":
        pytest.skip("one library is replayed")
    return backend


def program_of(function, *inputs):
    """The function of arrays and numbers, which returns a list, as a program."""
    library = nnx.backend.backend_of(inputs[0])
    used, build = compiler_of(library).trace(lambda xs: function(*xs), list(inputs))
    program = build([])
    return lambda *xs: program(*[xs[k] for k in used]), program


def images():
    return nnx.Sequential(
        nnx.Conv2d(1, 4, 3, padding=1),
        nnx.BatchNorm2d(4),
        nnx.ReLU(),
        nnx.MaxPool2d(2),
        nnx.Flatten(),
        nnx.Linear(64, 3),
    )


class Last(nnx.Module):
    """The last output of a recurrent layer."""

    def __init__(self):
        self.rnn, self.out = nnx.LSTM(5, 6, batch_first=True), nnx.Linear(6, 3)

    def __call__(self, x):
        return self.out(self.rnn(x)[0][:, -1, :])


class Read(nnx.Module):
    """Words, one block of a transformer, and a class."""

    def __init__(self):
        self.words, self.out = nnx.Embedding(7, 8), nnx.Linear(8, 3)
        self.block = nnx.TransformerEncoderLayer(8, 2, 16, dropout=0.1, activation="gelu", batch_first=True)

    def __call__(self, x):
        return self.out(nnx.namespace(x).mean(self.block(self.words(x)), axis=1))


def mlp():
    first = [nnx.Linear(4, 30), nnx.LayerNorm(30), nnx.GELU(), nnx.Dropout(0.3)]
    return nnx.Sequential(*first, nnx.Linear(30, 20), nnx.Tanh(), nnx.Linear(20, 3))


def wide():
    """With arrays so large that their elementwise functions are kernels."""
    return nnx.Sequential(nnx.Linear(4, 9000), nnx.SiLU(), nnx.Dropout(0.3), nnx.Linear(9000, 3))


rng = np.random.default_rng(0)
NETS = {
    "wide": (wide, rng.normal(size=(6, 4)).astype("float32")),
    "mlp": (mlp, rng.normal(size=(6, 4)).astype("float32")),
    "images": (images, rng.normal(size=(6, 1, 8, 8)).astype("float32")),
    "lstm": (Last, rng.normal(size=(6, 4, 5)).astype("float32")),
    "words": (Read, rng.integers(0, 7, (6, 5))),
}
OPTIMIZERS = {
    "sgd": lambda: nnx.optim.SGD(0.1, momentum=0.9),
    "adamw": lambda: nnx.optim.AdamW(0.01, groups={"*.bias": {"weight_decay": 0.0}}),
    "radam": lambda: nnx.optim.RAdam(0.01, betas=(0.8, 0.9)),
}


def trained(backend, net, rule, compiled, steps=7):
    """Losses, and all arrays of the model and the optimizer afterwards."""
    nnx.seed(0)
    make, x = NETS[net]
    model, optimizer = make(), OPTIMIZERS[rule]()
    x, y = backend.asarray(x), backend.asarray(np.arange(6) % 3)
    value_and_grad = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))

    def step(x, y):
        loss, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
        return loss

    if compiled:
        step = nnx.compile(step, state=(model, optimizer))
    losses = []
    for k in range(steps):
        optimizer.lr *= 0.9
        losses.append(float(step(x, y)))
        if k == 3 and net != "words":
            x = x * 1.5
    assert not compiled or step.traces == 1
    slots = optimizer.state_dict()["slots"]
    return losses, {name: nnx.to_numpy(x) for name, x in {**model.state_dict(), **slots}.items()}


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_steps_are_the_eager_ones_to_the_bit(backend, net, rule):
    losses, arrays = trained(backend, net, rule, False)
    found, others = trained(backend, net, rule, True)
    assert found == losses
    assert arrays.keys() == others.keys()
    for name, x in arrays.items():
        np.testing.assert_array_equal(others[name], x, err_msg=name)


def test_kernels_are_one_line_and_numba_may_run_them(backend, monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed: the extra `fast`")
    monkeypatch.setattr(numba_fusion, "AFTER", 0)
    weights = []
    for compiled in (False, True):
        nnx.seed(0)
        model, optimizer = nnx.Linear(200, 200), nnx.optim.AdamW(0.01)

        def step(grads, model=model, optimizer=optimizer):
            optimizer.update(model, grads)

        run = nnx.compile(step, state=(model, optimizer)) if compiled else step
        for k in range(3):
            run({"weight": model.weight * (k + 1.0), "bias": model.bias})
        weights.append(model.weight)
    np.testing.assert_array_equal(weights[0], weights[1])
    (line,) = [line for line in run.text.splitlines() if "fused" in line]  # the bias is small
    assert "None" not in line.partition("out=")[2], "parameter and slots are written over"


def big(more=lambda model: None):
    """A model whose arrays are written over, an optimizer, and the compiled step, which returns the loss and more."""
    nnx.seed(0)
    model, optimizer = nnx.Sequential(nnx.Linear(100, 90), nnx.ReLU(), nnx.Linear(90, 100)), nnx.optim.Adam(0.01)
    value_and_grad = nnx.value_and_grad(lambda model, x: nnx.losses.mse_loss(model(x), x))

    def step(x):
        loss, grads = value_and_grad(model, x)
        optimizer.update(model, grads)
        return loss, more(model)

    return model, optimizer, nnx.compile(step, state=(model, optimizer))


def test_an_array_that_nobody_holds_is_written_over(backend):
    model, _, step = big()
    x = nnx.random.normal((8, 100))
    for _ in range(3):
        step(x)
    before = {id(model.layers[0].weight), id(model.layers[2].weight)}
    step(x)
    assert {id(model.layers[0].weight), id(model.layers[2].weight)} == before


@pytest.mark.parametrize("when", [0, 1, 3])
@pytest.mark.parametrize("what", ["array", "view", "slot"])
def test_what_a_user_holds_stays(backend, what, when):
    model, optimizer, step = big()
    x = nnx.random.normal((8, 100))
    for _ in range(when):
        step(x)
    if what == "slot":
        step(x)
        held = optimizer.state["0.weight"][0]
    else:
        held = model.layers[0].weight if what == "array" else model.layers[0].weight[:2, :]
    expected = nnx.to_numpy(held).copy()
    reference = nnx.to_numpy(model.layers[0].weight).copy()
    for _ in range(3):
        step(x)
        np.testing.assert_array_equal(nnx.to_numpy(held), expected)
    assert not np.array_equal(nnx.to_numpy(model.layers[0].weight), reference)


@pytest.mark.parametrize("when", [0, 1, 3])
@pytest.mark.parametrize("what", [lambda w: w, lambda w: w[:2, :], lambda w: [{"in a nest": w.T}]])
def test_what_a_step_has_returned_stays(backend, what, when):
    """A parameter, or a view of one, among the results is a user's from the moment that the step returns."""
    _, _, step = big(lambda model: what(model.layers[0].weight))
    x = nnx.random.normal((8, 100))
    for _ in range(when):
        step(x)
    held = step(x)[1]
    held = held[0]["in a nest"] if type(held) is list else held
    expected = nnx.to_numpy(held).copy()
    for _ in range(3):
        step(x)
        np.testing.assert_array_equal(nnx.to_numpy(held), expected)


@pytest.mark.parametrize("when", [1, 3])
def test_what_a_user_puts_into_the_state_stays(backend, when):
    model, _, step = big()
    x = nnx.random.normal((8, 100))
    for _ in range(when):
        step(x)
    mine = nnx.random.normal((90, 100))
    expected = mine.copy()
    model.layers[0].weight = mine
    for _ in range(3):
        step(x)
        np.testing.assert_array_equal(mine, expected)
    assert not np.array_equal(model.layers[0].weight, expected)


class Keeping(nnx.Module):
    """Keeps its last input as a buffer, which the step then moves."""

    def __init__(self):
        self.register_buffer("seen", np.zeros((100, 90), "float32"))

    def __call__(self, x):
        self.seen = x
        return x


def test_an_argument_that_became_state_stays(backend):
    model = Keeping()

    def keep(x):
        old = model.seen
        return nnx.namespace(x).sum(old * 2.0 + model(x))

    step = nnx.compile(keep, state=model)
    batches = [np.full((100, 90), k, "float32") for k in range(1, 6)]
    found = [float(step(x)) for x in batches]
    assert found == [9000.0 * (2 * (k - 1) + k) for k in range(1, 6)]
    for k, x in enumerate(batches, 1):
        assert (x == k).all()


READS = {
    "float": lambda xp, x: float(x[0]),
    "branch": lambda xp, x: 1 if x[0] > 0 else 2,
    "index": lambda xp, x: [1, 2, 3][xp.argmax(x)],
    "mask": lambda xp, x: x[x > 0],
    "nonzero": lambda xp, x: xp.nonzero(x),
    "unique": lambda xp, x: xp.unique_values(x),
    "to_numpy": lambda xp, x: nnx.to_numpy(x),
    "NumPy's own": lambda xp, x: np.add(x, 1.0),
    "asarray": lambda xp, x: np.asarray(x),
}


@pytest.mark.parametrize("name", READS)
def test_a_value_that_is_read_is_an_error(backend, name):
    x = backend.asarray([1.0, -2.0, 3.0], "float32")
    with pytest.raises(TypeError) as caught:
        nnx.compile(lambda x: READS[name](nnx.namespace(x), x))(x)
    assert isinstance(caught.value, ValueRead) or name == "NumPy's own"


def test_a_label_out_of_range_is_found_at_a_later_step(backend):
    step = nnx.compile(lambda z, y: nnx.losses.cross_entropy(z, y))
    z = backend.asarray(np.ones((2, 3)), "float32")
    assert float(step(z, backend.asarray([0, 1]))) == pytest.approx(np.log(3))
    with pytest.raises(ValueError, match="is a label out of range"):
        step(z, backend.asarray([0, 3]))


def test_what_nobody_needs_is_left_out(backend):
    def f(x, y):
        xp = nnx.namespace(x)
        xp.exp(x)
        z = xp.sin(x) + xp.zeros_like(x)
        return [z * 2.0]

    x = backend.asarray([1.0, 2.0], "float32")
    run, program = program_of(f, x, x)
    assert "exp" not in program.text
    assert program.text.count(" = ") - program.text.count("out=") <= 3
    np.testing.assert_allclose(nnx.to_numpy(run(x * 3.0, x)[0]), 2.0 * np.sin([3.0, 6.0]), rtol=1e-6)


def test_arrays_are_written_over_where_nobody_needs_them_and_nowhere_else(backend):
    def f(x):
        xp = nnx.namespace(x)
        a = xp.exp(x)
        view = a[:2]
        b = a * 2.0  # a is still needed, by its view
        c = b + 1.0  # b is not
        return [c, view + 1.0, a[1:3] * 1.0]

    x = backend.asarray([0.0, 1.0, 2.0], "float32")
    run, program = program_of(f, x)
    assert program.text.count("out=") == 1
    for scale in (1.0, 3.0):
        e = np.exp(np.asarray([0.0, 1.0, 2.0]) * scale)
        c, view, part = run(x * scale)
        np.testing.assert_allclose(nnx.to_numpy(c), 2.0 * e + 1.0, rtol=1e-6)
        np.testing.assert_allclose(nnx.to_numpy(view), e[:2] + 1.0, rtol=1e-6)
        np.testing.assert_allclose(nnx.to_numpy(part), e[1:3], rtol=1e-6)
    np.testing.assert_array_equal(nnx.to_numpy(x), [0.0, 1.0, 2.0])


def test_a_constant_result_is_new_at_each_step(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    run, _ = program_of(lambda x: [nnx.namespace(x).zeros_like(x), x + 1.0], x)
    first = run(x)[0]
    first += 5.0
    np.testing.assert_array_equal(nnx.to_numpy(run(x)[0]), [0.0, 0.0])


def test_places_are_assigned_in_a_copy(backend):
    def f(x):
        y = nnx.namespace(x).asarray(x, copy=True)
        y[0] = x[1] * 10.0
        return [y]

    x = backend.asarray([1.0, 2.0], "float32")
    run, _ = program_of(f, x)
    np.testing.assert_array_equal(nnx.to_numpy(run(x)[0]), [20.0, 2.0])
    np.testing.assert_array_equal(nnx.to_numpy(run(x + 1.0)[0]), [30.0, 3.0])
    np.testing.assert_array_equal(nnx.to_numpy(x), [1.0, 2.0])


def test_an_argument_is_never_changed_in_place(backend):
    def f(x):
        x[0] = 5.0
        return x

    x = backend.asarray([1.0, 2.0], "float32")
    with pytest.raises(TypeError, match="would change an array that the step was given"):
        nnx.compile(f)(x)
    np.testing.assert_array_equal(nnx.to_numpy(x), [1.0, 2.0])


def test_numbers_stay_weak(backend):
    x = backend.asarray([4.0, 9.0], "float32")
    run, _ = program_of(lambda x, n: [x * n**0.5, x + (n - 5.0) ** 0.5], x, 4.0)
    with np.errstate(invalid="ignore"):
        scaled, undefined = run(x, 9.0)
        assert scaled.dtype == x.dtype
        np.testing.assert_array_equal(nnx.to_numpy(scaled), [12.0, 27.0])
        np.testing.assert_array_equal(nnx.to_numpy(undefined), [6.0, 11.0])
        assert np.isnan(nnx.to_numpy(run(x, 4.0)[1])).all()


def test_an_array_of_another_trace(backend):
    kept, x = [], backend.asarray([1.0], "float32")

    def f(x):
        kept.append(x)
        return x + kept[0]

    program = nnx.compile(f)
    program(x)
    with pytest.raises(ValueRead, match="of another trace"):
        program(backend.asarray([1.0, 2.0], "float32"))


def test_an_error_shows_the_line(backend):
    _, program = program_of(lambda x: [nnx.namespace(x).matmul(x, x.T)], backend.asarray([[1.0, 2.0]], "float32"))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - in the library's words
        program(backend.asarray(1.0, "float32"))
    assert "= matmul_0(a0" in "".join(traceback.format_exception(caught.value))
