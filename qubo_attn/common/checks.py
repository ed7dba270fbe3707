"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known one that is like it, if any.

    Example:
        >>> from qubo_attn.common.checks import nearest
        >>> nearest("sparsfy", ["embed", "sparsify"])
        "; did you mean 'sparsify'?"
        >>> nearest("moon", ["embed", "sparsify"])
        ''
    """
    by_key = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(name.lower(), by_key, n=1)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""
