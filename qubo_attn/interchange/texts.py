"""Models as other machines' files: Matrix Market, QPLIB and NumPy.

All are over bits; a model over spins is written with the same energies, ``x = (1 + s) / 2``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.common.npz import packed, unpacked
from qubo_attn.interchange.bits import Bits
from qubo_attn.ir.columns import Sense

_OFFSET = "offset: "
_ENDLESS = 1e30


def to_matrix_market(bits: Bits) -> bytes:
    """Return a symmetric matrix Q with energy ``x^T Q x`` plus the constant of its comment.

    Linear biases are on the diagonal; both halves of Q hold half of each quadratic bias, which is
    exact.

    Raises:
        ValueError: the model has constraints.
    """
    import scipy.io
    import scipy.sparse

    bits.refuse_constraints()

    n, every = len(bits.linear), np.arange(len(bits.linear))
    rows = np.concatenate([every, bits.high, bits.low])
    columns = np.concatenate([every, bits.low, bits.high])
    values = np.concatenate([bits.linear, bits.bias / 2.0, bits.bias / 2.0])
    matrix = scipy.sparse.coo_array((values, (rows, columns)), shape=(n, n))
    stream = io.BytesIO()
    comment = f"QUBO, energy x^T Q x + offset\n{_OFFSET}{bits.offset!r}"
    scipy.io.mmwrite(stream, matrix, comment=comment, precision=17, symmetry="symmetric")
    return stream.getvalue()


def from_matrix_market(data: bytes) -> Bits:
    """Read what `to_matrix_market` wrote; without its comment the constant is 0.

    Raises:
        ValueError: it is no square matrix of real numbers.
    """
    import scipy.io

    matrix: Any = scipy.io.mmread(io.BytesIO(data), spmatrix=False)
    if matrix.shape[0] != matrix.shape[1] or np.iscomplexobj(matrix):
        raise ValueError("a QUBO is a square matrix of real numbers")
    coo = matrix.tocoo()
    row, column = coo.row.astype(np.int64), coo.col.astype(np.int64)
    value = np.asarray(coo.data, np.float64)
    linear = np.zeros(matrix.shape[0])
    np.add.at(linear, row[row == column], value[row == column])
    apart = row != column
    low, high = np.minimum(row, column)[apart], np.maximum(row, column)[apart]
    codes, place = np.unique(low * len(linear) + high, return_inverse=True)
    bias = np.zeros(len(codes))
    np.add.at(bias, place, value[apart])
    lines = data.decode("latin-1").splitlines()
    stated = [line[1:].strip() for line in lines if line.startswith("%")]
    offset = [float(text[len(_OFFSET) :]) for text in stated if text.startswith(_OFFSET)]
    return Bits(
        linear, codes // len(linear), codes % len(linear), bias, offset[0] if offset else 0.0
    )


def to_qplib(bits: Bits) -> bytes:
    """Return a model as a file of QPLIB: quadratic objective, bits, linear constraints or none.

    Its type is ``QBL`` or ``QBN``. Grammar: Furini and others, QPLIB, Mathematical Programming
    Computation 11 (2019), and https://qplib.zib.de/doc.html. A coupler is written once, and the
    objective is half the sum of all ``v x_i x_j`` that are written: the library's solutions have
    their published values only so (https://github.com/Jij-Inc/ommx/issues/1207).
    """
    c = bits.constraints
    lines = ["qubo", "QBL" if len(c) else "QBN", "minimize", f"{len(bits.linear)} # variables"]
    lines += [f"{len(c)} # constraints"] if len(c) else []
    lines.append(f"{len(bits.bias)} # quadratic terms in the objective")
    ends = zip(bits.high.tolist(), bits.low.tolist(), (2.0 * bits.bias).tolist(), strict=True)
    lines += [f"{high + 1} {low + 1} {value!r}" for high, low, value in ends]
    lines += _others("linear terms", bits.linear)
    lines.append(f"{bits.offset!r} # constant")
    if len(c):
        lines.append(f"{len(c.var)} # linear terms in the constraints")
        terms = zip(c.row.tolist(), c.var.tolist(), c.coef.tolist(), strict=True)
        lines += [f"{row + 1} {var + 1} {coef!r}" for row, var, coef in terms]
    lines.append(f"{_ENDLESS:.1E} # infinity")
    if len(c):
        least = np.where(c.sense == Sense.EQ, c.rhs, -_ENDLESS)
        lines += _others("left-hand sides", least, -_ENDLESS)
        lines += _others("right-hand sides", c.rhs)
    of = ("", " of the multipliers of constraints", " of the multipliers of bounds")
    for what in of if len(c) else of[::2]:
        lines += [f"0.0 # default of the starting point{what}", "0 # others"]
    # Both counts are there whatever the type, as in the library's own files.
    lines += [f"0 # names of {what} that are no default" for what in ("variables", "constraints")]
    return ("\n".join(lines) + "\n").encode()


def _others(what: str, values: Floats, default: float = 0.0) -> list[str]:
    """Return lines of what differs from a default, by place."""
    places = np.flatnonzero(values != default)
    lines = [f"{default!r} # default of the {what}", f"{len(places)} # other {what}"]
    entries = zip(places.tolist(), values[places].tolist(), strict=True)
    return lines + [f"{place + 1} {value!r}" for place, value in entries]


def to_numpy(bits: Bits) -> bytes:
    """Return a model as an archive of arrays: ``linear``, ``i``, ``j``, ``bias``, ``offset``.

    Constraints, where there are any, are the rows ``ptr``, ``var``, ``coef`` (CSR), ``rhs``, and
    ``at_most``: false where a row must equal its right-hand side.
    """
    arrays: dict[str, Array] = {
        "linear": bits.linear,
        "i": bits.low,
        "j": bits.high,
        "bias": bits.bias,
    }
    c = bits.constraints
    if len(c):
        arrays |= {"ptr": c.ptr, "var": c.var, "coef": c.coef, "rhs": c.rhs}
        arrays["at_most"] = c.sense == Sense.LE
    return packed(arrays | {"offset": np.array(bits.offset)})


def from_numpy(file: Path) -> Bits:
    """Read what `to_numpy` wrote.

    Raises:
        InputError: it is no archive.
        ValueError: arrays are missing, or do not make a model.
    """
    arrays = unpacked(file)
    if missing := {"linear", "i", "j", "bias", "offset"} - set(arrays):
        raise ValueError(f"it lacks {sorted(missing)[0]}")
    linear, low, high = arrays["linear"], arrays["i"], arrays["j"]
    good = len(low) == len(high) == len(arrays["bias"]) and arrays["offset"].shape == ()
    ends = np.concatenate([low, high])
    if not good or ends.dtype.kind not in "iu" or not ((ends >= 0) & (ends < len(linear))).all():
        raise ValueError("its couplers do not join its variables")
    if "ptr" in arrays:
        raise ValueError(
            "it holds constraints, and a binary quadratic model has none; numpy.load reads it"
        )
    return Bits(linear, low, high, arrays["bias"], float(arrays["offset"]))
