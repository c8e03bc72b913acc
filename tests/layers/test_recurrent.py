"""RNN, LSTM and GRU against PyTorch's: layers, directions, projections, lengths; each cell; gradients twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx.autodiff import gradcheck
from nnx.functional.recurrent import RecurrentWeights, recurrent
from nnx.functional.recurrent_cells import CELLS
from tests.layers.sequences import check, numbers, twins
from tests.oracle import torch
from tests.support import assert_close

KINDS = {
    "RNN": ("RNN", {}),
    "RNN of ReLUs": ("RNN", {"nonlinearity": "relu"}),
    "GRU": ("GRU", {}),
    "LSTM": ("LSTM", {}),
    "LSTM, projected": ("LSTM", {"proj_size": 2}),
}
STEPS, BATCH, INPUT, HIDDEN = 4, 3, 3, 5


def pair(kind, **options):
    name, own = KINDS[kind]
    arguments = {**own, **options}
    ours = getattr(nnx, name)(INPUT, HIDDEN, dtype="float64", **arguments)
    return twins(ours, getattr(torch.nn, name)(INPUT, HIDDEN, **arguments))


def states(ours, kind, batch=(BATCH,)):
    """A first h, and for an LSTM a first c."""
    rows = ours.num_layers * (2 if ours.bidirectional else 1)
    h = numbers(rows, *batch, ours.proj_size or HIDDEN, seed=1)
    return [h, numbers(rows, *batch, HIDDEN, seed=2)] if "LSTM" in kind else [h]


def hx(given):
    return tuple(given) if len(given) > 1 else given[0] if given else None


def our_call(lengths=None):
    lengths = None if lengths is None else nnx.asarray(lengths)
    return lambda model, x, *first: model(x, hx(first), lengths=lengths)


def their_call(model, lengths, batch_first, steps=STEPS):
    rnn = torch.nn.utils.rnn

    def call(model, x, *first):
        packed = rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
        y, last = model(packed, hx(first))
        return rnn.pad_packed_sequence(y, batch_first, total_length=steps)[0], last

    return call if lengths is not None else lambda model, x, *first: model(x, hx(first))


def check_pair(kind, lengths=None, first=True, **options):
    ours, theirs = pair(kind, **options)
    batch_first = options.get("batch_first", False)
    x = numbers(BATCH, STEPS, INPUT) if batch_first else numbers(STEPS, BATCH, INPUT)
    arrays = [x, *(states(ours, kind) if first else [])]
    check(ours, theirs, our_call(lengths), *arrays, their_call=their_call(theirs, lengths, batch_first))


@pytest.mark.parametrize("lengths", [None, [2, 4, 1]])
@pytest.mark.parametrize("kind", KINDS)
def test_two_layers_both_ways(backend, kind, lengths):
    check_pair(kind, lengths, num_layers=2, bidirectional=True)


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    batch_first=st.booleans(),
    first=st.booleans(),
    lengths=st.none() | st.lists(st.integers(1, STEPS), min_size=BATCH, max_size=BATCH),
)
def test_any_arguments(kind, num_layers, bidirectional, bias, batch_first, first, lengths):
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    check_pair(kind, lengths, first, **options)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_one_sequence_without_a_batch(backend, kind):
    ours, theirs = pair(kind, batch_first=True)
    check(ours, theirs, our_call(), numbers(STEPS, INPUT), *states(ours, kind, ()), their_call=their_call(0, None, 0))


def test_a_long_sequence_in_float32(backend):
    """More steps than arrays are put together at once."""
    ours, theirs = nnx.LSTM(3, 4), torch.nn.LSTM(3, 4)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = numbers(19, 2, 3).astype("float32")
    expected, _ = theirs(torch.from_numpy(x))
    expected.sum().backward()
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)[0]))(ours, nnx.asarray(x))
    assert_close(ours(nnx.asarray(x))[0], expected.detach().numpy(), 1e-4, 1e-5)
    for name, p in theirs.named_parameters():
        assert_close(grads[name], p.grad.numpy(), 1e-4, 1e-4)


def test_a_sequence_of_no_steps_keeps_its_state(backend):
    ours, _ = pair("LSTM", bidirectional=True)
    h, c = map(nnx.asarray, states(ours, "LSTM"))
    y, (last, memory) = ours(nnx.asarray(numbers(STEPS, BATCH, INPUT)), (h, c), lengths=nnx.asarray([0, 4, 0]))
    assert not nnx.to_numpy(y)[:, 0].any()
    assert_close(last[:, 2, :], nnx.to_numpy(h)[:, 2], 1e-15)
    assert_close(memory[:, 0, :], nnx.to_numpy(c)[:, 0], 1e-15)


def test_dropout_is_between_the_layers_and_in_training_alone(backend):
    ours = nnx.GRU(INPUT, HIDDEN, 2, dropout=0.5, dtype="float64")
    one = nnx.GRU(INPUT, HIDDEN, 1, dropout=0.5, dtype="float64")
    x = nnx.asarray(numbers(STEPS, BATCH, INPUT))
    first, second = nnx.to_numpy(ours(x)[0]), nnx.to_numpy(ours(x)[0])
    assert np.any(first != second)
    assert_close(one(x)[0], nnx.to_numpy(one(x)[0]), 0.0)
    ours.eval()
    assert_close(ours(x)[0], nnx.to_numpy(ours(x)[0]), 0.0)
    ours.dropout, still = 0.0, nnx.to_numpy(ours(x)[0])
    assert_close(ours.train()(x)[0], still, 0.0)


# ---- cells -----------------------------------------------------------------------------------------------------------

CELLULAR = {
    "RNNCell": {},
    "RNNCell of ReLUs": {"nonlinearity": "relu"},
    "RNNCell without bias": {"bias": False},
    "GRUCell": {},
    "LSTMCell": {},
}


@pytest.mark.parametrize("batch", [(3,), ()])
@pytest.mark.parametrize("kind", CELLULAR)
def test_cells(backend, kind, batch):
    name = kind.partition(" ")[0]
    ours, theirs = getattr(nnx, name)(3, 4, dtype="float64", **CELLULAR[kind]), getattr(torch.nn, name)
    ours, theirs = twins(ours, theirs(3, 4, **CELLULAR[kind]))
    first = [numbers(*batch, 4, seed=k) for k in range(1, 3 if name == "LSTMCell" else 2)]
    call = lambda model, x, *first: model(x, hx(first))
    check(ours, theirs, call, numbers(*batch, 3), *first)
    check(ours, theirs, call, numbers(*batch, 3))


# ---- the rule --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", CELLS)
def test_gradients_of_first_and_second_order_equal_differences(mode, reverse):
    gates, memory = CELLS[mode].gates, CELLS[mode].memory
    shapes = [(2, 2, 2), (2, 2), (2, 2), (gates * 2, 2), (gates * 2, 2), (gates * 2,), (gates * 2,)]
    arrays = [numbers(*s, seed=k) for k, s in enumerate(shapes)]
    lengths = np.asarray([2, 1])

    def outputs(x, h, c, *weights):
        found = recurrent(mode, x, h, c if memory else None, RecurrentWeights(*weights), lengths, reverse)
        xp = nnx.namespace(x)
        return xp.concat([xp.reshape(y, (-1,)) for y in found])

    gradcheck(outputs, *arrays, order=2)


# ---- what does not fit -----------------------------------------------------------------------------------------------

WRONG = [
    (lambda: nnx.LSTM(3, 0), "must be at least 1"),
    (lambda: nnx.GRU(3, 4, dropout=1.5), r"probability in \[0, 1\], got 1.5"),
    (lambda: nnx.LSTM(3, 4, proj_size=4), "proj_size must be in"),
    (lambda: nnx.RNN(3, 4, nonlinearity="sine"), "'tanh' or 'relu', got 'sine'"),
    (lambda: nnx.RNNCell(3, 4, nonlinearity="sine"), "'tanh' or 'relu', got 'sine'"),
    (lambda: nnx.GRUCell(0, 4), "both sizes must be at least 1"),
    (lambda: nnx.LSTM(3, 4)(ones(2, 3, 5)), r"\(t, n, i\) or \(t, i\) with i = 3, got \(2, 3, 5\)"),
    (lambda: nnx.LSTM(3, 4, batch_first=True)(ones(3)), r"\(n, t, i\)"),
    (lambda: nnx.GRU(3, 4)(ones(0, 2, 3)), "at least one step"),
    (lambda: nnx.GRU(3, 4)(ones(2, 2, 3), ones(2, 2, 4)), r"hidden state \(1, 2, 4\), got \(2, 2, 4\)"),
    (lambda: nnx.LSTM(3, 4)(ones(2, 2, 3), (ones(1, 2, 4), ones(1, 2, 3))), r"cell state \(1, 2, 4\)"),
    (lambda: nnx.GRU(3, 4)(ones(2, 2, 3), lengths=nnx.asarray([1])), r"lengths must be \(2,\)"),
    (lambda: nnx.LSTMCell(3, 4)(ones(2, 4)), r"\(n, 3\) or \(3,\), got \(2, 4\)"),
    (lambda: nnx.GRUCell(3, 4)(ones(2, 3), ones(2, 3)), r"a state of shape \(2, 4\), got \(2, 3\)"),
]


def ones(*shape):
    return nnx.init.ones(shape)


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_what_does_not_fit_is_named(backend, call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_lengths_beyond_the_sequence(backend):
    if backend.host:
        with pytest.raises(ValueError, match=r"in \[0, 2\], got 1 to 3"):
            nnx.GRU(3, 4)(ones(2, 2, 3), lengths=nnx.asarray([1, 3]))


def test_initialisation_and_what_a_layer_says_of_itself():
    layer = nnx.LSTM(3, 16, 2, bidirectional=True)
    for _, x in layer.named_parameters():
        assert np.abs(x).max() <= 0.25
        assert np.abs(x).max() > 0.2
    assert repr(layer) == "LSTM(3, 16, num_layers=2, bidirectional=True)"
    assert repr(nnx.GRUCell(3, 4, bias=False)) == "GRUCell(3, 4, bias=False)"
