"""Settings from options, config.toml and --set: one rule for all, the nearer counts, a mistake names what is near."""

import json
import re

import pytest

from nnx.cli import config, main, parser
from tests.cli import files
from tests.cli.runs import train

TOML = """
data = "digits"
epochs = 1
lr = 3e-3
image_size = 12
standardize = true
[model]
type = "resnet"
layers = [1, 1]
width = 4
"""


def settings(*argv):
    return config.complete(parser().parse_args(["train", *map(str, argv)]))[0]


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    return path


def test_the_file_the_options_and_set(toml):
    found = settings("--config", toml)
    assert (found.epochs, found.lr, found.image_size, found.standardize, found.seed) == (1, 3e-3, [12], True, 0)
    assert found.model == {"type": "resnet", "layers": [1, 1], "width": 4, "small": None}
    found = settings(
        "--config", toml, "--lr", "0.5", "--set", "width=8", "--set", "model.layers=2,1", "--set", "seed=7"
    )
    assert (found.lr, found.seed, found.epochs) == (0.5, 7, 1)
    assert found.model == {"type": "resnet", "layers": [2, 1], "width": 8, "small": None}


def test_another_model_leaves_the_files_arguments(toml):
    assert settings("--config", toml, "--model", "mlp", "--hidden", 8, 4).model == {
        "type": "mlp",
        "hidden": [8, 4],
        "activation": "relu",
        "dropout": 0.2,
    }
    assert settings("--set", "model=lenet").model == {"type": "lenet"}


SAID = {
    "lr=3e-4": ("lr", 3e-4),
    "batch-size=16": ("batch_size", 16),
    "columns=[a, b]": ("columns", ["a", "b"]),
    "standardize=false": ("standardize", False),
    "task=regression": ("task", "regression"),
    "delimiter=tab": ("delimiter", "\t"),
}


@pytest.mark.parametrize("text", SAID)
def test_set_reads_any_setting(text):
    name, expected = SAID[text]
    assert getattr(settings("--set", text), name) == expected


MISTAKES = {
    "a typo": (["--set", "lrr=1"], r"--set lrr=1: there is no setting 'lrr': did you mean lr\?"),
    "a typo of the model's": (["--set", "model.widht=1"], r"no setting 'model\.widht': did you mean model\.width\?"),
    "nothing near": (["--set", "qqqqq=1"], r"no setting 'qqqqq': there is data, labels, .*model\.hidden"),
    "no value": (["--set", "lr"], r"--set lr: expected NAME=VALUE, e\.g\. --set lr=3e-4"),
    "out of range": (["--set", "lr=-1"], r"--set lr=-1: lr: expected a number above 0, got -1"),
    "no choice": (["--set", "task=cluster"], r"task: expected one of auto, classification, regression, got 'cluster'"),
    "given twice": (["--lr", "1", "--set", "lr=2"], r"--set lr=2: lr is given twice: leave one out"),
    "another model's": (["--set", "width=4"], r"--set width=4: the model mlp has no setting width: it has hidden, act"),
    "an option of another": (["--model", "lenet", "--hidden", "4"], r"--hidden: the model lenet has no setting hidden"),
    "no such file": (["--config", "no.toml"], r"--config no\.toml: there is no such file in .*: give its whole path"),
}


@pytest.mark.parametrize(("argv", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *argv]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert re.search(words, err), err
    assert list(tmp_path.iterdir()) == []


FILES = {
    "no TOML": ("lr: 3", r"config\.toml: expected TOML, e\.g\. lr = 3e-4, got something else"),
    "a typo": ("epoch = 3", r"config\.toml: there is no setting 'epoch': did you mean epochs\?"),
    "in a section": ("[training]\nepoch = 3", r"there is no setting 'training\.epoch': did you mean epochs\?"),
    "wrong type": ('lr = "fast"', r"config\.toml: lr: expected a number above 0, got 'fast'"),
    "a list": ("lr = [1, 2]", r"config\.toml: lr: expected one value, got \[1, 2\]"),
    "a fraction": ("epochs = 2.5", r"config\.toml: epochs: expected a whole number of at least 1, got '2\.5'"),
    "no such model": ('[model]\ntype = "lnet"', r"model\.type: expected one of mlp, lenet, .*got 'lnet'"),
    "not the model's": (
        '[model]\ntype = "lenet"\nwidth = 3',
        r"model\.width in .*: the model lenet has no setting",
    ),
}


@pytest.mark.parametrize(("text", "words"), FILES.values(), ids=FILES)
def test_mistakes_in_the_file(text, words, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        settings("--config", tmp_path / "config.toml")


MODELS = {
    "lenet": ["--image-size", "28"],
    "resnet": ["--set", "layers=1,1", "--set", "width=4"],
    "vit": ["--set", "hidden_dim=8", "--set", "num_heads=2", "--set", "mlp_dim=8", "--set", "num_layers=1"],
}


@pytest.mark.parametrize("kind", MODELS)
def test_models_of_images(kind, tmp_path, capsys):
    """Trained, evaluated from the folder alone, and resumed to the same bytes."""
    path = files.npz(tmp_path / "d.npz")
    how = ["--data", path, "--model", kind, *MODELS[kind], "--quiet", "--out", tmp_path]
    argv = [str(a) for a in how]
    assert main(["train", *argv, "--epochs", "2", "--name", "whole"]) == 0
    assert main(["train", *argv, "--epochs", "1", "--name", "a"]) == 0
    assert main(["train", "--resume", str(tmp_path / "a"), "--epochs", "2", "--quiet"]) == 0
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "a"))
    assert one == other
    assert json.loads((tmp_path / "a" / "config.json").read_text())["model"]["type"] == kind
    assert main(["evaluate", str(tmp_path / "a")]) == 0


REFUSED = {
    "rows": (["--model", "resnet", "--data", "CSV"], r"model resnet takes images, got samples of 2 features: .*mlp"),
    "lenet's size": (["--model", "lenet"], r"model lenet takes images of 28 × 28, got 8 × 8: --image-size 28"),
    "vgg's size": (["--model", "vgg"], r"model vgg takes images of 32 × 32 at least, got 8 × 8: --image-size 32"),
    "vgg's width": (["--model", "vgg", "--image-size", "32", "--hidden", "8", "8"], "two wide layers of one width"),
    "patches": (["--model", "vit", "--set", "patch_size=3"], r"whose side model\.patch_size=3 divides, got 8 × 8"),
    "heads": (["--model", "vit", "--set", "num_heads=5"], r"num_heads 5 must divide hidden_dim 64"),
    "three sizes": (["--image-size", "8", "8", "8"], r"--image-size 8 8 8: expected a side, or height and width"),
    "size of a table": (["--image-size", "8", "--data", "CSV"], r"--image-size is not for tables: leave it out"),
    "target of images": (["--target", "y"], r"--data digits: --target is not for the set digits: leave it out"),
    "delimiter": (["--data", "CSV", "--delimiter", ";"], r"got the target alone: is it --delimiter ';'\?"),
}


@pytest.mark.parametrize(("argv", "words"), REFUSED.values(), ids=REFUSED)
def test_models_and_data_that_do_not_fit(argv, words, capsys, tmp_path):
    argv = [str(files.csv(tmp_path / "d.csv")) if a == "CSV" else a for a in argv]
    assert main(["train", "--out", str(tmp_path / "runs"), *argv]) == 2
    err = capsys.readouterr().err
    assert re.search(words, err), err
    assert not (tmp_path / "runs").exists()


def test_set_and_resume(tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a", "--quiet") == 0
    assert main(["train", "--resume", str(tmp_path / "a"), "--set", "epochs=3", "--quiet"]) == 0
    assert main(["train", "--resume", str(tmp_path / "a"), "--set", "hidden=3", "--epochs", "4"]) == 2
    assert "--set hidden=3 [3] with --resume" in capsys.readouterr().err
