"""The settings of a run put together: defaults, then config.toml, then options and --set; or those of a run to resume.

A layer is a dict from names to values; a model's settings are named model.type, model.hidden, ...
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnx.cli.models import ARGUMENTS, completed
from nnx.cli.runs import RunFolder
from nnx.cli.settings import FREE, MODEL, SETTINGS, named, value

__all__ = ["complete", "settings_of"]

Layer = dict[str, Any]

REST: Layer = {"out": Path("runs"), "name": None, "resume": None, "quiet": False, "json": False}
"""Options that are no settings: where a run is kept, and what is printed."""


def complete(given: argparse.Namespace) -> tuple[argparse.Namespace, RunFolder | None]:
    """The options with what was not given: defaults, or those of the run to resume, and its folder."""
    options = vars(given)
    rest = REST | {name: options[name] for name in REST if name in options}
    where: dict[str, str] = {}
    file = _file(options["config"], where) if "config" in options else {}
    asked = _options(options, where) | _assigned(options.get("set", []), options, where)
    if "model.type" in asked and asked["model.type"] != file.get("model.type", "mlp"):
        file = {name: v for name, v in file.items() if not name.startswith(MODEL)}  # arguments of another model
    asked = file | asked
    if rest["resume"] is None:
        return _namespace({name: row.default for name, row in SETTINGS.items()} | asked, rest, where), None
    folder = RunFolder.existing(rest["resume"])
    before, files = settings_of(folder)
    _check_same(asked, before, where, folder)
    for name, kept in (("name", folder.path.name), ("out", folder.path.parent)):
        if name in options and options[name] != kept:
            raise ValueError(_changed(f"--{name}", options[name], kept, folder))
        rest[name] = kept
    if "NNX_BACKEND" in os.environ or "backend" in asked:  # both are nearer than the run before
        before.update(backend=None, device=None)
    found = _namespace(before | asked, rest, where)
    found.files = files
    return found, folder


def settings_of(folder: RunFolder, whole: bool = True) -> tuple[Layer, dict[str, str]]:
    """The settings of a run, as its config.json has them, and the whole paths of the files it was made from.

    whole: whether each must be there, as a run needs that goes on; else those of an older version's run have defaults
    """
    config = folder.read_config()
    if not whole:
        config = {name: row.default for name, row in SETTINGS.items() if name != "data"} | config
    model = config.get("model")
    if missing := [name for name in (*SETTINGS, "model") if name not in config]:
        raise ValueError(f"{folder.config}: expected the settings of a run, missing {', '.join(sorted(missing))}")
    if not isinstance(model, dict) or "type" not in model:
        raise ValueError(f"{folder.config}: expected a model with its type, got {model!r}: begin a new run")
    flat = {name: config[name] for name in SETTINGS} | {MODEL + name: raw for name, raw in model.items()}
    where = f"{folder.config}: expected the settings of a run"
    files = config.get("files")
    return _read(flat.items(), where, {}), files if isinstance(files, dict) else {}


def _check_same(asked: Layer, before: Layer, where: Mapping[str, str], folder: RunFolder) -> None:
    for name, found in asked.items():
        if name not in FREE and before.get(name) != found:
            raise ValueError(_changed(where[name], found, before.get(name), folder))


def _changed(option: str, found: Any, before: Any, folder: RunFolder) -> str:
    return (
        f"{option} {found} with --resume {folder}, whose run had {before}: a run goes on as it was; leave out "
        f"{option}, or begin a new run"
    )


def _namespace(layer: Layer, rest: Layer, where: Mapping[str, str]) -> argparse.Namespace:
    """The settings as attributes, the model's as one dict."""
    model = {name.removeprefix(MODEL): v for name, v in layer.items() if name.startswith(MODEL)}
    kind = model.pop("type", "mlp")
    whole = completed(kind, model, {name: where.get(MODEL + name, name) for name in model})
    settings = {name: layer[name] for name in SETTINGS}
    return argparse.Namespace(**settings, model=whole, files={}, **rest)


def _options(options: Mapping[str, Any], where: dict[str, str]) -> Layer:
    """What was given as options of their own."""
    found: Layer = {}
    for name, given in options.items():
        if name in SETTINGS:
            found[name] = given
        elif name == "model" or name in ARGUMENTS:
            found["model.type" if name == "model" else MODEL + name] = given
    where.update({name: f"--{name.removeprefix(MODEL).replace('_', '-')}" for name in found})
    if "model.type" in found:
        where["model.type"] = "--model"
    return found


def _assigned(texts: Iterable[str], options: Mapping[str, Any], where: dict[str, str]) -> Layer:
    """What --set NAME=VALUE says."""
    found: Layer = {}
    for text in texts:
        name, equals, raw = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: expected NAME=VALUE, e.g. --set lr=3e-4")
        full, layer = next(iter(_read([(name, raw.strip())], f"--set {text}", where).items()))
        if full in found or full.removeprefix(MODEL) in options or (full == "model.type" and "model" in options):
            raise ValueError(f"--set {text}: {full} is given twice: leave one out")
        found[full] = layer
    return found


def _file(path: Path, where: dict[str, str]) -> Layer:
    """What a TOML file says. Raises ValueError for a file that is none, or holds what is no setting."""
    import tomllib

    if not path.is_file():
        raise FileNotFoundError(f"--config {path}: there is no such file in {Path.cwd()}: give its whole path")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected TOML, e.g. lr = 3e-4, got something else ({error})") from error
    items = [
        (f"{MODEL}{inner}" if name == "model" else f"{name}.{inner}", v)
        for name, raw in found.items()
        for inner, v in (raw.items() if isinstance(raw, dict) else ())
    ]
    return _read([*((n, v) for n, v in found.items() if not isinstance(v, dict)), *items], str(path), where)


def _read(items: Iterable[tuple[str, Any]], source: str, where: dict[str, str]) -> Layer:
    """Values by their full names, of settings that are in the tables."""
    found: Layer = {}
    for name, raw in items:
        full, setting = named(name, source)
        found[full] = value(full, setting, raw, source)
        where[full] = source if source.startswith("--set") else f"{full} in {source}"
    return found
