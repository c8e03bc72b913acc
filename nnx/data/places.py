"""Where data lies on this machine, and whether the network may be asked for what does not."""

import os
from pathlib import Path

__all__ = ["DatasetMissing", "cache_folder", "offline"]


class DatasetMissing(FileNotFoundError):
    """A data set is on none of the places it is looked for; the message names them and says how to get it."""


def cache_folder() -> Path:
    """The folder of what was fetched: $NNX_DATA, or $XDG_CACHE_HOME/nnx, or ~/.cache/nnx. It need not exist."""
    own = os.environ.get("NNX_DATA")
    return Path(own) if own else user_cache()


def user_cache() -> Path:
    """$XDG_CACHE_HOME/nnx, or ~/.cache/nnx, whatever NNX_DATA says."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnx"


def offline() -> bool:
    """Whether NNX_OFFLINE forbids to ask the network: 1, true, yes or on.

    Raises ValueError for another value than these and 0, false, no, off or nothing: a typo would be a silent download.
    """
    value = os.environ.get("NNX_OFFLINE", "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"expected NNX_OFFLINE to be 1 or 0, got {value!r}: 1 never asks the network")
