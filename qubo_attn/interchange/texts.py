"""Models as other machines' files: Matrix Market, QPLIB and NumPy.

All are over bits; a model over spins is written with the same energies, ``x = (1 + s) / 2``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.common.npz import packed, unpacked

if TYPE_CHECKING:
    import dimod

_OFFSET = "offset: "


class Bits(NamedTuple):
    """A model over bits.

    Attributes:
        linear: float64, shape (n,).
        low, high: the ends of each coupler, ``low < high``, sorted.
        bias: float64, one for each coupler.
        offset: constant.
    """

    linear: Floats
    low: Array
    high: Array
    bias: Floats
    offset: float

    @classmethod
    def of(cls, bqm: dimod.BinaryQuadraticModel) -> Bits:
        """Return a model of dimod's, its variables by their order."""
        model = bqm if bqm.vartype.name == "BINARY" else bqm.change_vartype("BINARY", inplace=False)
        linear, (one, other, bias), offset = model.to_numpy_vectors(list(model.variables))
        low, high = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((high, low))
        ends = low[order].astype(np.int64), high[order].astype(np.int64)
        return cls(linear.astype(np.float64), *ends, bias[order].astype(np.float64), float(offset))

    def model(self) -> dimod.BinaryQuadraticModel:
        """Return it as a model of dimod's."""
        import dimod

        couplers = self.low, self.high, self.bias
        return dimod.BinaryQuadraticModel.from_numpy_vectors(
            self.linear, couplers, self.offset, "BINARY"
        )


def to_matrix_market(bits: Bits) -> bytes:
    """Return a symmetric matrix Q with energy ``x^T Q x`` plus the constant of its comment.

    Linear biases are on the diagonal; both halves of Q hold half of each quadratic bias, which is
    exact.
    """
    import scipy.io
    import scipy.sparse

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
    """Return a model as a file of QPLIB: quadratic objective, bits, no constraints (``QBN``).

    Energy is ``x^T H x / 2 + b^T x`` plus a constant; the file holds the lower half of H. Grammar:
    Furini and others, QPLIB, Mathematical Programming Computation 11 (2019), and
    https://qplib.zib.de/doc.html.
    """
    used = np.flatnonzero(bits.linear)
    lines = ["qubo", "QBN", "minimize", f"{len(bits.linear)} # variables"]
    lines.append(f"{len(bits.bias)} # quadratic terms in the objective")
    ends = zip(bits.high.tolist(), bits.low.tolist(), bits.bias.tolist(), strict=True)
    lines += [f"{high + 1} {low + 1} {bias!r}" for high, low, bias in ends]
    lines.append("0.0 # default of the linear terms")
    lines.append(f"{len(used)} # other linear terms")
    lines += [f"{place + 1} {float(bits.linear[place])!r}" for place in used.tolist()]
    lines.append(f"{bits.offset!r} # constant")
    lines.append("1.0E+30 # infinity")
    for what in ("starting point", "starting point of the multipliers of bounds"):
        lines += [f"0.0 # default of the {what}", "0 # others"]
    lines.append("0 # names of variables that are no default")
    return ("\n".join(lines) + "\n").encode()


def to_numpy(bits: Bits) -> bytes:
    """Return a model as an archive of arrays: ``linear``, ``i``, ``j``, ``bias``, ``offset``."""
    arrays = {"linear": bits.linear, "i": bits.low, "j": bits.high, "bias": bits.bias}
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
    return Bits(linear, low, high, arrays["bias"], float(arrays["offset"]))
