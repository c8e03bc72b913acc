"""Networks for images: torch's weights load one to one and give the same outputs and gradients; and the reverse."""

import functools

import numpy as np
import pytest

import nnx
from nnx import models
from tests.models import torch_twins as twins
from tests.support import assert_close

torch = twins.torch

ROWS = {  # ours, theirs, shape of x
    "LeNet-5": (lambda: models.LeNet5(), lambda: twins.LeNet5(), (2, 1, 28, 28)),
    "ResNet-18": (lambda: models.resnet18(10), lambda: twins.ResNet((2, 2, 2, 2), num_classes=10), (1, 3, 33, 33)),
    "ResNet of bottlenecks, small": (
        lambda: models.ResNet(models.Bottleneck, (2, 1), 10, 1, width=4, small=True),
        lambda: twins.ResNet((2, 1), True, 4, True, 10, 1),
        (2, 1, 9, 9),
    ),
    "VGG-11": (lambda: models.VGG(11, 10, hidden=8), lambda: twins.VGG11(8, False), (1, 3, 32, 32)),
    "VGG-11, normalised": (
        lambda: models.VGG(11, 10, batch_norm=True, hidden=8),
        lambda: twins.VGG11(8, True),
        (1, 3, 32, 32),
    ),
    "U-Net": (lambda: models.UNet(1, 3, 4, 2), lambda: twins.UNet(1, 3, 4, 2), (2, 1, 8, 12)),
    "autoencoder": (
        lambda: models.Autoencoder((12, 5, 3), "float64"),
        lambda: twins.Autoencoder(12, 5, 3).double(),
        (4, 12),
    ),
}


LARGE = ("ResNet-18", "VGG-11", "VGG-11, normalised", "U-Net")


def not_on_jax(backend, name, request):
    """XLA takes a quarter of a minute for each of the large ones, and its kernels are those of the small ones."""
    if backend.name == "jax" and name in LARGE and not request.config.getoption("--slow"):
        pytest.skip("slow: run with --slow")


def numbers(shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def scrambled(theirs):
    """Every parameter and running statistic random: ones and zeros would hide an exchange."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, x in theirs.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                x.normal_(0, 0.1)
            elif x.ndim == 1 and x.is_floating_point():
                x.uniform_(0.5, 1.5)
    return theirs


@pytest.mark.parametrize("name", ROWS)
def test_torchs_weights_give_torchs_outputs_and_gradients(backend, tmp_path, name, request):
    not_on_jax(backend, name, request)
    ours, theirs, shape = ROWS[name]
    ours, theirs = ours().eval(), scrambled(theirs()).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    nnx.io.load(tmp_path / "weights.pt", ours)
    dtype = "float64" if name == "autoencoder" else "float32"
    x = numbers(shape, dtype)
    expected = theirs(torch.from_numpy(x))
    rtol = 1e-5 if dtype == "float32" else 1e-12
    scale = float(expected.detach().abs().max())
    outputs = nnx.compile(lambda x: ours(x), state=ours)(nnx.asarray(x))
    assert_close(outputs, expected.detach().numpy(), rtol, rtol * scale)

    r = numbers(tuple(expected.shape), dtype)
    (expected * torch.from_numpy(r)).sum().backward()
    slope = nnx.grad(lambda m, x, r: nnx.namespace(x).sum(m(x) * r))
    grads = nnx.compile(lambda x, r: slope(ours, x, r), state=ours)(nnx.asarray(x), nnx.asarray(r))
    slopes = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
    assert grads.keys() == slopes.keys()
    for k, g in grads.items():
        assert_close(g, slopes[k], 1e-4, 1e-4 * float(np.abs(slopes[k]).max()))


@pytest.mark.parametrize("name", ROWS)
def test_our_weights_give_the_same_outputs_in_torch(tmp_path, name):
    ours, theirs, shape = ROWS[name]
    ours, theirs = ours(), theirs()
    safetensors = pytest.importorskip("safetensors.torch")
    nnx.io.save(tmp_path / "weights.safetensors", ours)
    theirs.load_state_dict(safetensors.load_file(tmp_path / "weights.safetensors"))
    x = numbers(shape, "float64" if name == "autoencoder" else "float32")
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    found = ours.eval()(nnx.get_backend("numpy").asarray(x))
    assert_close(found, expected, 1e-5, 1e-5 * float(np.abs(expected).max()))


PARAMETERS = {  # as published with torchvision
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "vgg11": 132_863_336,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_how_many_parameters(name):
    assert getattr(models, name)().num_parameters() == PARAMETERS[name]


@pytest.mark.parametrize("name", [name for name in ROWS if name != "ResNet-18" and "VGG" not in name])
def test_a_model_learns_a_batch(backend, name, request):
    not_on_jax(backend, name, request)
    make, _, shape = ROWS[name]
    nnx.seed(0)
    model, optimizer = make(), nnx.optim.Adam(lr=1e-2)
    x = backend.asarray(numbers((6, *shape[1:]), "float64" if name == "autoencoder" else "float32"))

    def loss(model, x):
        y = model(x)
        return nnx.namespace(y).mean((y - 1.0) ** 2)

    @functools.partial(nnx.compile, state=(model, optimizer))
    def step(x):
        value, grads = nnx.value_and_grad(loss)(model, x)
        optimizer.update(model, grads)
        return value

    values = [float(step(x)) for _ in range(20)]
    assert values[-1] < 0.5 * values[0], values


def test_a_variational_autoencoder(backend):
    """The loss is the book's, its gradient exact for a fixed draw; in evaluation the code is its mean."""
    nnx.seed(1)
    model = models.VAE((6, 5, 2), "float64")
    x = backend.asarray(np.random.default_rng(0).uniform(size=(4, 6)))

    def loss(model, x):
        with nnx.random.scope(3):
            return models.vae_loss(model(x), x)

    nnx.gradcheck(loss, model, x)
    with nnx.random.scope(3):
        logits, mean, log_variance = (nnx.to_numpy(y) for y in model(x))
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(nnx.to_numpy(x)), reduction="sum"
    )
    normal = torch.distributions.Normal(torch.tensor(mean), torch.tensor(np.exp(log_variance / 2)))
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
    assert float(loss(model, x)) == pytest.approx(float(bce + kl) / 4, rel=1e-12)
    assert not np.array_equal(nnx.to_numpy(model(x)[0]), nnx.to_numpy(model(x)[0])), "a new draw each time"
    model.eval()
    logits, mean, _ = model(x)
    assert_close(logits, nnx.to_numpy(model.decoder(mean)), 1e-12)
    images = nnx.to_numpy(model.decode(mean))
    assert ((images > 0) & (images < 1)).all()


WRONG = {
    "VGG's depth": (lambda: models.VGG(12), "depth must be one of 11, 13, 16, 19, got 12"),
    "U-Net's image": (
        lambda: models.UNet(1, 2, 4, 2)(nnx.asarray(numbers((1, 1, 10, 8)))),
        r"multiples of 4, got \(10, 8\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()
