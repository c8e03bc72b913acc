"""What a training step costs a GPU: no transfer, no synchronisation, no allocation, and so many launches.

The numbers are what was counted, written down: a change that adds a launch must say so here.
"""

import io

import numpy as np
import pytest

import nnx
from nnx import train
from tests import cuda_emulator
from tests.cupy.steps import accuracy, batch, images, lenet, loss_of, mlp

# name -> (dropout, optimizer, launches of forward and backward, of the update). Three linear layers: 8 gemms, as nobody
# wants the first one's dx. A layer is 1 forward (the bias) and 1 backward (its sum), a ReLU 1 and 1, a dropout 2 (its
# random words; mask, scale and product) and 1, the loss 2 and 1, and 1 is the seed of the backward pass.
STEPS = {
    "sgd": (0.0, lambda: nnx.optim.SGD(0.1), 14, 1),
    "momentum": (0.0, lambda: nnx.optim.SGD(0.1, momentum=0.9), 14, 1),
    "adam": (0.0, lambda: nnx.optim.Adam(1e-3), 14, 1),
    "dropout": (0.3, lambda: nnx.optim.Adam(1e-3), 20, 1),
}
PER_BATCH = 8  # loss and accuracy, summed on the device
WARM_UP = 12  # until CuPy's pool has been cut into the blocks that all later steps find in it


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step(emulated, cuda_budget, name):
    dropout, optimizer, gradient_launches, update_launches = STEPS[name]
    model, (x, y), optimizer = mlp(dropout), batch(), optimizer()
    value_and_grad = nnx.value_and_grad(loss_of)
    for _ in range(WARM_UP):
        loss, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
    with cuda_budget(launch=gradient_launches, gemm=8):
        loss, grads = value_and_grad(model, x, y)
    with cuda_budget(launch=update_launches):
        optimizer.update(model, grads)
    assert np.isfinite(float(loss))


# network, batch -> launches and gemms of forward and backward (counted: 51 and 11). A convolution gathers its windows
# and is a matrix product; 3 gemms for each layer with weights, but for the first one's dx
NETS = {"lenet": (lenet, images, 51, 11)}
# optimizer -> launches of the update of 8 parameters
UPDATES = {"sgd": (lambda: nnx.optim.SGD(0.1), 1), "adam": (lambda: nnx.optim.Adam(1e-3), 1)}


@pytest.mark.parametrize("rule", UPDATES)
@pytest.mark.parametrize("net", NETS)
def test_a_training_step_of_a_convolutional_net(emulated, cuda_budget, net, rule):
    (make, data, launches, gemms), (optimizer, update_launches) = NETS[net], UPDATES[rule]
    model, (x, y), optimizer = make(), data(), optimizer()
    value_and_grad = nnx.value_and_grad(loss_of)
    for _ in range(WARM_UP):
        loss, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
    with cuda_budget(launch=launches, gemm=gemms):
        loss, grads = value_and_grad(model, x, y)
    with cuda_budget(launch=update_launches):
        optimizer.update(model, grads)
    assert np.isfinite(float(loss))


def test_the_forward_pass_alone(emulated, cuda_budget):
    model, (x, y) = mlp().eval(), batch()
    loss_of(model, x, y)
    with cuda_budget(launch=7, gemm=3):
        loss_of(model, x, y)


def test_several_axes_of_samples_are_one_gemm(emulated, cuda_budget):
    """A batched product would be 1 gemm and 6 kernels, and its gradient worse."""
    layer, x = nnx.Linear(16, 8), nnx.asarray(np.ones((4, 5, 6, 16), "float32"))
    step = nnx.value_and_grad(lambda layer, x: nnx.namespace(x).sum(layer(x)))
    step(layer, x)
    with cuda_budget(launch=6, gemm=2):
        step(layer, x)


@pytest.mark.parametrize("optimizer", [nnx.optim.SGD, nnx.optim.Adam, nnx.optim.RMSprop])
def test_many_parameters_are_updated_without_a_transfer(emulated, cuda_budget, optimizer):
    """CuPy moves a table of pointers to the device to concatenate more than eight arrays."""
    model = nnx.Sequential(*[nnx.Linear(20, 20) for _ in range(8)])
    optimizer, (x, y) = optimizer(1e-3), batch()
    value_and_grad = nnx.value_and_grad(loss_of)
    for _ in range(WARM_UP):
        _, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
    _, grads = value_and_grad(model, x, y)
    with cuda_budget(launch=1):
        optimizer.update(model, grads)


class Batches(list):
    """Batches that are on the device already: what is left to be moved is what the Trainer moves."""


@pytest.mark.parametrize("live", [True, False], ids=["live", "lines"])
def test_an_epoch_reads_only_at_its_end(emulated, cuda_budget, live):
    model, (x, y) = mlp(0.3), batch()
    trainer = train.Trainer(model, nnx.optim.Adam(1e-3), nnx.losses.cross_entropy, {"accuracy": accuracy})
    batches, screen = Batches([(x, y)] * 5), io.StringIO()
    trainer.fit(batches, epochs=2, callbacks=[train.Progress(2, live=live, file=screen)])
    with cuda_budget(d2h=2, sync=2, launch=5 * (20 + PER_BATCH + 1), gemm=5 * 8):
        trainer.fit(batches, epochs=1, callbacks=[train.Progress(1, live=live, file=screen)])
    assert "accuracy" in screen.getvalue()
    assert len(trainer.history) == 3


def test_evaluation_reads_only_at_its_end(emulated, cuda_budget):
    model, (x, y) = mlp(), batch()
    trainer = train.Trainer(model, nnx.optim.SGD(0.1), nnx.losses.cross_entropy, {"accuracy": accuracy})
    batches = Batches([(x, y)] * 5)
    trainer.evaluate(batches)
    with cuda_budget(d2h=2, sync=2, launch=5 * (7 + PER_BATCH), gemm=5 * 3):
        trainer.evaluate(batches)


def test_gradient_statistics_and_clipping_wait_for_nobody(emulated, cuda_budget):
    model, (x, y) = mlp(), batch()
    stats, optimizer = train.GradientStats(), nnx.optim.SGD(0.1)
    trainer = train.Trainer(model, optimizer, nnx.losses.cross_entropy)
    value_and_grad = nnx.value_and_grad(loss_of)

    def step():
        _, grads = value_and_grad(model, x, y)
        stats.on_gradients(trainer, grads)
        grads, _ = nnx.optim.clip_grad_norm(grads, 1.0)
        optimizer.update(model, grads)

    for _ in range(WARM_UP):
        step()
    with cuda_budget(launch=120, gemm=20):
        step()


def test_a_step_but_for_its_matrix_products_can_be_captured(emulated):
    """CUDA forbids a stream under capture what needs the host: a step asks for nothing of the kind. cuBLAS needs it."""
    import cupy

    (x, y), optimizer = batch(), nnx.optim.Adam(1e-3)

    class Elementwise(nnx.Module):
        def __init__(self):
            self.scale = nnx.asarray(np.ones(20, "float32"))
            self.drop = nnx.Dropout(0.5)

        def __call__(self, x):
            return nnx.functional.gelu(self.drop(nnx.functional.relu(x * self.scale)))

    model = Elementwise()
    value_and_grad = nnx.value_and_grad(loss_of)

    def step():
        _, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)

    for _ in range(WARM_UP):
        step()
    stream = cupy.cuda.Stream(non_blocking=True)
    with cuda_emulator.counting() as cost, stream:
        stream.begin_capture()
        try:
            step()
        finally:
            graph = stream.end_capture()
    assert cost.capture_violations == 0
    before = model.scale.get()
    with cuda_emulator.counting() as cost:
        graph.launch()
    assert cost.graph_kernels > 12
    assert (before != model.scale.get()).any()


# ---- the fixture itself ----------------------------------------------------------------------------------------------

WASTE = {
    "h2d": lambda x, h: nnx.asarray(h),
    "d2h": lambda x, h: nnx.to_numpy(x),
    "sync": lambda x, h: float(x[0, 0]),
    "launch": lambda x, h: x + 1,
    "gemm": lambda x, h: x @ x,
}


@pytest.mark.parametrize("kind", WASTE)
def test_a_budget_names_what_was_overspent(emulated, cuda_budget, kind):
    h = np.ones((4, 4), "float32")
    x = nnx.asarray(h)
    WASTE[kind](x, h)
    with pytest.raises(AssertionError, match=f"over budget: .*{kind} 1, allowed 0"), cuda_budget():
        WASTE[kind](x, h)


def test_a_budget_sees_what_the_pool_takes(emulated, cuda_budget):
    import cupy

    cupy.get_default_memory_pool().free_all_blocks()
    with pytest.raises(AssertionError, match="malloc 1, allowed 0"), cuda_budget():
        cupy.empty(1 << 22, dtype=cupy.uint8)
