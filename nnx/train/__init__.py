"""Training: a loop, what it measured, and callbacks for everything beside it."""

from nnx.train.callbacks import Callback, Checkpoint, MetricsLog
from nnx.train.gradients import GradientStats
from nnx.train.history import History
from nnx.train.memory import OutOfMemory
from nnx.train.monitors import EarlyStopping, ModelCheckpoint
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
    "OutOfMemory",
    "Progress",
    "Trainer",
]
