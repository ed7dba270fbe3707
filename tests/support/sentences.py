"""Length of sentences in pages and docstrings: ``python -m tests.support.sentences`` lists them.

A sentence ends with a full stop, a question or exclamation mark, and with its paragraph, list
entry, heading or table cell. Code blocks and formulas count nothing, and code within a line is one
word, as is a list of it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 35

FENCE = re.compile(r"^ *```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
# What follows a double colon, indented: a grammar, a tree, a table of formulas.
LITERAL = re.compile(r"::\n\n(?:(?: +[^\n]*)?\n)+(?=[^ \n]|\Z)")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
ROLE = re.compile(r":[\w:]+:(?=`)")
CODE = re.compile(r"``[^`]+``|`[^`]+`")
# Code beside code, as in a list of options, is one word like any other code.
CODES = re.compile(r"CODE(?:(?:,| and| or|, and|, or)? +CODE)+")
BLOCK = re.compile(r" *(?:[-*] |\d+\. |#+ |\.\. )")
# A field of a docstring: ``name: text``, ``Raises: text`` or ``name (type): text``.
FIELD = re.compile(r" *[*\w.`]+(?:, [*\w.`]+)*(?: \([^)]*\))?:(?: |$)")
END = re.compile(r"(?<=[.?!])[)\"*]*\s+(?=[A-Z`*\"(\[0-9])")
ABBREVIATIONS = re.compile(r"\b(?:e\.g|i\.e|al|cf|vs)\.")
WORD = re.compile(r"[(\"'*_]*(?:[A-Za-z][A-Za-z'\u2019/-]+|[aAI]|[0-9][0-9.,]*)[)\"'*_.,;:?!%]*")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a file, with the line on which its paragraph begins."""

    file: Path
    line: int
    text: str

    @property
    def words(self) -> int:
        text = CODES.sub("CODE", CODE.sub("CODE", self.text))
        return sum(WORD.fullmatch(token) is not None for token in text.split())

    def __str__(self) -> str:
        return f"{self.words} words, {self.file.relative_to(ROOT)}:{self.line}: {self.text}"


def blank(match: re.Match[str]) -> str:
    """Replace a text by as many empty lines, so that lines keep their numbers."""
    return "\n" * match[0].count("\n")


def blocks(text: str, docstring: bool = False) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, list entries, headings and table cells with their lines."""
    words: list[str] = []
    start = 0
    example = False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        stripped = line.strip()
        example = bool(stripped) and (example or stripped.startswith(">>>"))
        row = stripped.startswith("|")
        begins = BLOCK.match(line) or (docstring and FIELD.match(line))
        if words and (not stripped or example or row or begins):
            yield start, " ".join(words)
            words = []
        if row:
            yield from ((number, cell) for cell in stripped.strip("|").split("|"))
        elif stripped and not example:
            start = start if words else number
            words.append(stripped)


def sentences_of(text: str, file: Path, line: int = 0, docstring: bool = False) -> list[Sentence]:
    """Return all sentences of a page or docstring that begins after a line of a file."""
    text = COMMENT.sub(blank, FENCE.sub(blank, text))
    text = LITERAL.sub(blank, text + "\n") if docstring else text
    found = []
    for number, block in blocks(text, docstring):
        plain = ABBREVIATIONS.sub(lambda match: match[0][:-1], ROLE.sub("", LINK.sub(r"\1", block)))
        found += [Sentence(file, line + number, part) for part in END.split(plain)]
    return found


def of_page(file: Path) -> list[Sentence]:
    """Return the sentences of a Markdown or reStructuredText page."""
    return sentences_of(file.read_text(encoding="utf-8"), file)


def of_docstrings(file: Path) -> list[Sentence]:
    """Return the sentences of all docstrings of a source file."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        text = ast.get_docstring(node)
        if text is not None:
            constant = node.body[0]
            found += sentences_of(text, file, constant.lineno - 1, docstring=True)
    return found


def documents() -> list[Path]:
    """Return the pages of the documentation."""
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "fixtures/README.md")]
    return [*pages, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").rglob("*.rst"))]


def sources() -> list[Path]:
    """Return the source files of the package and its passes."""
    files = [*(ROOT / "qubo_attn").rglob("*.py"), *(ROOT / "passes").glob("*.py")]
    return sorted(file for file in files if "passes" not in file.relative_to(ROOT).parts[1:-1])


def long_sentences(limit: int = LIMIT) -> list[Sentence]:
    """Return the sentences of pages and docstrings above the limit, longest first."""
    every = [s for file in documents() for s in of_page(file)]
    every += [s for file in sources() for s in of_docstrings(file)]
    return sorted((s for s in every if s.words > limit), key=lambda s: -s.words)


if __name__ == "__main__":
    for sentence in long_sentences(int(sys.argv[1]) if len(sys.argv) > 1 else LIMIT):
        print(sentence)
