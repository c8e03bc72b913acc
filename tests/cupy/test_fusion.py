"""What fusing saves a GPU: launches forward, backward and in an update; and the kernels that NVRTC has to take."""

import contextlib

import numpy as np
import pytest

import nnx
from nnx.fusion import enabled, fuse
from tests import cuda_emulator
from tests.cuda_emulator import compile_for, wheel
from tests.fusion.cases import CASES, gelu
from tests.support import assert_close


def test_one_launch_forward_and_one_backward(emulated, cuda_budget):
    x = nnx.asarray(np.ones((5, 7), "float32"))
    fused = fuse(gelu)
    dy = nnx.namespace(x).ones_like(x)
    for launches in (None, 2):  # not counted at the first time, when it is traced
        tape = nnx.Tape()
        watched = tape.watch(x)
        with cuda_budget(launch=launches) if launches else contextlib.nullcontext():
            tape.gradient(fused(watched), [watched], dy)


def test_several_outputs_are_one_launch(emulated, cuda_budget):
    function, shapes, others = CASES["adam"]
    given = [nnx.asarray(np.ones(shape, "float32")) for shape in shapes]
    fused = fuse(function)
    fused(*given, *others)
    with cuda_budget(launch=1):
        fused(*given, *others)


@pytest.mark.parametrize("rows", [1, 50, 130])
def test_a_table_is_one_launch_for_every_58_parameters_of_adam(emulated, cuda_budget, rows):
    function, _, others = CASES["adam"]
    fused = fuse(function)
    given = [[nnx.asarray(np.full(k % 7 + 1, k + 1.0, "float32")) for _ in range(4)] for k in range(rows)]
    fused.each(given, *others)
    with cuda_budget(launch=-(-rows // 58)):
        found = fused.each(given, *others)
    with enabled(False):
        for row, new in zip(given, found, strict=True):
            for a, b in zip(new, fused(*row, *others), strict=True):
                assert_close(a, nnx.to_numpy(b), 1e-6)


def test_an_update_aliases_nothing(backend):
    model, optimizer = nnx.Linear(3, 2), nnx.optim.Adam(0.1)
    x = nnx.asarray(np.ones((4, 3), "float32"))
    step = nnx.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x) ** 2.0))
    held = []
    for _ in range(4):
        held.append((model.weight, nnx.to_numpy(model.weight)))
        optimizer.update(model, step(model, x)[1])
        held += [(slot, nnx.to_numpy(slot)) for slot in optimizer.state["weight"]]
    for array, then in held:
        np.testing.assert_array_equal(nnx.to_numpy(array), then)
    pointers = {array.data.ptr for array, _ in held}
    assert len(pointers) == len(held)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("labels", ["int64", "uint8"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(backend, dtype, labels, reduction):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((6, 300)) * 5.0).astype(dtype)
    z[1, 3], z[2, :] = np.inf, -np.inf
    target = np.asarray([0, 3, 5, 255, 44, 7], labels)
    tolerance = {"float16": 4e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
    r = rng.standard_normal(6 if reduction == "none" else ()).astype(dtype)
    with np.errstate(all="ignore"):
        found = []
        for active in (backend, nnx.get_backend("numpy")):
            labelled = active.asarray(target)
            y, pullback = nnx.vjp(
                lambda z: nnx.losses.cross_entropy(z, labelled, reduction=reduction), active.asarray(z)
            )
            found.append([nnx.to_numpy(y), nnx.to_numpy(pullback(active.asarray(r))[0])])
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_the_second_derivative_of_cross_entropy(backend):
    z, target = np.random.default_rng(0).standard_normal((4, 5)), np.asarray([0, 3, 1, 4])

    def curvature(active):
        t = active.asarray(target)
        slope = nnx.grad(lambda z: nnx.losses.cross_entropy(z, t))
        return nnx.grad(lambda z: nnx.namespace(z).sum(slope(z) ** 2.0))(active.asarray(z))

    assert_close(curvature(backend), curvature(nnx.get_backend("numpy")), 1e-10)


@pytest.mark.parametrize("arch", ["75", "120"])
def test_nvrtc_takes_them(emulated, arch):
    x = nnx.asarray(np.ones((2, 3), "float16"))
    function, _, others = CASES["adam"]
    fuse(gelu)(x), fuse(function).each([[x] * 4], *others), fuse(lambda x: nnx.functional.gelu(x))(x)
    nnx.losses.cross_entropy(x, nnx.asarray(np.zeros(2, "int64")))
    names = ("nnx_fused", "nnx_table", "nnx_cross_entropy")
    own = [source for source in cuda_emulator.sources() if any(name in source.code for name in names)]
    assert {name for name in names for source in own if name in source.code} == set(names)
    if not list(wheel.site().glob("nvidia/*/lib/libnvrtc.so*")):
        pytest.skip("not emulated: NVRTC is not installed, pip install 'cuda-toolkit[nvrtc]==13.*'")
    assert compile_for.compile_all(own[-8:], [arch]) == []
