"""`nnx export`: the file takes data as it is and gives what `nnx predict` gives; what is left out is said."""

import json
import re

import numpy as np
import pytest

from nnx.cli import export, main
from nnx.cli.saved import SavedRun
from nnx.io import load_safetensors
from tests.cli import files


def exported(capsys, *argv):
    assert main(["export", *map(str, argv)]) == 0
    return capsys.readouterr().out


INPUTS = {
    "classes": (lambda: files.points(7, seed=2)[0], "probabilities", ["batch", 3]),
    "values": (lambda: files.points(7, seed=2)[0], "value", ["batch"]),
    "images": (lambda: files.pictures(7)[0][:, None] / 255, "probabilities", ["batch", 2]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_onnx_gives_what_predict_gives(name, runs, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: nnx-array[onnx]")
    pytest.importorskip("ndonnx", reason="ndonnx is not installed: nnx-array[onnx]")
    make, output, shape = INPUTS[name]
    x = make().astype("float32")
    words = exported(capsys, runs / name, "--onnx", tmp_path / "m.onnx")
    assert f"-> {output} " in words
    assert words.endswith("; checked by onnxruntime\n")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [node.name for node in session.get_inputs()] == ["x"]
    assert [(node.name, node.shape) for node in session.get_outputs()] == [(output, shape)]
    (found,) = session.run(None, {"x": x})
    saved = SavedRun(runs / name)
    expected = saved.predictions(saved.preparation.inputs(x, "x"))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)
    facts = session.get_modelmeta().custom_metadata_map
    classes = json.loads(facts["nnx.classes"])
    assert classes == (None if saved.preparation.classes is None else list(saved.preparation.classes))
    assert json.loads(facts["nnx.columns"]) == (None if name == "images" else ["a", "b"])
    assert facts["nnx.task"] == saved.preparation.task


def test_without_onnxruntime_it_is_written_and_said(runs, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ndonnx", reason="ndonnx is not installed: nnx-array[onnx]")
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    words = exported(capsys, runs / "classes", "--onnx", tmp_path / "m.onnx")
    assert words.endswith("; not checked: onnxruntime is not installed\n")
    assert "in the graph: standardisation, softmax" in words
    assert (tmp_path / "m.onnx").stat().st_size > 1000


def test_safetensors_hold_all_there_is_to_know(runs, tmp_path, capsys):
    words = exported(capsys, runs / "values", "--safetensors", tmp_path / "w.safetensors", "--json")
    assert json.loads(words)["written"] == {"safetensors": str(tmp_path / "w.safetensors")}
    arrays, metadata = load_safetensors(tmp_path / "w.safetensors")
    saved = SavedRun(runs / "values")
    assert arrays.keys() == saved.model.state_dict().keys()
    assert metadata["preparation"] == json.loads(json.dumps(saved.preparation.to_json()))
    assert metadata["columns"] == ["a", "b"]
    assert metadata["model"]["type"] == "mlp"


def test_torch_reads_the_weights(runs, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    words = exported(capsys, runs / "classes", "--torch", tmp_path / "w.pt")
    assert re.search(r"w\.pt: \d+ arrays alone; how data is prepared is in .*config\.json, under preparation", words)
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    for name, x in SavedRun(runs / "classes").model.state_dict().items():
        np.testing.assert_array_equal(state[name].numpy(), np.asarray(x))


MISTAKES = {
    "nothing": ([], r"nothing to write: --onnx FILE, --safetensors FILE or --torch FILE"),
    "no folder": (["--safetensors", "no/w.safetensors"], r"no/w\.safetensors: its folder .*no does not exist"),
    "torch's name": (["--torch", "w.npz"], r"--torch w\.npz: expected a name that ends in \.pt, \.pth or \.bin"),
}


@pytest.mark.parametrize(("argv", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(argv, words, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(runs / "classes"), *argv]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
