"""Checkpoints, atomic writes and logs."""
