"""Forms over spins, and the largest step of which their coefficients are whole multiples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.common.checks import whole
from qubo_attn.ir.quadratic import Quadratic

MOST_BITS = 16


@dataclass(frozen=True, eq=False)
class Spins:
    """A binary form over spins, with its independent blocks.

    Attributes:
        constant: float, the mean energy of all states.
        h: float64, shape (spins,), fields.
        i, j: int32, shape (couplings,), the spins that each coupling joins.
        coupling: float64, shape (couplings,), value of each coupling.
        block: int64, shape (spins,), block of each spin, numbered from 0.
    """

    constant: float
    h: Floats
    i: Ints
    j: Ints
    coupling: Floats
    block: Longs

    @classmethod
    def of(cls, form: Quadratic, block: Longs) -> Spins:
        """Return the spin form of a form over bits; ``block`` is the block of each variable."""
        h = kernels.ising_fields(form.linear, form.i, form.j, form.bias)
        constant = form.offset + float(form.linear.sum() / 2.0 + form.bias.sum() / 4.0)
        return cls(constant, h, form.i, form.j, form.bias / 4.0, block)

    @property
    def values(self) -> Floats:
        """Fields, then couplings."""
        return np.concatenate([self.h, self.coupling])

    @property
    def owners(self) -> Longs:
        """The block of each of `values`."""
        return np.concatenate([self.block, self.block[self.i]])

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(self.block.max(initial=-1)) + 1

    @property
    def largest(self) -> Floats:
        """Largest absolute value of each block."""
        largest = np.zeros(self.blocks)
        np.maximum.at(largest, self.owners, np.abs(self.values))
        return largest


def largest_integer(bits: int) -> int:
    """Return ``2^(bits-1) - 1``: the range is symmetric, as fields may need either sign.

    Raises:
        InputError: ``bits`` is no whole number from 2 to 16.
    """
    return int(2 ** (whole("bits", bits, 2, MOST_BITS) - 1) - 1)


def steps_of(spins: Spins, limit: int) -> Floats:
    """Return the largest common step of each block, 1 where all is zero.

    Where a block has none, the number returned is meaningless: check the multiples.
    """
    largest = spins.largest
    # Of a true step, at least largest / limit, every remainder is a multiple.
    step = kernels.common_steps(spins.values, spins.owners, largest, 1e-3 / limit)
    count = np.rint(np.divide(largest, step, out=np.ones_like(step), where=step > 0))
    return np.where(largest > 0, largest / np.maximum(count, 1.0), 1.0)
