"""`nnx train`: what it prints, and what it leaves in the run's folder."""

import json
import re

import pytest

import nnx
from nnx.cli import main
from nnx.cli.evaluate import test_part as part_of
from nnx.cli.saved import SavedRun
from nnx.train import Trainer
from tests.cli.runs import metrics, run, train

LAST = re.compile(
    r"test accuracy (?P<accuracy>\d\.\d{4}) \(loss (?P<loss>\d+\.\d{4})\) in (?P<seconds>\d+\.\d) s on "
    r"(?P<backend>\w+), device (?P<device>.+); best epoch (?P<best>\d+); run folder (?P<folder>.+)"
)


def last_line(out):
    found = LAST.fullmatch(out.splitlines()[-1])
    assert found, out
    return found


def test_the_defaults(tmp_path):
    """As the README has it: a clean process, no option, real data."""
    done = run("train", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    last = last_line(done.stdout)
    assert float(last["accuracy"]) >= 0.97
    assert float(last["seconds"]) < 15.0
    assert last["backend"] == "numpy"
    assert last["device"] == "cpu"
    folder = tmp_path / last["folder"]
    assert folder.parent == tmp_path / "runs"
    assert {file.name for file in folder.iterdir()} == {
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
    }
    records = metrics(folder)
    assert [record["epoch"] for record in records] == list(range(1, 41))
    assert min(records, key=lambda record: record["val_loss"])["epoch"] == int(last["best"])
    assert "\x1b" not in done.stdout, "plain lines without a terminal"
    assert sum(line.startswith("epoch") for line in done.stdout.splitlines()) == 40

    config = json.loads((folder / "config.json").read_text())
    assert (config["data"], config["model"]["hidden"], config["epochs"], config["seed"]) == ("digits", [128], 40, 0)
    assert (config["backend"], config["classes"], config["features"], config["samples"]) == (
        "numpy",
        10,
        64,
        [1438, 180, 179],
    )
    assert int(last["best"]) < 40, "the weights that were tested are not those of the last epoch"
    assert evaluated(folder) == (last["accuracy"], last["loss"])


def evaluated(folder):
    """The test accuracy and loss of the weights in a run's folder, loaded into a model made from its config alone."""
    saved = SavedRun(folder)
    assert saved.metadata["epoch"] >= 1
    trainer = Trainer(saved.model, nnx.optim.SGD(), saved.task.loss, saved.task.metrics)
    found = trainer.evaluate(*part_of(saved))
    return f"{found['accuracy']:.4f}", f"{found['loss']:.4f}"


@pytest.mark.slow
def test_fashion_mnist(tmp_path, capsys):
    try:
        nnx.data.fashion_mnist()
    except nnx.data.DatasetMissing as error:
        pytest.skip(str(error).partition("\n")[0])
    options = ["--data", "fashion-mnist", "--hidden", "256", "--epochs", "10"]
    assert main(["train", *options, "--out", str(tmp_path), "--quiet"]) == 0
    assert float(last_line(capsys.readouterr().out)["accuracy"]) >= 0.88


def test_on_each_backend(backend, tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    last = last_line(printed.out)
    assert last["backend"] == backend.name
    assert last["device"] == str(backend.device)
    assert last["folder"] == str(tmp_path / "a")
    assert lines[0] == "digits: 1438 to train on, 180 to validate, 179 to test"
    assert lines[1].startswith(f"1,210 parameters on {backend.name} {backend.version}")
    assert [line.split("  loss")[0] for line in lines[2:4]] == ["epoch   1", "epoch   2"]
    assert len(metrics(tmp_path / "a")) == 2
    assert evaluated(tmp_path / "a") == (last["accuracy"], last["loss"])


def test_quiet_prints_the_last_line_only(tmp_path, capsys):
    assert train("--out", tmp_path, "--quiet") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert last_line(out)


def test_folders_without_a_name_never_meet(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260102-030405")
    for _ in range(3):
        assert train("--out", tmp_path, "--epochs", "1") == 0
    names = {"digits-20260102-030405", "digits-20260102-030405-2", "digits-20260102-030405-3"}
    assert {folder.name for folder in tmp_path.iterdir()} == names


@pytest.mark.parametrize("option", [["--optimizer", "sgd"], ["--hidden"], ["--dropout", "0"], ["--activation", "gelu"]])
def test_options_train(tmp_path, capsys, option):
    assert train("--out", tmp_path, "--weight-decay", "1e-4", *option) == 0
    assert float(last_line(capsys.readouterr().out)["accuracy"]) > 0.3


def test_the_seed_is_all_the_chance_there_is(tmp_path, capsys):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert train("--out", tmp_path, "--name", name, "--seed", seed) == 0
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


def test_the_environment_and_the_option_choose_the_backend(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NNX_BACKEND", "array_api_strict")
    monkeypatch.setenv("NNX_DEVICE", "device1")
    assert train("--out", tmp_path) == 0
    last = last_line(capsys.readouterr().out)
    assert (last["backend"], last["device"]) == ("array_api_strict", "array_api_strict.Device('device1')")
    assert train("--out", tmp_path, "--backend", "numpy") == 0
    assert last_line(capsys.readouterr().out)["backend"] == "numpy"


def csv(path, rows=60):
    lines = ["a,label,b", *(f"{k % 3 + 0.1 * (k % 7)},{'xyz'[k % 3]},{k % 3 - 0.1 * (k % 5)}" for k in range(rows))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_file(tmp_path, capsys):
    assert train("--data", csv(tmp_path / "points.csv"), "--target", "label", "--out", tmp_path / "runs") == 0
    assert last_line(capsys.readouterr().out)["folder"].startswith(str(tmp_path / "runs" / "points-"))
    assert train("--data", tmp_path / "points.csv", "--target", "1", "--out", tmp_path / "runs") == 0


def test_an_npz_file(tmp_path, capsys):
    import numpy as np

    x = np.tile(np.arange(3), 20)[:, None, None] * np.ones((1, 2, 2))
    np.savez(tmp_path / "d.npz", x=x, y=np.tile(np.arange(3), 20).astype(np.uint8))
    assert train("--data", tmp_path / "d.npz", "--lr", "0.05", "--epochs", "60", "--out", tmp_path) == 0
    assert last_line(capsys.readouterr().out)["accuracy"] == "1.0000"


def test_small_nets_leave_the_librarys_threads_as_they_were(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    during = []
    original = torch.set_num_threads
    torch.set_num_threads = lambda n: (during.append(n), original(n))
    try:
        assert train("--backend", "torch", "--out", tmp_path) == 0
    finally:
        torch.set_num_threads = original
    assert during == [1, threads]


def test_one_thread_of_openblas(backend):
    """Inside of the block NumPy's products take one thread; outside as many as before."""
    from nnx.backend import numpy as row

    if row._openblas() is None:
        pytest.skip("this NumPy was not built with OpenBLAS")
    get_threads, set_threads = row._openblas()
    before = get_threads()
    set_threads(2)
    try:
        with backend.one_thread():
            assert get_threads() == (1 if backend.name in ("numpy", "array_api_strict") else 2)
        assert get_threads() == 2
    finally:
        set_threads(before)


def test_torch_has_its_threads_again():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    with nnx.get_backend("torch").one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"nnx {nnx.__version__}\n"


def test_gradients_are_recorded_where_they_are_asked_for(tmp_path):
    for name, options in (("with", ["--gradient-stats"]), ("without", [])):
        assert train("--epochs", "2", "--quiet", "--out", tmp_path, "--name", name, *options) == 0
        norms = [{k: v for k, v in row.items() if k.startswith("grad_norm/")} for row in metrics(tmp_path / name)]
        assert all(min(found.values()) > 0.0 if options else not found for found in norms)
        assert len(norms) == 2
