"""Numbers with their words."""

from __future__ import annotations


def plural(number: int, word: str, form: str = ",") -> str:
    """Return a number with its word.

    Args:
        number: how many there are.
        word: of one.
        form: format of the number; thousands have commas unless it says otherwise.

    Example:
        >>> plural(1, "row"), plural(1200, "row"), plural(1200, "query", "d")
        ('1 row', '1,200 rows', '1200 queries')
    """
    if number == 1:
        return f"1 {word}"
    ending = f"{word[:-1]}ies" if word.endswith(("ry", "py")) else f"{word}s"
    return f"{number:{form}} {ending}"
