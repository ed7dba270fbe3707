"""Facts of machines that solvers do not state, by the machine's name.

Source: the vendor's pages on solver properties of single machines (docs.dwavequantum.com), as read
in November 2026. A live solver states its own times, and those are used.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """Facts of one machine.

    Attributes:
        temperature: average temperature of single qubits, in units of a field.
        programming: typical time to program it, in microseconds.
        delay: between two reads, in microseconds.
    """

    temperature: float
    programming: float
    delay: float


MACHINES = {
    "Advantage2_system1": Known(0.112, 33600.0, 60.6),
    "Advantage2_system2": Known(0.119, 24500.0, 20.6),
    "Advantage2_system4": Known(0.119, 8000.0, 20.6),
}


def known(name: str) -> Known | None:
    """Return the facts of a machine by its name, with or without a version; None where none are.

    Example:
        >>> known("Advantage2_system2.3").programming, known("zephyr 12")
        (24500.0, None)
    """
    return MACHINES.get(name.partition(",")[0].partition(".")[0])
