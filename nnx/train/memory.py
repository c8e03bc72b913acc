"""Out of memory: what the library says, and what it does not know: the size of the batch, and how much was in use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nnx.backend import get_backend


class OutOfMemory(MemoryError):
    """A batch did not fit into the memory of the device; the library's own error is its cause."""


@contextmanager
def explained(batch_size: Callable[[], int | None]) -> Iterator[None]:
    """Turns the library's error into one that names the batch size and the peak."""
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        held = get_backend().memory().get("peak")
        peak = "" if held is None else f"; {held / 2**20:,.1f} MiB were in use at the peak"
        raise OutOfMemory(
            f"out of memory with batches of {batch_size() or 'unknown size'}{peak}: lower batch_size, or make the "
            f"model smaller ({type(error).__name__}: {error})"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """NumPy's and CuPy's are MemoryErrors, torch's has the name alone, JAX says it in words."""
    named = type(error).__name__ == "OutOfMemoryError" or "RESOURCE_EXHAUSTED" in str(error)
    return (isinstance(error, MemoryError) or named) and not isinstance(error, OutOfMemory)
