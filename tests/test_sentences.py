"""Sentences of pages and docstrings are short, and the count that says so is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sentences import LIMIT, long_sentences, of_docstrings, of_page, sentences_of

# Beginnings of sentences that may be longer: each is mostly a formula.
EXCEPTIONS = ("A convex form f that agrees",)  # qubo_attn/kernels/leveled.py


def test_no_sentence_is_longer_than_the_limit() -> None:
    long = [str(s) for s in long_sentences() if not s.text.startswith(EXCEPTIONS)]
    assert long == [], "\n".join(["split these sentences:", *long])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two words.", [2]),
        ("One sentence. Another one, longer?\nYes!", [2, 3, 1]),
        ("An abbreviation, e.g. this one.", [4]),
        ("A [link with words](page.md#place) and `some code`.", [6]),
        ("The options `a`, `b` and `c`.", [3]),
        ("With x <= 3 + y, z_i = 1 holds.", [4]),
        ("# A heading\n\n- an entry\n  of two lines\n- another", [2, 5, 1]),
        ("| a cell | two words here |\n|---|---|", [2, 3]),
        ("Before.\n\n```python\nnot words at all\n```\n\nAfter it.", [1, 2]),
        ("Before.\n<!-- not words -->\nAfter it.", [1, 2]),
    ],
)
def test_words_are_counted(text: str, words: list[int]) -> None:
    assert [s.words for s in sentences_of(text, Path("page.md")) if s.words] == words


def test_docstrings_are_read_by_their_parts(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '''"""Say what it is::

    not a sentence that counts

More of it.
"""

def function(a, b, c):
    """Do it.

    Args:
        a, b: two of them.
        c (int): the third.

    Example:
        >>> function(1, 2, 3)
        not counted either
    """
'''
    )
    found = [(s.line, s.words) for s in of_docstrings(file)]
    assert found == [(1, 4), (5, 3), (9, 2), (11, 1), (12, 4), (13, 3), (15, 1)]


def test_a_long_sentence_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Short.\n\n" + "word " * LIMIT + "more.\n")
    assert [(s.line, s.words) for s in of_page(page) if s.words > LIMIT] == [(3, LIMIT + 1)]
