"""nnx's docstrings as Markdown: formulas stay formulas, aligned lines stay lines, doctests become blocks of code.

They are written to be read in a terminal. A line ends there where its author ended it, or where it was full: what
follows a line that had room for its first word is a line of its own here, too, and so is what begins with a label.
"""

import re
from collections.abc import Mapping
from itertools import pairwise

WIDTH = 108
"""Columns that a line of a docstring may have, at least: 120 less its indentation."""
LABEL = re.compile(r"[a-z]\w*(?:, \w+)*: ")
"""How a line begins that says what an argument is."""
CODE = re.compile(r"(`[^`]+`)")
SPECIAL = re.compile(r"([\\*_\[\]<#])")
NAME = re.compile(r"\bnnx(?:\.\w+)+")
SEE = re.compile(r"(?<=\b[Ss]ee )[A-Za-z]\w*(?:\.\w+)?")


def markdown(doc: str, names: Mapping[str, str]) -> str:
    """The docstring in Markdown. names: what is linked -> the identifier of where it is described."""
    return "\n\n".join(_block(block, names) for block in re.split(r"\n\s*\n", doc.strip("\n")))


def _block(block: str, names: Mapping[str, str]) -> str:
    lines = block.split("\n")
    if lines[0].startswith(">>> "):
        return "\n".join(["```pycon", *(re.sub(r"\s*# doctest: .*", "", line) for line in lines), "```"])
    if all(line.startswith("    ") for line in lines):
        return block
    written = _line(lines[0], names)
    for before, line in pairwise(lines):
        had_room = len(before) + 1 + len(line.split(" ")[0]) <= WIDTH
        written += ("  \n" if had_room or LABEL.match(line) else "\n") + _line(line, names)
    return written


def _line(line: str, names: Mapping[str, str]) -> str:
    return "".join(_code(part, names) if k % 2 else _prose(part, names) for k, part in enumerate(CODE.split(line)))


def _code(span: str, names: Mapping[str, str]) -> str:
    found = names.get(span.strip("`").removesuffix("()"))
    return f"[{span}][{found}]" if found else span


def _prose(text: str, names: Mapping[str, str]) -> str:
    def linked(match: re.Match[str]) -> str:
        found = names.get(match[0])
        return f"\0{match[0]}\1{found}\2" if found else match[0]

    text = SEE.sub(linked, NAME.sub(linked, text))
    text = SPECIAL.sub(lambda match: "&lt;" if match[0] == "<" else f"\\{match[0]}", text)
    text = re.sub(r" {3,}", "\N{EM SPACE}\N{EM SPACE}", text)  # columns
    return re.sub("\0(.*?)\1(.*?)\2", lambda m: f"[{m[1]}][{m[2].replace(chr(92), '')}]", text)
