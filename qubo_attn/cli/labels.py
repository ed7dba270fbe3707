"""Tokens of a file of scores: labels of keys, which a compiled folder keeps for its pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qubo_attn.errors import InputError

# Beside the compiled attention in its folder.
KEPT = "tokens.json"
_ARRAY = "tokens"


def read_tokens(file: Path) -> list[str]:
    """Return the labels of keys that a file holds.

    Args:
        file: a ``.npz`` with an array ``tokens``, or text with one token a line.

    Raises:
        InputError: the file does not read; names it.
    """
    from zipfile import BadZipFile

    import numpy as np

    from qubo_attn.common.files import unread

    try:
        if file.suffix != ".npz":
            return file.read_text(encoding="utf-8").splitlines()
        with np.load(file, allow_pickle=False) as held:
            return [str(token) for token in held[_ARRAY].ravel()]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise InputError(unread(file, "tokens", error), file=str(file)) from None


def tokens_beside(file: Path, keys: int) -> list[str] | None:
    """Return the tokens of a file of scores; None where it has none, or not one for each key.

    Args:
        file: the file of scores.
        keys: number of keys.
    """
    if file.suffix != ".npz":
        return None
    try:
        tokens = read_tokens(file)
    except InputError:
        return None
    return tokens if len(tokens) == keys else None


def keep_tokens(folder: Path, tokens: Sequence[str] | None) -> None:
    """Write tokens to a compiled folder, or remove those of an earlier compilation."""
    from qubo_attn.common.files import write_file, writing

    file = folder / KEPT
    with writing(file):
        if tokens is None:
            file.unlink(missing_ok=True)
        else:
            write_file(file, (json.dumps(list(tokens), ensure_ascii=False) + "\n").encode())


def kept_tokens(folder: Path, keys: int) -> list[str] | None:
    """Return the tokens that a compiled folder keeps; None where they are not one for each key."""
    try:
        tokens = json.loads((folder / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(tokens, list) and len(tokens) == keys
    return [str(token) for token in tokens] if fits else None
