"""MultiheadAttention, transformer layers and stacks against PyTorch's: arguments, both masks, state dicts, modes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from tests.layers.sequences import check, numbers, twins
from tests.oracle import torch
from tests.support import assert_close

N, T, S, E, H = 2, 3, 4, 6, 2


def pair(name, *arguments, **options):
    ours = getattr(nnx, name)(*arguments, dtype="float64", **options)
    return twins(ours, getattr(torch.nn, name)(*arguments, **options))


def causal(t=T, s=T):
    return ~np.tril(np.ones((t, s), bool))


def padding(s=S):
    mask = np.zeros((N, s), bool)
    mask[1, -2:] = True
    return mask


def both(masks):
    """Masks by name, for nnx and for torch."""
    return {k: nnx.asarray(m) for k, m in masks.items()}, {k: torch.from_numpy(m) for k, m in masks.items()}


def check_attention(ours, theirs, *arrays, masks=None, **options):
    own, other = both(masks or {})
    check(
        ours,
        theirs,
        lambda model, *xs: model(*placed(xs), **own, **options),
        *arrays,
        their_call=lambda model, *xs: model(*placed(xs), **other, **options),
    )


def placed(xs):
    """One array is query, key and value; two are query, and key and value."""
    return [xs[min(k, len(xs) - 1)] for k in range(3)]


SHAPES = {False: lambda t, n, e: (t, n, e), True: lambda t, n, e: (n, t, e)}
KINDS = {  # options of the layer, how many arrays, masks, options of the call
    "self": ({}, 1, {}, {}),
    "self, no weights": ({}, 1, {}, {"need_weights": False}),
    "self, causal": ({}, 1, {"attn_mask": causal()}, {"need_weights": False, "is_causal": True}),
    "across": ({"batch_first": True}, 2, {}, {"average_attn_weights": False}),
    "three": ({"kdim": 3, "vdim": 5, "bias": False}, 3, {"key_padding_mask": padding()}, {}),
    "booleans": ({}, 2, {"key_padding_mask": padding(), "attn_mask": causal(T, S)}, {"need_weights": False}),
    "numbers": ({}, 2, {"key_padding_mask": numbers(N, S), "attn_mask": numbers(N * H, T, S)}, {}),
    "learnt and zero": ({"add_bias_kv": True, "add_zero_attn": True}, 2, {"attn_mask": causal(T, S)}, {}),
    "zero": ({"add_zero_attn": True}, 2, {"key_padding_mask": padding()}, {"need_weights": False}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention(backend, kind):
    options, count, masks, call = KINDS[kind]
    ours, theirs = pair("MultiheadAttention", E, H, **options)
    shape = SHAPES[options.get("batch_first", False)]
    widths = [E, options.get("kdim", E), options.get("vdim", E)]
    arrays = [numbers(*shape(T if not k else S, N, widths[k]), seed=k) for k in range(count)]
    check_attention(ours, theirs, *arrays, masks=masks, **call)


@settings(max_examples=15, deadline=None)
@given(
    bias=st.booleans(),
    add_bias_kv=st.booleans(),
    add_zero_attn=st.booleans(),
    wide=st.booleans(),
    batch_first=st.booleans(),
    need_weights=st.booleans(),
    padded=st.booleans(),
    masked=st.sampled_from([None, "booleans", "numbers", "heads"]),
    heads=st.sampled_from([1, 2, 3]),
)
def test_any_arguments(
    bias, add_bias_kv, add_zero_attn, wide, batch_first, need_weights, padded, masked, heads
):  # fmt: skip
    options = {"bias": bias, "add_bias_kv": add_bias_kv, "add_zero_attn": add_zero_attn, "batch_first": batch_first}
    options |= {"kdim": 4, "vdim": 5} if wide else {}
    known = {"booleans": causal(T, S), "numbers": numbers(T, S), "heads": numbers(N * heads, T, S) > 0.8}
    masks = {"attn_mask": known[masked]} if masked else {}
    if padded:  # torch mixes no booleans with numbers without a warning
        masks["key_padding_mask"] = np.where(padding(), -math.inf, 0.0) if masked == "numbers" else padding()
    if masked == "heads":
        masks["attn_mask"][:, :, 0] = False  # torch's weights of a query that may look nowhere are nan
    ours, theirs = pair("MultiheadAttention", E, heads, **options)
    shape, widths = SHAPES[batch_first], [E, 4, 5] if wide else [E, E, E]
    arrays = [numbers(*shape(T if not k else S, N, widths[k]), seed=k) for k in range(3)]
    check_attention(ours, theirs, *arrays, masks=masks, need_weights=need_weights)


@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sample_without_a_batch(backend, batch_first):
    ours, theirs = pair("MultiheadAttention", E, H, batch_first=batch_first)
    masks = {"key_padding_mask": padding()[1]}
    check_attention(ours, theirs, numbers(T, E), numbers(S, E), masks=masks)


def test_a_query_that_may_look_nowhere_gives_the_bias(backend):
    layer = nnx.MultiheadAttention(E, H, dtype="float64")
    layer.out_proj.bias = nnx.asarray(numbers(E))
    x, nowhere = nnx.asarray(numbers(T, N, E)), nnx.asarray(np.ones((T, T), bool))
    for need_weights in (False, True):
        y, _ = layer(x, x, x, attn_mask=nowhere, need_weights=need_weights)
        assert_close(y, np.broadcast_to(numbers(E), (T, N, E)), 1e-12)

    def loss(model, x):
        return nnx.namespace(x).sum(model(x, x, x, attn_mask=nowhere, need_weights=False)[0])

    assert all(np.isfinite(nnx.to_numpy(g)).all() for g in nnx.grad(loss)(layer, x).values())


def test_causal_needs_no_mask(backend):
    layer = nnx.MultiheadAttention(E, H, dtype="float64")
    x = nnx.asarray(numbers(T, N, E))
    keep = nnx.asarray(padding(T))
    for padded in (None, keep):
        expected, _ = layer(x, x, x, padded, attn_mask=nnx.asarray(causal()))
        found, _ = layer(x, x, x, padded, is_causal=True)
        assert_close(found, nnx.to_numpy(expected), 1e-12)


def test_initialisation():
    theirs = torch.nn.MultiheadAttention(64, 4, add_bias_kv=True)
    ours = nnx.MultiheadAttention(64, 4, add_bias_kv=True)
    for name, x in ours.named_parameters():
        expected = theirs.get_parameter(name).detach().numpy()
        assert abs(x.std() - expected.std()) <= 0.25 * expected.std(), name
        if not name.startswith("bias_"):
            assert np.abs(x).max() <= 1.02 * np.abs(expected).max(), name


WRONG = [
    ((6, 4), [], {}, "divisible by num_heads"),
    ((6, 2), [(3, 2, 5)] * 3, {}, r"query \(.., 6\), key \(.., 6\)"),
    ((6, 2), [(3, 2, 6), (4, 2, 6), (3, 2, 6)], {}, "one value a key"),
    ((6, 2), [(3, 2, 6), (4, 1, 6), (4, 1, 6)], {}, r"one batch \(axis 1\)"),
    ((6, 2), [(3, 2, 6)] * 3, {"attn_mask": (3, 4)}, r"attn_mask must be \(3, 3\) or \(4, 3, 3\), got \(3, 4\)"),
    ((6, 2), [(3, 2, 6)] * 3, {"key_padding_mask": (3, 2)}, r"key_padding_mask must be \(2, 3\), got \(3, 2\)"),
]


@pytest.mark.parametrize(("sizes", "shapes", "masks", "message"), WRONG)
def test_what_does_not_fit_is_named(backend, sizes, shapes, masks, message):
    with pytest.raises(ValueError, match=message):
        nnx.MultiheadAttention(*sizes)(
            *(nnx.init.ones(s) for s in shapes), **{k: nnx.asarray(np.ones(s, bool)) for k, s in masks.items()}
        )


# ---- transformer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer(backend, norm_first):
    options = {"norm_first": norm_first, "activation": "gelu" if norm_first else "relu", "batch_first": norm_first}
    ours, theirs = pair("TransformerEncoderLayer", E, H, 8, dropout=0.0, **options)
    own, other = both({"src_key_padding_mask": padding(), "src_mask": causal(S, S)})
    x = numbers(*SHAPES[norm_first](S, N, E))
    check(ours, theirs, lambda m, x: m(x, **own), x, their_call=lambda m, x: m(x, **other))
    ours.eval(), theirs.train()  # in evaluation torch takes a quick path of other rounding
    assert_close(ours(nnx.asarray(x)), theirs(torch.from_numpy(x)).detach().numpy(), 1e-9, 1e-9)


@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_layer(backend, norm_first):
    ours, theirs = pair("TransformerDecoderLayer", E, H, 8, dropout=0.0, norm_first=norm_first, bias=not norm_first)
    masks = {"tgt_mask": causal(), "memory_key_padding_mask": padding(), "tgt_key_padding_mask": padding(T)}
    own, other = both({**masks, "memory_mask": causal(T, S)})
    check(
        ours,
        theirs,
        lambda m, x, y: m(x, y, **own),
        numbers(T, N, E),
        numbers(S, N, E),
        their_call=lambda m, x, y: m(x, y, **other),
    )


def test_stacks(backend):
    layer = nnx.TransformerEncoderLayer(E, H, 8, 0.0, dtype="float64")
    other = torch.nn.TransformerEncoderLayer(E, H, 8, 0.0)
    ours = nnx.TransformerEncoder(layer, 2, nnx.LayerNorm(E, dtype="float64"))
    theirs = torch.nn.TransformerEncoder(other, 2, torch.nn.LayerNorm(E), enable_nested_tensor=False)
    first, second = (ours.state_dict()[f"layers.{k}.linear1.weight"] for k in range(2))
    assert_close(first, nnx.to_numpy(second), 0.0)
    check(*twins(ours, theirs), lambda m, x: m(x), numbers(S, N, E))


def test_transformer(backend):
    ours, theirs = pair("Transformer", E, H, 1, 1, 8, 0.0, batch_first=True)
    own, other = both({"tgt_mask": causal(), "src_key_padding_mask": padding(), "memory_key_padding_mask": padding()})
    check(
        ours,
        theirs,
        lambda m, x, y: m(x, y, **own),
        numbers(N, S, E),
        numbers(N, T, E),
        their_call=lambda m, x, y: m(x, y, **other),
    )
    mask = nnx.Transformer.generate_square_subsequent_mask(3, "float64")
    assert_close(mask, torch.nn.Transformer.generate_square_subsequent_mask(3, dtype=torch.float64).numpy())
    with pytest.raises(ValueError, match=r"6 features and one batch \(axis 0\)"):
        ours(nnx.init.ones((2, 3, 6)), nnx.init.ones((3, 3, 6)))


def test_dropout_in_training_alone(backend):
    layer = nnx.TransformerEncoderLayer(E, H, 8, 0.5)
    x = nnx.asarray(numbers(S, N, E), "float32")
    one, other = nnx.to_numpy(layer(x)), nnx.to_numpy(layer(x))
    assert np.any(one != other)
    layer.eval()
    assert_close(layer(x), nnx.to_numpy(layer(x)), 0.0)


def test_unknown_activation_and_no_layers():
    with pytest.raises(ValueError, match="'relu', 'gelu' or a function, got 'sine'"):
        nnx.TransformerEncoderLayer(E, H, 8, activation="sine")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        nnx.TransformerEncoder(nnx.TransformerEncoderLayer(E, H, 8), 0)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        nnx.TransformerDecoder(nnx.TransformerDecoderLayer(E, H, 8), 0)
