"""What the tests of the command line share."""

import json
import os
import subprocess
import sys

from nnx.cli import main

SMALL = ("--epochs", "2", "--hidden", "16")


def train(*args):
    """`nnx train` in this process, with small settings."""
    return main(["train", *SMALL, *map(str, args)])


def command(*args, **environment):
    """The arguments of a subprocess that runs nnx."""
    env = {k: v for k, v in os.environ.items() if k not in ("NNX_BACKEND", "NNX_DEVICE", "NNX_DEBUG")}
    return {"args": [sys.executable, "-m", "nnx", *map(str, args)], "env": env | environment, "text": True}


def run(*args, cwd, input=None, **environment):
    """nnx as a process of its own, its output captured."""
    how = {"input": input, "capture_output": True, "check": False, "timeout": 120}
    return subprocess.run(**command(*args, **environment), cwd=cwd, **how)


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_time(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]
