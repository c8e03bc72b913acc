"""Networks for sequences, weights both ways: files that torch wrote load and give the same outputs; and ours in torch.

The twins are written with torch.nn, in test_sequences and here, in float32, as their users have them.
"""

import numpy as np
import pytest

import nnx
from nnx import models
from tests.models.test_sequences import BLOCK, E, TorchGPT, TorchLM, TorchViT, V, gpt, tokens
from tests.oracle import torch
from tests.support import assert_close

nn = torch.nn


class TorchTagger(nn.Module):
    """PyTorch's tutorial on tagging, both ways and batch first."""

    def __init__(self, layers, both):
        super().__init__()
        self.word_embeddings = nn.Embedding(V, 4)
        self.lstm = nn.LSTM(4, E, layers, batch_first=True, bidirectional=both)
        self.hidden2tag = nn.Linear(2 * E if both else E, 3)

    def forward(self, tokens):
        return self.hidden2tag(self.lstm(self.word_embeddings(tokens))[0])


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def tagger(layers, both):
    return models.LSTMTagger(V, 3, 4, E, layers, bidirectional=both)


def vit():
    return models.ViT(6, 2, 2, 2, E, 8, num_classes=3, in_channels=2)


ROWS = {  # ours, theirs, x
    "LSTM tagger": (lambda: tagger(2, True), lambda: TorchTagger(2, True), tokens(3, 5)),
    "LSTM tagger, forwards": (lambda: tagger(1, False), lambda: TorchTagger(1, False), tokens(3, 5)),
    "LSTM language model": (
        lambda: models.LSTMLanguageModel(V, E, E, 2, tie_weights=True),
        lambda: TorchLM(True),
        tokens(3, 5),
    ),
    "GPT": (lambda: gpt("float32"), TorchGPT, tokens(2, BLOCK)),
    "ViT": (vit, TorchViT, images(2, 2, 6, 6)),
}


def scrambled(theirs):
    """Every parameter random: ones and zeros would hide an exchange, and small weights what they do."""
    torch.manual_seed(0)
    with torch.no_grad():
        for x in theirs.parameters():
            x.normal_(0.0, 0.5)
    return theirs.eval()


def first(outputs):
    """The scores, beside which a language model has its state."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def write(path, theirs):
    if path.suffix == ".pt":
        torch.save(theirs.state_dict(), path)
    else:  # a file that holds a shared array twice, as safetensors wants it
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file({k: x.clone() for k, x in theirs.state_dict().items()}, path)


def read(path):
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)
    return pytest.importorskip("safetensors.torch").load_file(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", ROWS)
def test_torchs_files_give_torchs_outputs(backend, tmp_path, name, suffix):
    make, twin, x = ROWS[name]
    ours, theirs = make().eval(), scrambled(twin())
    write(tmp_path / f"weights{suffix}", theirs)
    nnx.io.load(tmp_path / f"weights{suffix}", ours)
    expected = first(theirs(torch.from_numpy(x))).detach().numpy()
    found = nnx.compile(lambda x: first(ours(x)), state=ours)(nnx.asarray(x))
    assert_close(found, expected, 1e-5, 1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", ROWS)
def test_our_files_give_our_outputs_in_torch(backend, tmp_path, name, suffix):
    make, twin, x = ROWS[name]
    ours, theirs = make().eval(), twin().eval()
    ours.update({path: nnx.init.normal(tuple(p.shape), std=0.5) for path, p in ours.named_parameters()})
    nnx.io.save(tmp_path / f"weights{suffix}", ours)
    theirs.load_state_dict(read(tmp_path / f"weights{suffix}"), strict=True)
    expected = first(theirs(torch.from_numpy(x))).detach().numpy()
    found = nnx.compile(lambda x: first(ours(x)), state=ours)(nnx.asarray(x))
    assert_close(found, expected, 1e-5, 1e-5 * float(np.abs(expected).max()))


def test_what_torch_continues_is_what_ours_does(tmp_path):
    """The likeliest text of a GPT whose weights came from torch, a token at a time, is that of torch's own scores."""
    theirs = scrambled(TorchGPT())
    torch.save({"model": theirs.state_dict(), "iter_num": 5}, tmp_path / "ckpt.pt")  # as nanoGPT keeps it
    ours = gpt("float32")
    nnx.io.load(tmp_path / "ckpt.pt", ours)
    expected = torch.from_numpy(tokens(2, 2))
    for _ in range(BLOCK - 2):
        expected = torch.cat([expected, theirs(expected)[:, -1].argmax(-1, keepdim=True)], dim=1)
    np.testing.assert_array_equal(ours.generate(tokens(2, 2), BLOCK - 2, temperature=0.0), expected.numpy())


def test_a_tagger_does_not_see_what_is_behind_the_end(backend):
    model, x = tagger(1, True), tokens(2, 5)
    short = nnx.to_numpy(model(nnx.asarray(x[1:, :3])))
    padded = nnx.to_numpy(model(nnx.asarray(x), nnx.asarray([5, 3])))
    np.testing.assert_allclose(padded[1:, :3], short, 1e-5, 1e-6)
    np.testing.assert_allclose(padded[0], nnx.to_numpy(model(nnx.asarray(x[:1])))[0], 1e-5, 1e-6)
    assert np.abs(nnx.to_numpy(model(nnx.asarray(x)))[1, 2] - short[0, 2]).max() > 1e-4, "without lengths it does"
    with pytest.raises(ValueError, match=r"tokens \(n, t\), got \(5,\)"):
        model(nnx.asarray(x[0]))
