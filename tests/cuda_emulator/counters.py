"""What a program costs the device, counted exactly by the stand-in libraries (cpp/runtime/counters.h names it all)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator

from .runtime import library

LEVELS = frozenset({"current_bytes", "peak_bytes"})


@functools.cache
def names() -> tuple[str, ...]:
    lib = library()
    lib.emu_counter_names.restype = ctypes.c_char_p
    return tuple(lib.emu_counter_names().decode().split())


def counters() -> dict[str, int]:
    """All counts since activate() or reset()."""
    values = (ctypes.c_longlong * len(names()))()
    library().emu_read_counters(values)
    return dict(zip(names(), values, strict=True))


def reset() -> None:
    """Sets every count to zero; `peak_bytes` starts anew from `current_bytes`."""
    library().emu_reset_counters()


class Counts:
    """The counts of a block: up to now inside of it, final after it. `peak_bytes` and `current_bytes` are levels.

    One attribute a counter, and `syncs`: stream, device and event synchronisations together. A blocking copy is
    counted as a copy alone.
    """

    def __init__(self) -> None:
        self._start = counters()
        self._end: dict[str, int] | None = None

    def as_dict(self) -> dict[str, int]:
        now = self._end or counters()
        return {name: now[name] if name in LEVELS else now[name] - self._start[name] for name in now}

    def __getattr__(self, name: str) -> int:
        if name.startswith("_") or name not in names():
            raise AttributeError(f"no counter {name!r}: there are syncs, {', '.join(names())}")
        return self.as_dict()[name]

    @property
    def syncs(self) -> int:
        return self.stream_syncs + self.device_syncs + self.event_syncs

    def __repr__(self) -> str:
        return f"Counts({', '.join(f'{name}={value}' for name, value in self.as_dict().items() if value)})"


@contextlib.contextmanager
def counting() -> Iterator[Counts]:
    """Counts what a block costs; blocks may be nested.

    with counting() as cost:
        step()
    assert cost.launches == 4 and cost.syncs == 0
    """
    lib = library()
    lib.emu_set_peak.argtypes = [ctypes.c_longlong]
    counts = Counts()
    outer_peak = counts._start["peak_bytes"]
    lib.emu_set_peak(counts._start["current_bytes"])
    try:
        yield counts
    finally:
        counts._end = counters()
        lib.emu_set_peak(max(outer_peak, counts._end["peak_bytes"]))
