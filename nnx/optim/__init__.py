"""Optimizers: an update rule is one elementwise function, its arguments and defaults are PyTorch's."""

from typing import TYPE_CHECKING

from nnx.lazy import lazy

MODULES = (
    "base",
    "sgd",
    "adam",
    "adaptive",
    "averaging",
    "by_path",
    "cycles",
    "gradients",
    "lbfgs",
    "matrices",
    "moments",
    "penalties",
    "plateau",
    "schedule_free",
    "schedules",
    "sequences",
    "signs",
    "waves",
)
"""Where the names are, those that are needed first at the front."""

if TYPE_CHECKING:
    from nnx.optim.adam import *
    from nnx.optim.adaptive import *
    from nnx.optim.averaging import *
    from nnx.optim.base import *
    from nnx.optim.by_path import *
    from nnx.optim.cycles import *
    from nnx.optim.gradients import *
    from nnx.optim.lbfgs import *
    from nnx.optim.matrices import *
    from nnx.optim.moments import *
    from nnx.optim.penalties import *
    from nnx.optim.plateau import *
    from nnx.optim.schedule_free import *
    from nnx.optim.schedules import *
    from nnx.optim.sequences import *
    from nnx.optim.sgd import *
    from nnx.optim.signs import *
    from nnx.optim.waves import *
else:
    __getattr__, __dir__ = lazy(__name__, MODULES)
