"""`nnx export RUN`: a trained model as an ONNX graph that takes data as it is, or its weights as a file of arrays.

What is done to data goes along: in the ONNX graph standardisation, flattening, softmax and the target's units are
operations (computed in float64, as nnx itself does), class and column names are metadata; in a safetensors file all of
it is metadata; a PyTorch file holds arrays alone.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx import functional as F
from nnx.cli.output import add_json, examples, said
from nnx.cli.preparation import Preparation
from nnx.cli.saved import SavedRun
from nnx.typing import Array

__all__ = ["Deployed", "register", "run"]


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "export",
        help="a trained model as an ONNX graph, or its weights",
        description="Write a run's model for use elsewhere. The ONNX graph takes samples as they are in the data, and "
        "gives probabilities, or values in the target's units; it is checked by onnxruntime where that is installed.",
        **examples(
            "nnx export runs/first --onnx model.onnx",
            "nnx export runs/first --onnx model.onnx --opset 20 --json",
            "nnx export runs/first --safetensors weights.safetensors",
            "nnx export runs/first --torch weights.pt",
        ),
    )
    add = command.add_argument
    add("folder", metavar="RUN", help="the folder of a run")
    add("--onnx", type=Path, metavar="FILE", help="the whole of it, from data to probabilities or values")
    add("--opset", type=int, metavar="N", help="of ONNX (21)")
    add("--safetensors", type=Path, metavar="FILE", help="the weights; the rest as metadata under the key nnx")
    add("--torch", type=Path, metavar="FILE", help="the weights alone, as a state dict of PyTorch's")
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files that were asked for."""
    if not (args.onnx or args.safetensors or args.torch):
        raise ValueError("nothing to write: --onnx FILE, --safetensors FILE or --torch FILE")
    if args.torch and args.torch.suffix not in (".pt", ".pth", ".bin"):
        raise ValueError(f"--torch {args.torch}: expected a name that ends in .pt, .pth or .bin")
    with nnx.use_backend("numpy"):
        saved = SavedRun(args.folder)
        written, words = {}, []
        if args.onnx:
            checked = write_onnx(saved, args.onnx, args.opset)
            written["onnx"] = str(args.onnx)
            how = "checked by onnxruntime" if checked else "not checked: onnxruntime is not installed"
            words.append(f"{args.onnx}: {signature(saved.preparation)}; {how}")
        if args.safetensors:
            nnx.io.save_safetensors(args.safetensors, saved.model.state_dict(), metadata(saved))
            written["safetensors"] = str(args.safetensors)
            words.append(f"{args.safetensors}: {len(saved.model.state_dict())} arrays; classes and scaling as metadata")
        if args.torch:
            nnx.io.save(args.torch, saved.model)
            written["torch"] = str(args.torch)
            words.append(
                f"{args.torch}: {len(saved.model.state_dict())} arrays alone; how data is prepared is in "
                f"{saved.folder.config}, under preparation"
            )
        document = {"run": str(saved.folder), "written": written, **metadata(saved)}
    if args.onnx:
        document["checked"] = checked
    said(args, document, "\n".join(words))
    return 0


class Deployed(nnx.Module):
    """A model between the data as it is and what a user wants: standardise, flatten, model, softmax or units.

    x: (n, features) or (n, c, h, w) float32   returns probabilities (n, classes), or values (n,), float32
    """

    def __init__(self, saved: SavedRun) -> None:
        self.model, self._shape = saved.model, saved.preparation.model_shape
        self._scaled = {"x": saved.preparation.x is not None, "y": saved.preparation.y is not None}
        self._classes = saved.preparation.classes is not None
        for name, scale in (("x", saved.preparation.x), ("y", saved.preparation.y)):
            for part, value in (scale.state_dict() if scale is not None else {}).items():
                self.register_buffer(f"{name}_{part}", nnx.asarray(value))

    def __call__(self, x: Array) -> Array:
        """See the class."""
        xp = nnx.namespace(x)
        if self._scaled["x"]:
            z = (xp.astype(x, xp.float64) - getattr(self, "x_mean")) / getattr(self, "x_std")  # noqa: B009
            x = xp.astype(z, xp.float32)
        x = F.flatten(x, 1) if len(self._shape) == 1 and x.ndim > 2 else x
        found = self.model(x)
        if self._classes:
            return F.softmax(found, -1)
        if self._scaled["y"]:
            wide = xp.astype(found, xp.float64) * getattr(self, "y_std") + getattr(self, "y_mean")  # noqa: B009
            found = xp.astype(wide, xp.float32)
        return xp.reshape(found, (found.shape[0],))


def write_onnx(saved: SavedRun, path: Path, opset: int | None) -> bool:
    """Write the graph; returns whether onnxruntime has checked it."""
    checked = importlib.util.find_spec("onnxruntime") is not None
    prepared = saved.preparation
    rng = np.random.default_rng(0)
    x: Any = rng.random((2, *prepared.shape))
    if prepared.x is not None:  # about where the data is, so that the check meets numbers as they come
        x = prepared.x.inverse(rng.standard_normal((2, *prepared.shape)))
    nnx.io.export_onnx(
        Deployed(saved),
        path,
        x.astype("float32"),
        opset=opset,
        input_names=["x"],
        output_names=[output_name(prepared)],
        metadata={f"nnx.{k}": v if isinstance(v, str) else json.dumps(v) for k, v in metadata(saved).items()},
        check=checked,
    )
    return checked


def output_name(prepared: Preparation) -> str:
    """What the graph's output is called."""
    return "probabilities" if prepared.classes is not None else "value"


def signature(prepared: Preparation) -> str:
    """What goes in and comes out, in words."""
    sizes = ", ".join(map(str, prepared.shape))
    inside = ["standardisation"] if prepared.x is not None else []
    inside += ["softmax"] if prepared.classes is not None else ["the target's units"] if prepared.y is not None else []
    out = f"(batch, {prepared.outputs})" if prepared.classes is not None else "(batch,)"
    within = ", ".join(inside) or "the model alone"
    return f"x (batch, {sizes}) -> {output_name(prepared)} {out}; in the graph: {within}"


def metadata(saved: SavedRun) -> dict[str, Any]:
    """What is to be known beside the weights: names of classes and columns, how data is prepared, the model."""
    prepared = saved.preparation.to_json()
    facts = {"task": prepared["task"], "classes": prepared["classes"], "columns": prepared["columns"]}
    return facts | {"target": prepared["target"], "preparation": prepared, "model": saved.config["model"]}
