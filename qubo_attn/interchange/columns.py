"""Models in columns, for formats whose labels are whole numbers."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.errors import InputError

if TYPE_CHECKING:
    import dimod


class Columns(NamedTuple):
    """A model in columns.

    Attributes:
        label: int64, of each variable, ascending.
        linear: float64, of each variable.
        u, v: int64, labels of both ends of each coupler.
        bias: float64, of each coupler.
        offset: the constant.
        vartype: ``"SPIN"`` or ``"BINARY"``.
    """

    label: Longs
    linear: Floats
    u: Longs
    v: Longs
    bias: Floats
    offset: float
    vartype: str


def columns_of(bqm: dimod.BinaryQuadraticModel) -> Columns:
    """Return a model in columns, couplers sorted, the smaller label first.

    Raises:
        InputError: a label is no whole number of at least 0; names it.
    """
    odd = [label for label in bqm.variables if not isinstance(label, Integral) or label < 0]
    if odd:
        raise InputError(
            f"variable {odd[0]!r}: this format takes whole numbers of at least 0 as labels; "
            "relabel the variables, or write bqm or json",
            variable=odd[0],
        )
    label = np.array(sorted(bqm.variables), np.int64)
    linear, (row, column, bias), offset = bqm.to_numpy_vectors(variable_order=label.tolist())
    u, v = label[np.minimum(row, column)], label[np.maximum(row, column)]
    order = np.lexsort((v, u))
    return Columns(
        label,
        np.asarray(linear, np.float64),
        u[order],
        v[order],
        np.asarray(bias, np.float64)[order],
        float(offset),
        bqm.vartype.name,
    )


def model_of(columns: Columns) -> dimod.BinaryQuadraticModel:
    """Return the model behind columns; couplers given twice add up.

    Raises:
        ValueError: a coupler names a variable that is not among the labels, or one variable twice.
    """
    import dimod

    label, u, v = columns.label, columns.u, columns.v
    if (u == v).any():
        raise ValueError(f"a coupler joins variable {u[u == v][0]} to itself")
    ends = np.searchsorted(label, np.stack([u, v]))
    known = ends < len(label)
    known[known] = label[ends[known]] == np.stack([u, v])[known]
    if not known.all():
        raise ValueError(f"variable {np.stack([u, v])[~known][0]} is not among the variables")
    return dimod.BinaryQuadraticModel.from_numpy_vectors(
        columns.linear,
        (ends[0], ends[1], columns.bias),
        columns.offset,
        columns.vartype,
        variable_order=label.tolist(),
    )
