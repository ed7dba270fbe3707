"""Blocks of Markdown documents: files that a reader writes, commands that a reader runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(<!-- (?P<mark>[\w-]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
_FILE = re.compile(r"# (?P<name>[\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: the word after the first fence.
        text: the lines between the fences.
        file: the file that the first line names in a comment; the block is its content.
        mark: the word in a comment before the block, ``<!-- mark -->``.
    """

    language: str
    text: str
    file: str | None = None
    mark: str | None = None


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document in order."""
    result = []
    for match in _BLOCK.finditer(document.read_text()):
        first_line = _FILE.match(match["text"])
        file = first_line["name"] if first_line else None
        result.append(Block(match["language"], match["text"], file, match["mark"]))
    return result
