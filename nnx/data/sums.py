"""Checksums: what a file must be, byte for byte, to be taken for the one that was meant."""

from dataclasses import dataclass
from pathlib import Path

from nnx.data.packed import opened

__all__ = ["Checksum", "checksum"]

LENGTHS = {"sha256": 64, "md5": 32}


@dataclass(frozen=True)
class Checksum:
    """algorithm: sha256, or md5 where a publisher gives no other (it finds damage, not forgery); value: in hex.

    unpacked: the sum of what a gzip file holds, which stays the same however it was packed.
    """

    algorithm: str
    value: str
    unpacked: bool = False

    def __post_init__(self) -> None:
        wanted = LENGTHS[self.algorithm]
        if len(self.value) != wanted or set(self.value.lower()) - set("0123456789abcdef"):
            raise ValueError(f"expected {self.algorithm} as {wanted} hexadecimal digits, got {self.value!r}")

    def of(self, path: Path) -> str:
        """The file's own sum. Raises ValueError for a gzip file that cannot be unpacked."""
        import hashlib

        found = hashlib.new(self.algorithm, usedforsecurity=False)
        with opened(path) if self.unpacked else path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                found.update(piece)
        return found.hexdigest()

    def wrong(self, path: Path) -> str | None:
        """What is wrong with a file, in words; None if it is the right one."""
        try:
            found = self.of(path)
        except ValueError as error:
            return str(error)
        if found == self.value.lower():
            return None
        of = " of what it holds" if self.unpacked else ""
        return f"expected {self.algorithm} {self.value}{of}, got {found} ({path.stat().st_size} bytes)"


def checksum(sha256: str | None, md5: str | None, unpacked: bool) -> Checksum | None:
    """The sum that was given; sha256 before md5; None if there is none."""
    if sha256 is not None:
        return Checksum("sha256", sha256, unpacked)
    return None if md5 is None else Checksum("md5", md5, unpacked)
