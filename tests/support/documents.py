"""Blocks of Markdown documents, as a reader would take them: files to write, commands to run."""

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
        language: after the fence.
        text: between the fences.
        file: the file it is to be put into, which its first line names in a comment.
        mark: of a comment before it, ``<!-- mark -->``.
    """

    language: str
    text: str
    file: str | None = None
    mark: str | None = None


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document in order."""
    found = []
    for match in _BLOCK.finditer(document.read_text()):
        named = _FILE.match(match["text"])
        file = named["name"] if named else None
        found.append(Block(match["language"], match["text"], file, match["mark"]))
    return found
