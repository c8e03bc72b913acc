"""GPT, ViT and the LSTM language model: torch's weights load, outputs and gradients agree; and the text that comes."""

import functools

import numpy as np
import pytest

import nnx
from nnx import models
from nnx.models.gpt import Cache
from nnx.models.sampling import sampled
from tests.layers.sequences import check, numbers, twins
from tests.oracle import torch
from tests.support import assert_close, assert_same

nn = torch.nn
V, BLOCK, E = 11, 8, 6


class TorchBlock(nn.Module):
    """A block of nanoGPT's."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(E), nn.Module(), nn.LayerNorm(E), nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(E, 3 * E), nn.Linear(E, E)
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(E, 4 * E), nn.Linear(4 * E, E)

    def forward(self, x):
        q, k, v = (
            part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.attn.c_attn(self.ln_1(x)).split(E, dim=2)
        )
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).flatten(2))
        return x + self.mlp.c_proj(nn.functional.gelu(self.mlp.c_fc(self.ln_2(x))))


class TorchGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(V, E),
                "wpe": nn.Embedding(BLOCK, E),
                "h": nn.ModuleList([TorchBlock(), TorchBlock()]),
                "ln_f": nn.LayerNorm(E),
            }
        )
        self.lm_head = nn.Linear(E, V, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, tokens):
        t = self.transformer
        x = t.wte(tokens) + t.wpe.weight[: tokens.shape[1]]
        for block in t.h:
            x = block(x)
        return self.lm_head(t.ln_f(x))


def gpt(dtype="float64", **options):
    return models.GPT(V, BLOCK, n_layer=2, n_head=2, n_embd=E, dtype=dtype, **options)


def tokens(*shape):
    return np.random.default_rng(3).integers(0, V, shape)


def test_gpt(backend):
    x = tokens(2, 5)
    own, other = nnx.asarray(x), torch.from_numpy(x)
    check(*twins(gpt(), TorchGPT()), lambda m: m(own), their_call=lambda m: m(other))


def test_gpt_starts_as_gpt_2_does():
    model = models.GPT(512, 64, n_layer=2, n_head=4, n_embd=64)
    found = {path: x.std() for path, x in model.named_parameters()}
    assert abs(found["transformer.wte.weight"] - 0.02) < 0.001
    assert abs(found["transformer.h.1.mlp.c_proj.weight"] - 0.01) < 0.001
    assert found["transformer.h.0.attn.c_attn.bias"] == 0.0
    assert model.num_parameters() == 512 * 64 + 64 * 64 + 2 * (12 * 64 * 64 + 13 * 64) + 2 * 64
    assert model.lm_head.weight is model.transformer["wte"].weight


def test_kept_keys_and_values_give_the_same_scores(backend):
    model, _ = twins(gpt(), TorchGPT())
    x = nnx.asarray(tokens(2, 7))
    whole, cache = nnx.to_numpy(nnx.compile(lambda x: model(x), state=model)(x)), Cache(7)
    parts = [model(x[:, start:stop], cache) for start, stop in [(0, 3), (3, 4), (4, 5), (5, 7)]]
    assert_close(backend.xp.concat(parts, axis=1), whole, 1e-10, 1e-10)
    assert cache.length == 7


def test_generated_text_is_what_reading_all_again_gives(backend):
    model, _ = twins(gpt(dropout=0.5), TorchGPT())
    start = nnx.asarray(tokens(2, 3))
    found = nnx.to_numpy(model.generate(start, 7, temperature=0.0))
    expected = tokens(2, 3)
    model.eval()
    for _ in range(7):  # 3 + 7 > BLOCK: at the end only the last tokens are seen
        scores = nnx.to_numpy(model(nnx.asarray(expected[:, -BLOCK:])))
        expected = np.concatenate([expected, scores[:, -1].argmax(-1)[:, None]], axis=1)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == tokens(1).dtype


@pytest.mark.parametrize("make", [gpt, lambda: models.LSTMLanguageModel(V, 4, 4, dropout=0.5, dtype="float64")])
def test_a_seed_gives_the_same_text_and_leaves_all_else_alone(backend, make):
    model, start = make(), nnx.asarray(tokens(2, 2))
    model.rest = nnx.Dropout().eval()
    before = nnx.random.get_state()
    one = nnx.to_numpy(model.generate(start, 5, seed=1))
    assert nnx.random.get_state() == before
    assert_same(model.generate(start, 5, seed=1), one)
    assert np.any(one != nnx.to_numpy(model.generate(start, 5, seed=2)))
    assert np.any(nnx.to_numpy(model.generate(start, 5)) != nnx.to_numpy(model.generate(start, 5)))
    assert model.training
    assert not model.rest.training
    assert_same(model.generate(start, 0), tokens(2, 2))


def test_tokens_are_drawn_with_their_probabilities(backend):
    p = np.asarray([0.5, 0.0, 0.3, 0.2])
    scores = np.tile(np.log(np.maximum(p, 1e-30)), (4000, 1))
    for dtype in ("float64", "float32"):
        drawn = nnx.to_numpy(sampled(nnx.asarray(scores, dtype)))
        assert drawn.shape == (4000, 1)
        np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=4) / 4000, p, atol=0.04)
    two = nnx.to_numpy(sampled(nnx.asarray(scores), top_k=2))
    np.testing.assert_allclose(np.bincount(two[:, 0], minlength=4) / 4000, [0.625, 0, 0.375, 0], atol=0.04)
    cold = nnx.to_numpy(sampled(nnx.asarray(scores), temperature=0.1))
    assert (cold == 0).mean() > 0.95
    with pytest.raises(ValueError, match=r"top_k >= 1, got 1\.0 and 0"):
        sampled(nnx.asarray(scores), top_k=0)


def test_gpt_learns_to_repeat(backend):
    model = models.GPT(4, 8, n_layer=1, n_head=2, n_embd=8)
    optimizer = nnx.optim.Adam(lr=0.02)
    x = np.asarray([[0, 1, 2, 3, 0, 1, 2, 3], [2, 3, 0, 1, 2, 3, 0, 1]])
    read, follows = nnx.asarray(x[:, :-1]), nnx.asarray(x[:, 1:])

    def loss(model, read, follows):
        scores = nnx.namespace(read).permute_dims(model(read), (0, 2, 1))
        return nnx.losses.cross_entropy(scores, follows)

    @functools.partial(nnx.compile, state=(model, optimizer))
    def step(read, follows):
        value, grads = nnx.value_and_grad(loss)(model, read, follows)
        optimizer.update(model, grads)
        return value

    for _ in range(40):
        step(read, follows)
    assert_same(model.generate(read[:, :1], 7, temperature=0.0), x)


@pytest.mark.float64("its networks are float64")
def test_gpt_names_what_does_not_fit(backend):
    with pytest.raises(ValueError, match=r"t at most 8, got \(1, 9\)"):
        gpt()(nnx.asarray(tokens(1, 9)))
    with pytest.raises(ValueError, match="divisible by n_head"):
        models.GPT(V, BLOCK, n_head=4, n_embd=6)
    with pytest.raises(ValueError, match="at least one token"):
        gpt().generate(nnx.asarray(tokens(1, 0)), 1)


# ---- ViT -------------------------------------------------------------------------------------------------------------


class TorchViTBlock(nn.Module):
    """torchvision's EncoderBlock."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.self_attention = nn.LayerNorm(E, eps=1e-6), nn.MultiheadAttention(E, 2, batch_first=True)
        self.ln_2 = nn.LayerNorm(E, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(E, 8), nn.GELU(), nn.Dropout(0.0), nn.Linear(8, E), nn.Dropout(0.0))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TorchViT(nn.Module):
    """torchvision's VisionTransformer."""

    def __init__(self):
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, E))
        self.conv_proj = nn.Conv2d(2, E, 2, 2)
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.zeros(1, 10, E))
        layers = {f"encoder_layer_{k}": TorchViTBlock() for k in range(2)}
        self.encoder.layers, self.encoder.ln = nn.ModuleDict(layers), nn.LayerNorm(E, eps=1e-6)
        self.heads = nn.ModuleDict({"head": nn.Linear(E, 3)})

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1) + self.encoder.pos_embedding
        for block in self.encoder.layers.values():
            x = block(x)
        return self.heads["head"](self.encoder.ln(x)[:, 0])


def test_vit(backend):
    ours = models.ViT(6, 2, 2, 2, E, 8, num_classes=3, in_channels=2, dtype="float64")
    check(*twins(ours, TorchViT()), lambda m, x: m(x), numbers(2, 2, 6, 6))
    with pytest.raises(ValueError, match=r"images \(n, 2, 6, 6\), got \(1, 2, 6, 4\)"):
        ours(nnx.init.ones((1, 2, 6, 4)))
    with pytest.raises(ValueError, match="multiple of patch_size, got 7 and 2"):
        models.ViT(7, 2)


# ---- LSTM ------------------------------------------------------------------------------------------------------------


class TorchLM(nn.Module):
    """PyTorch's example word_language_model, batch first."""

    def __init__(self, tied):
        super().__init__()
        self.encoder, self.rnn = nn.Embedding(V, E), nn.LSTM(E, E, 2, batch_first=True)
        self.decoder = nn.Linear(E, V)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens, *state):
        y, state = self.rnn(self.encoder(tokens), state or None)
        return self.decoder(y), state


@pytest.mark.parametrize("tied", [False, True])
def test_lstm_language_model(backend, tied):
    ours = models.LSTMLanguageModel(V, E, E, 2, tie_weights=tied, dtype="float64")
    x = tokens(2, 3)
    own, other = nnx.asarray(x), torch.from_numpy(x)
    check(
        *twins(ours, TorchLM(tied)),
        lambda m, *s: m(own, s),
        numbers(2, 2, E), numbers(2, 2, E, seed=1),
        their_call=lambda m, *s: m(other, *s),
    )  # fmt: skip


def test_the_state_goes_on_where_it_was(backend):
    model = models.LSTMLanguageModel(V, 4, 5, dtype="float64")
    x = nnx.asarray(tokens(2, 6))
    whole, _ = model(x)
    first, state = model(x[:, :4])
    second, _ = model(x[:, 4:], state)
    assert_close(backend.xp.concat([first, second], axis=1), nnx.to_numpy(whole), 1e-12, 1e-12)
    greedy = nnx.to_numpy(model.generate(x, 1, temperature=0.0))
    assert_same(nnx.asarray(greedy[:, -1]), nnx.to_numpy(whole)[:, -1].argmax(-1))
    with pytest.raises(ValueError, match="embedding_dim = hidden_size, got 4 and 5"):
        models.LSTMLanguageModel(V, 4, 5, tie_weights=True)
