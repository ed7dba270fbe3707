"""Columns that travel: pickled by their fields alone, and frozen again where they arrive."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


class Portable:
    """Base of frozen dataclasses that are sent to other processes.

    What was worked out from the fields (`functools.cached_property`) stays behind: it is worked out
    anew where it is asked for, and is often larger than the fields.

    Example:
        >>> import pickle
        >>> from qubo_attn import Program
        >>> program = Program.parse("x[0,0,0] : -2")
        >>> program.energies([[1]])
        array([-2.])
        >>> pickle.loads(pickle.dumps(program)).objective.linear.flags.writeable
        False
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the fields over; arrays are nobody else's, so they are frozen without a copy."""
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
