"""Training: a loop, what it measured, and callbacks for everything beside it."""

from nnx.train.callbacks import Callback, Checkpoint, EarlyStopping, GradientStats, MetricsLog, ModelCheckpoint
from nnx.train.history import History
from nnx.train.progress import Progress
from nnx.train.trainer import Diverged, Trainer

__all__ = [
    "Callback",
    "Checkpoint",
    "Diverged",
    "EarlyStopping",
    "GradientStats",
    "History",
    "MetricsLog",
    "ModelCheckpoint",
    "Progress",
    "Trainer",
]
