"""The way back: a sparse affine map from the variables after a pass to those before it.

``x_before = A x_after + b``. Fixing a variable is an empty row with b in {0, 1}, tying is two rows
that pick one column, binarising is a row that holds the encoding's coefficients, dropping an
ancilla is an empty column. Maps compose by matrix product and apply to a whole sample array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from qubo_attn.arrays import Array, Floats, Longs, frozen_array
from qubo_attn.portable import Portable


@dataclass(frozen=True, eq=False)
class Lift(Portable):
    """An affine map ``x_before = matrix @ x_after + constant``.

    Attributes:
        matrix: sparse, shape (n_before, n_after), float64.
        constant: float64, shape (n_before,).

    Example:
        >>> tie = Lift.select([0, 0, 1], n_after=2)
        >>> tie.lift([[1, 0]])
        array([[1., 1., 0.]])
    """

    matrix: sparse.csr_array
    constant: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "constant", frozen_array(self.constant, np.float64))

    @property
    def n_before(self) -> int:
        """Number of variables before the pass."""
        return int(self.matrix.shape[0])

    @property
    def n_after(self) -> int:
        """Number of variables after the pass."""
        return int(self.matrix.shape[1])

    @classmethod
    def identity(cls, n: int) -> Lift:
        """Return the map that changes nothing."""
        return cls.select(np.arange(n), n)

    @classmethod
    def select(cls, source: ArrayLike, n_after: int, constant: ArrayLike | None = None) -> Lift:
        """Return the map ``x_before[v] = x_after[source[v]] + constant[v]``.

        Args:
            source: one entry per variable before; -1 where no variable after stands behind it.
            n_after: number of variables after.
            constant: one entry per variable before; zeros when None.
        """
        source = np.asarray(source, dtype=np.int64)
        rows = np.flatnonzero(source >= 0)
        ptr = np.zeros(len(source) + 1, np.int64)
        np.cumsum(source >= 0, out=ptr[1:])
        matrix = sparse.csr_array(
            (np.ones(len(rows)), source[rows], ptr), shape=(len(source), n_after)
        )
        return cls(matrix, np.zeros(len(source)) if constant is None else np.asarray(constant))

    @property
    def sources(self) -> Longs | None:
        """The ``source`` array where the map was made of one, else None."""
        counts = np.diff(self.matrix.indptr)
        if (counts > 1).any() or (self.matrix.data != 1).any():
            return None
        source = np.full(self.n_before, -1, np.int64)
        source[counts == 1] = self.matrix.indices
        return source

    def lift(self, samples: ArrayLike) -> Floats:
        """Map samples after the pass, shape (m, n_after), to samples before it, (m, n_before)."""
        points = np.asarray(samples, dtype=np.float64)
        return np.ascontiguousarray((self.matrix @ points.T).T + self.constant)

    def then(self, later: Lift) -> Lift:
        """Return this map applied after ``later``, the map of a pass that ran later."""
        matrix = sparse.csr_array(self.matrix @ later.matrix)
        return Lift(matrix, self.matrix @ later.constant + self.constant)

    def arrays(self) -> dict[str, Array]:
        """Return the map as plain arrays, for saving."""
        return {
            "data": self.matrix.data,
            "indices": self.matrix.indices,
            "indptr": self.matrix.indptr,
            "shape": np.array(self.matrix.shape),
            "constant": self.constant,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Lift:
        """Build a map from what `arrays` returned."""
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        shape = (int(arrays["shape"][0]), int(arrays["shape"][1]))
        return cls(sparse.csr_array(parts, shape=shape), arrays["constant"])

    def same(self, other: Lift) -> bool:
        """Return whether both maps are equal, bit for bit."""
        mine, theirs = self.arrays(), other.arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)
