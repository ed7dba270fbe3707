"""Options of a sampler as JSON holds them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qubo_attn.errors import InputError

_PAIRS = "pairs"


def to_plain(name: str, value: object) -> Any:
    """Return a value as JSON holds it: arrays and tuples as lists, keys that are no text as pairs.

    Args:
        name: of the option, for the message.
        value: its value.

    Raises:
        InputError: it is nothing that a journal can keep.

    Example:
        >>> from_plain(to_plain("initial_state", {3: 1}))
        {3: 1}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {_PAIRS: [[to_plain(name, k), to_plain(name, v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [to_plain(name, entry) for entry in value]
    raise InputError(
        f"{name} cannot be kept in a journal: a {type(value).__name__} is neither number, text, "
        "list nor dict",
        argument=name,
    )


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given; lists stay lists."""
    if isinstance(value, dict):
        pairs = [(from_plain(key), from_plain(entry)) for key, entry in value[_PAIRS]]
        return {tuple(key) if isinstance(key, list) else key: entry for key, entry in pairs}
    return [from_plain(entry) for entry in value] if isinstance(value, list) else value
