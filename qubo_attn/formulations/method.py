"""How the weight of a row was proven."""

from __future__ import annotations

from enum import IntEnum


class Method(IntEnum):
    """The proof of a weight; its lower-case name is its name in reports."""

    STEPS = 0
    RELAXATION = 1
    SWITCHES = 2
    WALLS = 3
    LEVELS = 4
