"""What a training raises."""


class Diverged(FloatingPointError):
    """A loss, of a step or of an epoch, is not a finite number."""
