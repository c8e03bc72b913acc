"""What a cycle does to the momentum: SGD and RMSprop have `momentum`, Adam and its like the first of their `betas`."""

from nnx.optim.base import Optimizer


def check_momentum(optimizer: Optimizer) -> None:
    """Raises ValueError if the optimizer has no momentum to cycle."""
    if not optimizer._having("momentum") and not optimizer._having("betas"):
        raise ValueError(f"{type(optimizer).__name__} has no momentum to cycle: cycle_momentum=False")


def cycle_momentum_to(optimizer: Optimizer, momentum: float) -> None:
    """Set it wherever there is one, in groups too."""
    for options in optimizer._having("betas"):
        options["betas"] = (momentum, *options["betas"][1:])
    for options in optimizer._having("momentum"):
        options["momentum"] = momentum
