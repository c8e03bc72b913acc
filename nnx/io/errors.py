"""The error of files."""

__all__ = ["CheckpointError"]


class CheckpointError(ValueError):
    """A file is no whole checkpoint; the message names it, what is wrong, and the way out."""
