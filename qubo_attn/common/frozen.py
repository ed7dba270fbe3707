"""Frozen columns: arrays that nobody can write to, pickled by their fields alone."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, TypeVar

import numpy as np

from qubo_attn.common.arrays import Array, frozen_array
from qubo_attn.common.brief import Brief

_DTYPES = {"Ints": np.int32, "Longs": np.int64, "Floats": np.float64, "Bytes": np.uint8}


class Portable(Brief):
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
            self.__dict__[name] = value


class Sealed(Portable):
    """Base of frozen dataclasses whose arrays nobody else writes to: they are read-only at once."""

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


class Columns(Portable):
    """Base of the frozen column groups: converts each array to its dtype once and freezes it.

    The dtype of a column is what its annotation says: `Ints`, `Longs`, `Floats` or `Bytes`; other
    fields stay as they are.
    """

    _dtypes: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        kinds = cls.__annotations__.items()
        cls._dtypes = {name: _DTYPES[kind] for name, kind in kinds if kind in _DTYPES}

    def __post_init__(self) -> None:
        for name, dtype in self._dtypes.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))

    def arrays(self) -> dict[str, Array]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in self._dtypes}


G = TypeVar("G", bound=Columns)


def replaced(group: G, **columns: Array) -> G:
    """Return a column group with some columns replaced.

    Args:
        group: columns, e.g. variables or constraints.
        **columns: the new columns, by name.
    """
    return type(group)(**(group.arrays() | columns))
