"""The way back: a sparse affine map from the variables after a pass to those before it.

``x_before = A x_after + b``. Fixing a variable is an empty row with b in {0, 1}, tying is two rows
that pick one column, binarising is a row that holds the encoding's coefficients, dropping an
ancilla is an empty column. Maps compose by matrix product and apply to a whole sample array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import (
    Array,
    Floats,
    frozen_array,
    numbers_to,
    ones,
    own_array,
    pointers,
    zeros,
)
from qubo_attn.common.frozen import Portable
from qubo_attn.ir.points import read_points

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True, eq=False)
class Lift(Portable):
    """An affine map ``x_before = matrix @ x_after + constant``; made by `select` or `of_matrix`.

    Attributes:
        data, indices, indptr: the matrix as CSR: float64, and int32 (int64 where it is larger).
        shape: (n_before, n_after).
        constant: float64, shape (n_before,).

    Example:
        >>> tie = Lift.select([0, 0, 1], n_after=2)
        >>> tie.lift([[1, 0]])
        array([[1., 1., 0.]])
    """

    data: Floats
    indices: Array
    indptr: Array
    shape: tuple[int, int]
    constant: Floats

    def __post_init__(self) -> None:
        large = max(*self.shape, len(self.data)) > np.iinfo(np.int32).max
        whole = np.int64 if large else np.int32
        columns = {"data": np.float64, "indices": whole, "indptr": whole, "constant": np.float64}
        for name, dtype in columns.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """The sparse matrix, shape (n_before, n_after), float64; its arrays are read-only."""
        # Most maps only renumber variables and are never multiplied: SciPy waits.
        from scipy import sparse

        return sparse.csr_array((self.data, self.indices, self.indptr), shape=self.shape)

    @property
    def n_before(self) -> int:
        """Number of variables before the pass."""
        return self.shape[0]

    @property
    def n_after(self) -> int:
        """Number of variables after the pass."""
        return self.shape[1]

    @classmethod
    def of_matrix(cls, matrix: sparse.csr_array, constant: ArrayLike) -> Lift:
        """Return the map ``x_before = matrix @ x_after + constant``."""
        rows, columns = matrix.shape
        shape = int(rows), int(columns)
        return cls(matrix.data, matrix.indices, matrix.indptr, shape, np.asarray(constant))

    @classmethod
    def identity(cls, n: int) -> Lift:
        """Return the map that changes nothing."""
        return _identity(n)

    @classmethod
    def select(cls, source: ArrayLike, n_after: int, constant: ArrayLike | None = None) -> Lift:
        """Return the map ``x_before[v] = x_after[source[v]] + constant[v]``.

        Args:
            source: one entry per variable before; -1 where no variable after stands behind it.
            n_after: number of variables after.
            constant: one entry per variable before; zeros when None.
        """
        source = np.asarray(source)
        seen = source >= 0
        every, shifts = bool(seen.all()), zeros(len(source)) if constant is None else constant
        indices = source if every else source[seen]
        first = numbers_to(len(source) + 1) if every else pointers(seen)
        return cls(ones(len(indices)), indices, first, (len(source), n_after), np.asarray(shifts))

    @property
    def sources(self) -> Array | None:
        """The ``source`` array where the map was made of one, else None."""
        counts = np.diff(self.indptr)
        if (counts > 1).any() or (self.data != 1).any():
            return None
        if counts.all():
            return self.indices
        source = np.full(self.n_before, -1, np.int64)
        source[counts == 1] = self.indices
        return own_array(source)

    @cached_property
    def is_identity(self) -> bool:
        """Whether the map changes nothing."""
        source = self.sources
        square = self.shape[0] == self.shape[1] == len(self.data)
        return bool(
            square
            and source is not None
            and (source == np.arange(len(source))).all()
            and not self.constant.any()
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make the map again; one that changes nothing is told by its size."""
        if self.is_identity:
            return Lift.identity, (self.n_before,)
        return Lift, tuple(self.__getstate__().values())

    def lift(self, samples: ArrayLike) -> Floats:
        """Map samples after the pass, shape (m, n_after), to samples before it, (m, n_before)."""
        points = read_points(samples, self.shape[1])
        return np.ascontiguousarray((self.matrix @ points.T).T + self.constant)

    def then(self, later: Lift) -> Lift:
        """Return this map applied after ``later``, the map of a pass that ran later."""
        if self.is_identity or later.is_identity:
            return later if self.is_identity else self
        from scipy import sparse

        matrix = sparse.csr_array(self.matrix @ later.matrix)
        return Lift.of_matrix(matrix, self.matrix @ later.constant + self.constant)

    def arrays(self) -> dict[str, Array]:
        """Return the map as plain arrays, for saving."""
        return self.__getstate__() | {"shape": np.array(self.shape)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Lift:
        """Build a map from what `arrays` returned."""
        rows, columns = map(int, arrays["shape"])
        return cls(**(arrays | {"shape": (rows, columns)}))  # type: ignore[arg-type]

    def same(self, other: Lift) -> bool:
        """Return whether both maps are equal, bit for bit."""
        mine, theirs = self.arrays(), other.arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)


@lru_cache(maxsize=4)
def _identity(n: int) -> Lift:
    """Return the map of n variables that changes nothing; passes over one program share it."""
    numbers = numbers_to(n + 1)
    return Lift(ones(n), numbers[:n], numbers, (n, n), zeros(n))
