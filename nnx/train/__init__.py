"""Training: a loop, what it measured, and callbacks for everything beside it."""

from nnx.train.activations import ActivationStats
from nnx.train.batches import Weighted
from nnx.train.callbacks import Callback
from nnx.train.checkpoints import Checkpoint, ModelCheckpoint
from nnx.train.clock import Profiler
from nnx.train.errors import Diverged
from nnx.train.gradients import GradientStats
from nnx.train.history import History
from nnx.train.logs import CSVLogger, MetricsLog, TensorBoard
from nnx.train.memory import OutOfMemory
from nnx.train.monitors import EarlyStopping
from nnx.train.nans import TerminateOnNaN
from nnx.train.objective import Term
from nnx.train.progress import Progress
from nnx.train.rates import LearningRateFinder, ReduceLROnPlateau
from nnx.train.trainer import Trainer

__all__ = [
    "ActivationStats",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "Diverged",
    "EarlyStopping",
    "GradientStats",
    "History",
    "LearningRateFinder",
    "MetricsLog",
    "ModelCheckpoint",
    "OutOfMemory",
    "Profiler",
    "Progress",
    "ReduceLROnPlateau",
    "TensorBoard",
    "Term",
    "TerminateOnNaN",
    "Trainer",
    "Weighted",
]
