"""Data sets, files, splits, checks and the loader."""
