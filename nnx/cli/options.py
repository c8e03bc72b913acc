"""Types of options: what is out of range is refused by the parser, in words."""

import argparse
from collections.abc import Callable


def _number(kind: type[int] | type[float], text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {wanted}, got '{text}'") from None
    if not fits(value):
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text}")
    return value


def positive_int(text: str) -> int:
    """1, 2, 3, ..."""
    return int(_number(int, text, lambda v: v >= 1, "a whole number of at least 1"))


def seed(text: str) -> int:
    """What `nnx.seed` takes."""
    return int(_number(int, text, lambda v: 0 <= v < 2**64, "a whole number in [0, 2**64)"))


def positive(text: str) -> float:
    """A number above 0."""
    return _number(float, text, lambda v: 0.0 < v < float("inf"), "a number above 0")


def non_negative(text: str) -> float:
    """A number of 0 or more."""
    return _number(float, text, lambda v: 0.0 <= v < float("inf"), "a number of at least 0")


def fraction(text: str) -> float:
    """A number in [0, 1)."""
    return _number(float, text, lambda v: 0.0 <= v < 1.0, "a number in [0, 1)")


def folder_name(text: str) -> str:
    """The name of one folder, no path."""
    if text in ("", ".", "..") or "/" in text or "\\" in text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected the name of a folder, got '{text}': its place is --out")
    return text


def delimiter(text: str) -> str:
    """One character, or tab."""
    found = "\t" if text in ("tab", "\\t") else text
    if len(found) != 1:
        raise argparse.ArgumentTypeError(f"expected one character, or tab, got '{text}'")
    return found


def boolean(text: str) -> bool:
    """True or false."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"expected true or false, got '{text}'")
    return words[text.lower()]


def word(text: str) -> str:
    """Any text but none."""
    if not text:
        raise argparse.ArgumentTypeError("expected some text, got none")
    return text
