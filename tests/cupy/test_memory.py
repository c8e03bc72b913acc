"""Memory of the device: what the pool says, that training does not eat it up, what is said when there is none left."""

import gc

import numpy as np
import pytest

import nnx
from nnx import train
from tests import cuda_emulator
from tests.cupy.steps import accuracy, batch, loss_of, mlp

MIB = 1 << 20


@pytest.fixture
def pool(backend):
    import cupy

    backend.asarray(np.zeros(1))  # the first move of a backend asks once what kind of device it is, with a small array
    gc.collect()
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    return pool


def test_memory_is_the_pools(backend, pool):
    before = backend.memory()
    assert before == {"used": pool.used_bytes(), "peak": pool.total_bytes()}
    x = backend.asarray(np.zeros(MIB, "float32"))
    assert backend.memory()["used"] - before["used"] == 4 * MIB
    del x
    after = backend.memory()
    assert (after["used"], after["peak"] - before["peak"]) == (before["used"], 4 * MIB)


def test_ten_epochs_do_not_grow_it(backend, pool):
    """Nor does a step leave cycles behind: what waits for the garbage collector waits in the device's memory."""
    (x, y), model = batch(96), mlp(0.3)
    trainer = train.Trainer(model, nnx.optim.Adam(1e-3), nnx.losses.cross_entropy, {"accuracy": accuracy})
    held = []

    class Look(train.Callback):
        def on_epoch_end(self, trainer, record):
            held.append(backend.memory())

    gc.disable()
    try:
        trainer.fit(x, y, epochs=10, callbacks=[Look()])
    finally:
        gc.enable()
    assert len(held) == 10
    assert len({memory["used"] for memory in held[1:]}) == 1, held
    assert held[-1]["peak"] == held[4]["peak"], held


def test_out_of_memory_names_the_batch_size_and_the_peak(emulated, pool):
    model, n = mlp(), 50_000
    host = np.ones((n, 20), "float32"), np.zeros(n, "int64")
    trainer = train.Trainer(model, nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
    before = nnx.to_numpy(model[0].weight)
    with cuda_emulator.fail_with("oom", memory=16 * MIB):
        with pytest.raises(train.OutOfMemory) as caught:
            trainer.fit(*host, batch_size=n)
        message = str(caught.value)
        assert f"batches of {n}; " in message
        assert "MiB were in use at the peak: lower batch_size" in message
        assert "OutOfMemoryError: Out of memory allocating" in message
        assert 1.0 < float(message.partition("; ")[2].partition(" MiB")[0]) <= 16.0
        np.testing.assert_array_equal(nnx.to_numpy(model[0].weight), before)
        del caught  # and with it the arrays that the traceback holds
        gc.collect()
        history = trainer.fit(host[0][:64], host[1][:64], batch_size=32)
    assert np.isfinite(history["loss"][0])


def test_a_loader_that_runs_out_of_memory(emulated, pool):
    host = np.ones((200_000, 20), "float32"), np.zeros(200_000, "int64")
    trainer = train.Trainer(mlp(), nnx.optim.SGD(0.1), nnx.losses.cross_entropy)
    oom = cuda_emulator.fail_with("oom", memory=4 * MIB)
    with oom, pytest.raises(train.OutOfMemory, match="batches of 150000; "):
        trainer.fit(*host, batch_size=150_000)


def test_a_model_is_whole_after_it(emulated, pool):
    model, (x, y) = mlp(), batch(20_000)
    with cuda_emulator.fail_with("oom", memory=8 * MIB):
        import cupy

        with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
            nnx.value_and_grad(loss_of)(model, x, y)
    assert all(type(p) is cupy.ndarray for p in model.parameters())
    assert np.isfinite(float(nnx.value_and_grad(loss_of)(model, x, y)[0]))
