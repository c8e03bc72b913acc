"""A state dict that torch.save wrote loads by its names; nothing in a .pt file is ever run; and torch reads ours."""

import collections
import pickle

import numpy as np
import pytest

import nnx
from nnx.io import CheckpointError, load, load_safetensors, load_torch, save
from tests.support import assert_same

torch = pytest.importorskip("torch", reason="PyTorch's files are read by PyTorch, which is not installed")


def models(backend):
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    return nnx.Sequential(nnx.Linear(3, 4), nnx.ReLU(), nnx.Linear(4, 2)), theirs


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_weights_go_both_ways(backend, tmp_path, suffix):
    ours, theirs = models(backend)
    there, back = tmp_path / f"there{suffix}", tmp_path / f"back{suffix}"
    if suffix == ".safetensors":
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(theirs.state_dict(), there)
    else:
        torch.save(theirs.state_dict(), there)
    load(there, ours)
    for name, tensor in theirs.state_dict().items():
        assert_same(ours.state_dict()[name], tensor.numpy())
    ours.layers[0].weight = ours.layers[0].weight * 2.0
    save(back, ours)
    found = safetensors.load_file(back) if suffix == ".safetensors" else torch.load(back, weights_only=True)
    theirs.load_state_dict(found)
    assert_same(ours.layers[0].weight, theirs[0].weight.detach().numpy())


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_what_training_scripts_save_around_the_state_dict(tmp_path, key):
    weights = collections.OrderedDict(weight=torch.arange(3.0))
    torch.save({key: weights, "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "run.pt")
    found = load_torch(tmp_path / "run.pt")
    assert list(found) == ["weight"]
    np.testing.assert_array_equal(found["weight"], [0.0, 1.0, 2.0])


def test_dtypes_and_strides(tmp_path):
    given = {
        "half": torch.tensor([0.5], dtype=torch.float16),
        "brain": torch.tensor([1.5], dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(given, tmp_path / "x.pt")
    found = load_torch(tmp_path / "x.pt")
    assert {name: x.dtype.name for name, x in found.items()} == {
        "half": "float16", "brain": "float32", "count": "int64", "transposed": "float32", "parameter": "float32",
    }  # fmt: skip
    np.testing.assert_array_equal(found["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["brain"], [1.5])


class Bomb:
    def __reduce__(self):
        return print, ("BOOM",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"weight": torch.ones(1), "bomb": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"weight": Bomb()}))
    for name in ("bomb.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match="weights_only=True"):
            load_torch(tmp_path / name)
    assert "BOOM" not in capsys.readouterr().out


WRONG = {
    "a tensor": lambda: torch.ones(2),
    "a list": lambda: [torch.ones(2)],
    "numbers among tensors": lambda: {"weight": torch.ones(2), "epoch": 3},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_state_dict(tmp_path, name):
    torch.save(WRONG[name](), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"expected a state dict, names with a tensor each, got"):
        load_torch(tmp_path / "x.pt")


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -200])
def test_a_damaged_file(tmp_path, keep):
    torch.save({"weight": torch.ones(100)}, tmp_path / "x.pt")
    data = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(data[:keep])
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        load_torch(tmp_path / "x.pt")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_torch(tmp_path / "none.pt")


def test_names_that_do_not_fit_change_nothing(backend, tmp_path):
    ours, _ = models(backend)
    before = {k: nnx.to_numpy(x).copy() for k, x in ours.state_dict().items()}
    torch.save({"0.weight": torch.zeros(4, 3), "0.bais": torch.zeros(4)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"missing: 0\.bias.*unexpected: 0\.bais"):
        load(tmp_path / "x.pt", ours)
    for k, x in ours.state_dict().items():
        assert_same(x, before[k])


def test_metadata_belongs_into_safetensors(backend, tmp_path):
    ours, _ = models(backend)
    with pytest.raises(TypeError, match=r"save as \.safetensors"):
        save(tmp_path / "x.pt", ours, {"epoch": 1})
    assert not (tmp_path / "x.pt").exists()


def test_without_torch(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="pip install torch"):
        load_torch(tmp_path / "x.pt")
    save(tmp_path / "x.safetensors", nnx.Linear(2, 2))
    assert set(load_safetensors(tmp_path / "x.safetensors")[0]) == {"weight", "bias"}
