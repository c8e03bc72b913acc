"""The two ways in which the emulator says no."""


class EmulatorError(RuntimeError):
    """The emulator cannot be set up: a missing wheel or compiler, a CuPy that it does not know."""


class NotEmulated(NotImplementedError):
    """The program asked for something that only a GPU can do."""
