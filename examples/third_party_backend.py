"""An array library of your own as a backend of nnx, without a line changed in nnx, or in a program that uses it.

The folder third_party_backend/ is a distribution as its author would publish it: an array library, `tally`, which
counts the multiplications of matrix products, and what makes it a backend:

1. The row, tally/for_nnx.py: a subclass of `nnx.Backend` that says the library's name, package and install command,
   its devices, and how an array gets out. All else is written on the standard already, and may be overridden where the
   library knows better: `_probe`, `memory`, `synchronize`, `index_add`, `kernels` (nnx/backend/base.py has them all).
2. The entry point, in pyproject.toml, under the name that `NNX_BACKEND` will call it:

       [project.entry-points."nnx.backends"]
       tally = "tally.for_nnx:TallyBackend"

After `pip install ./examples/third_party_backend`, `nnx backends` lists it, `NNX_BACKEND=tally` chooses it, and
`nnx backends --check tally` holds every family of layers to NumPy. Here it is installed into a temporary folder, and a
program that has never heard of it trains on it. What the library counts is what the four equations say: with n samples,
a layer i → o costs n·i·o forward, as much for ∂C/∂W (BP3), and as much again for the error that it hands down (BP2),
which the first layer does not.

    python examples/third_party_backend.py
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent / "third_party_backend"
PROGRAM = """
import sys
import numpy as np
import nnx

nnx.seed(0)
model = nnx.Sequential(nnx.Linear(784, 30), nnx.ReLU(), nnx.Linear(30, 10))
rng = np.random.default_rng(0)
x, y = nnx.asarray(rng.random((10, 784), "float32")), nnx.asarray(rng.integers(0, 10, 10))
optimizer = nnx.optim.SGD(0.1)
loss_of = lambda model: nnx.losses.cross_entropy(model(x), y)
counted = lambda: getattr(sys.modules.get("tally"), "multiplications", 0)

losses, counts = [], [counted()]
loss_of(model)
counts.append(counted())
for _ in range(5):
    loss, grads = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, grads)
    losses.append(float(loss))
    counts.append(counted())
print(nnx.get_backend())
print("loss", *(f"{loss:.4f}" for loss in losses))
print("forward", counts[1] - counts[0], "step", counts[2] - counts[1])
"""


def install(folder):
    """What `pip install` leaves in a folder of packages: the package, and a note of its entry points."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    shutil.copytree(HERE / "tally", folder / "tally", ignore=shutil.ignore_patterns("__pycache__"))
    note = folder / f"{project['name']}-{project['version']}.dist-info"
    note.mkdir()
    (note / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"]
    lines = [line for group in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in groups[group].items()))]
    (note / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(folder, backend):
    """The program's three lines, on that backend, with what is installed in the folder."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "NNX_BACKEND": backend, "NNX_DEVICE": ""}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def main():
    """Install it, train on NumPy and on it, and check what it counted. Returns the multiplications of a step."""
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        (_, expected, _), (backend, losses, counts) = run(folder, "numpy"), run(folder, "tally")
    print(f"{backend}\n{losses}\n{counts}")
    assert losses == expected, "the same training as on NumPy"
    forward, step = (int(word) for word in counts.split()[1::2])
    assert forward == 10 * (784 * 30 + 30 * 10)
    assert step == forward + 10 * (784 * 30 + 2 * 30 * 10), (
        "forward, BP3 twice, and BP2 once: nobody wants the first dx"
    )
    return step


if __name__ == "__main__":
    main()
