"""A model leaves the house as an ONNX file, and so does the whole of its training step.

The forward pass runs once on arrays that write down what is done. onnxruntime then computes what the model computes,
for a batch of any size; and with the step's file it trains: parameters in, loss and new parameters out.

    python examples/onnx_export.py [FOLDER]

Needs ndonnx, onnx and onnxruntime: pip install 'nnx-array[onnx]'
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np

import nnx


def two_moons(n, rng):
    """Points of two half circles, and which of the two each is of."""
    label = rng.integers(0, 2, n)
    angle = rng.uniform(0.0, np.pi, n)
    x = np.stack([np.cos(angle) + label - 0.5, np.sin(angle) * (1 - 2 * label) + 0.25 * label], axis=1)
    return (x + rng.normal(0.0, 0.1, x.shape)).astype("float32"), label


def outputs(path, **inputs):
    """What onnxruntime makes of a file, by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def main(folder=None):
    missing = [name for name in ("ndonnx", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"this example needs {', '.join(missing)}: pip install 'nnx-array[onnx]'")
        return None
    with tempfile.TemporaryDirectory() as temporary:
        return export(Path(folder or temporary))


def export(folder):
    rng = np.random.default_rng(0)
    with nnx.use_backend("numpy"):
        model = nnx.Sequential(nnx.Linear(2, 16), nnx.Tanh(), nnx.Linear(16, 2))
    optimizer = nnx.optim.Adam(0.05)
    x, y = two_moons(64, rng)

    def step(x, y):
        loss, grads = nnx.value_and_grad(lambda m, x, y: nnx.losses.cross_entropy(m(x), y))(model, x, y)
        optimizer.update(model, grads)
        return loss

    nnx.io.export_onnx_step(step, folder / "step.onnx", (x, y), state=(model, optimizer), output_names=["loss"])
    state = {path: np.asarray(p) for path, p in model.state_dict().items()}
    state |= {f"optimizer.{path}.{slot}": 0 * p for path, p in state.items() for slot in optimizer.slots}
    state["optimizer.steps"] = np.asarray(0)
    losses = []
    for _ in range(60):  # onnxruntime trains
        found = outputs(folder / "step.onnx", x=x, y=y, **state)
        losses.append(float(found.pop("loss")))
        state = {name.removeprefix("new."): value for name, value in found.items()}
    for _ in range(60):  # nnx does the same
        loss = step(x, y)
    print(f"60 steps of Adam in onnxruntime: loss {losses[0]:.3f} to {losses[-1]:.3f}; in nnx: {float(loss):.3f}")
    assert abs(losses[-1] - float(loss)) < 1e-3

    path = folder / "model.onnx"
    nnx.io.export_onnx(model, path, x, output_names=["logits"], metadata={"classes": "upper, lower"})
    new, label = two_moons(500, rng)
    (logits,) = outputs(path, x=new).values()
    accuracy = float(np.mean(np.argmax(logits, axis=1) == label))
    apart = float(np.max(np.abs(logits - model(new))))
    print(f"model.onnx, {path.stat().st_size} bytes: accuracy {accuracy:.2f} on 500 new points, {apart:.0e} from nnx")
    assert apart < 1e-4
    assert accuracy > 0.9
    return losses


if __name__ == "__main__":
    main(*sys.argv[1:])
