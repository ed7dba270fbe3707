"""What the arrays of an artifact may hold: one table, by which every array is checked.

Sizes are letters. The first array that has a letter in its shape says how many it stands for; all
later ones keep to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.errors import InputError
from qubo_attn.formulations.certificates import Method
from qubo_attn.ir.columns import Kind, Role, Sense

Sizes = dict[str, int]

# Levels of a key, and steps of a relaxation; bits, levels and steps of real artifacts are fewer.
_LEVELS = 1 << 16
_STEPS = 10_000
_REAL = float(np.finfo(np.float64).max)


class Column(NamedTuple):
    """What an array may hold.

    Attributes:
        dtype: NumPy's short name.
        shape: a letter or number for each axis; ``"n+1"`` is one more.
        least, most: the range of its entries; a letter stands for the size less one.
        unknown: whether entries may be NaN.
        points: a letter: a pointer from 0 to that size, which nowhere falls.
        needed: whether it is always there.
    """

    dtype: str
    shape: tuple[str | int, ...]
    least: float = -_REAL
    most: float | str = _REAL
    unknown: bool = False
    points: str = ""
    needed: bool = True


_LABEL = {
    "head": Column("i4", ("*",), -1, "H"),
    "query": Column("i4", ("*",), -1, "Q"),
    "key": Column("i4", ("*",), -1, "K"),
    "bit": Column("i4", ("*",), -1),
}


def _labels(group: str, size: str) -> dict[str, Column]:
    return {f"{group}.{name}": column._replace(shape=(size,)) for name, column in _LABEL.items()}


# h heads, q queries, k keys; d, e features of values and keys, model those of a layer.
ATTENTION = {
    "logits": Column("f8", ("H", "Q", "K"), -np.inf),
    "values": Column("f8", ("H", "K", "d"), needed=False),
    "keys": Column("f8", ("H", "K", "e"), needed=False),
    "required": Column("b1", ("H", "Q", "K"), needed=False),
    "forbidden": Column("b1", ("H", "Q", "K"), needed=False),
    "missing": Column("b1", (2, "H", "K"), needed=False),
    "projection": Column("f8", ("H", "d", "model"), needed=False),
    "carried": Column("f8", ("H", "d+1"), needed=False),
}
# A graph has columns of edges where others have a table.
EDGES = {
    "shape": Column("i8", (3,), 0, 2**31 - 1),
    "ptr": Column("i8", ("rows+1",), points="edges"),
    "key": Column("i4", ("edges",), 0, "K"),
    "order": Column("i8", ("o",), 0, "given", needed=False),
    "given": Column("i8", (), 0),
    "shared": Column("b1", ()),
}
GRAPH = ATTENTION | {
    name: ATTENTION[name]._replace(shape=("edges",)) for name in ("logits", "required", "forbidden")
}
# n variables, t couplers, r constraints with c entries.
PROGRAM = {
    **_labels("v", "n"),
    "v.upper": Column("i4", ("n",), 1, _LEVELS),
    "v.role": Column("u1", ("n",), 0, max(Role)),
    "v.mass": Column("f8", ("n",), 0, unknown=True),
    "o.offset": Column("f8", ()),
    "o.linear": Column("f8", ("n",)),
    "o.i": Column("i4", ("t",), 0, "n"),
    "o.j": Column("i4", ("t",), 0, "n"),
    "o.bias": Column("f8", ("t",)),
    "c.var": Column("i4", ("c",), 0, "n"),
    "c.coef": Column("f8", ("c",)),
    "c.sense": Column("u1", ("r",), 0, max(Sense)),
    "c.ptr": Column("i8", ("r+1",), points="c"),
    "c.rhs": Column("f8", ("r",)),
    "c.kind": Column("u1", ("r",), 0, max(Kind)),
    **_labels("c", "r"),
    "c.weight": Column("f8", ("r",), 0, unknown=True),
    "c.slope": Column("f8", ("r",)),
}
# b variables before, n after; x entries.
LIFT = {
    "data": Column("f8", ("x",)),
    "indices": Column("i4", ("x",), 0, "n"),
    "indptr": Column("i4", ("b+1",), points="x"),
    "shape": Column("i8", (2,), 0),
    "constant": Column("f8", ("b",)),
}
# p proofs of constraints among r, which have w entries.
CERTIFICATES = {
    "index": Column("i8", ("p",), 0, "r"),
    "margin": Column("f8", ("p",), -np.inf),
    "method": Column("i1", ("p",), 0, max(Method)),
    "upper": Column("f8", ("p",), -np.inf, np.inf, unknown=True),
    "lower": Column("f8", ("w+p",), -np.inf, np.inf),
    "witness": Column("u1", ("w",)),
    "steps": Column("i8", (), 0, _STEPS),
    "weight": Column("f8", ("p",), 0, needed=False),
    "slope": Column("f8", ("p",), needed=False),
}
# u qubits, v couplers.
TARGET = {
    "qubits": Column("i8", ("u",), 0),
    "couplers": Column("i8", ("v", 2), 0, "u"),
}
# The chains of n variables hold y qubits.
PLACEMENT = {
    "submission": Column("i8", ("n",), 0, "n"),
    "component": Column("i8", ("n",), 0, "n"),
    "chain_qubit": Column("i8", ("y",), 0, "u"),
    "chain_ptr": Column("i8", ("n+1",), points="y"),
}
# p copies of l components have m variables, whose chains hold z qubits.
COPIES = {
    "component": Column("i8", ("p",), 0, "l"),
    "chain_qubit": Column("i8", ("z",), 0, "u"),
    "chain_ptr": Column("i8", ("m+1",), points="z"),
}


def check_columns(
    group: str, arrays: Mapping[str, Array], columns: Mapping[str, Column], sizes: Sizes
) -> None:
    """Check the arrays of a group by its columns.

    Args:
        group: its name in the artifact.
        arrays: by their names within the group.
        columns: what they may hold.
        sizes: what letters stand for; those that are new are added.

    Raises:
        InputError: an array is absent, unknown, or not what it may be; ``array`` is its name.
    """
    for name in arrays.keys() - columns.keys():
        raise refused(f"{group}/{name}", "is no part of an artifact")
    for name, column in columns.items():
        if name not in arrays:
            if column.needed:
                raise refused(f"{group}/{name}", "is absent")
            continue
        reason = _problem(arrays[name], column, sizes)
        if reason:
            raise refused(f"{group}/{name}", reason)


def refused(array: str, reason: str) -> InputError:
    """Return the error that names an array."""
    return InputError(f"array {array} {reason}", array=array)


def _problem(array: Array, column: Column, sizes: Sizes) -> str:
    """Return what is wrong with an array, or nothing; new letters of its shape are added."""
    dtype = np.dtype(column.dtype)
    if array.dtype != dtype:
        return f"holds {array.dtype}, not {dtype}"
    if array.ndim != len(column.shape):
        return f"has {array.ndim} axes, not {len(column.shape)}"
    for count, size in zip(array.shape, column.shape, strict=True):
        if count != _size(size, count, sizes):
            return f"has shape {array.shape}, which does not fit the others"
    if column.points:
        rises = len(array) and array[0] == 0 and (array[1:] >= array[:-1]).all()
        return "" if rises and array[-1] == sizes[column.points] else "points outside its entries"
    if not array.size:
        return ""
    most = sizes[column.most] - 1 if isinstance(column.most, str) else column.most
    if not column.unknown and array.dtype.kind == "f" and np.isnan(array).any():
        return "holds NaN"
    low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    if low < column.least or high > most:
        return f"holds {low if low < column.least else high}, beyond {column.least:g} to {most:g}"
    return ""


def _size(size: str | int, count: int, sizes: Sizes) -> int:
    """Return how many entries an axis must have; one that is new may have as many as it has."""
    if isinstance(size, int):
        return size
    first, plus, rest = size.partition("+")
    more = 0 if not plus else int(rest) if rest.isdecimal() else sizes[rest]
    return sizes.setdefault(first, max(count - more, 0)) + more
