"""Integer Ising problems for all-to-all machines (coherent Ising machines, digital annealers).

With ``x = (1 + s) / 2`` a form over bits is ``constant + sum_i h_i s_i + sum_{i<j} J_ij s_i s_j``
over spins, ``J_ij = b_ij / 4`` and ``h_i = a_i / 2 + sum_j J_ij``. Such machines couple spins and
have no fields, so one auxiliary spin t carries them: ``h_i s_i`` becomes a coupling, ``h_i t s_i``.
Flipping all spins changes no energy, so a read is taken relative to t: ``x_i = (1 + t s_i) / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Bytes, Floats, Ints, Longs
from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import indices, instance
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.ir.program import Program
from qubo_attn.ir.spins import Spins, largest_integer, steps_of

# Coefficients of a quantized program are whole multiples up to the rounding of a few operations.
_NOISE = 1e-9


@dataclass(frozen=True, eq=False)
class IntegerIsing(Brief):
    """A problem ``sum_{i<j} c_ij s_i s_j`` to minimise, with whole coefficients and no fields.

    Spin ``v`` is the variable ``variables[v]``; the last spin is the auxiliary one. Independent
    blocks have a scale each, which changes no block's order of states; the program's energy is
    ``offset + sum_{i<j} scale_i c_ij s_i s_j``.

    Attributes:
        variables: int64, shape (n,), the program's variables, one for each spin but the last.
        i, j: int32, shape (couplings,), spins of each coupling, ``i < j``, sorted.
        coupling: int32, shape (couplings,), its value, never zero.
        scale: float64, shape (n,), energy per unit, for each spin but the last.
        offset: float, energy of no coupling at all.

    Example:
        >>> from qubo_attn import Program, integer_ising
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : 4
        ... x[0,0,0] * x[0,0,1] : -4
        ... ''')
        >>> problem = integer_ising(program)
        >>> problem.matrix
        array([[ 0, -1, -2],
               [-1,  0,  1],
               [-2,  1,  0]], dtype=int32)
        >>> read = [[1, -1, 1]]  # the last spin is the auxiliary one
        >>> problem.bits(read), problem.energies(read)
        (array([[1, 0]], dtype=uint8), array([-2.]))
    """

    variables: Longs
    i: Ints
    j: Ints
    coupling: Ints
    scale: Floats
    offset: float

    @property
    def auxiliary(self) -> int:
        """The auxiliary spin, which is the last; its couplings are the fields."""
        return len(self.variables)

    @property
    def matrix(self) -> Ints:
        """The couplings as a symmetric int32 matrix with a zero diagonal, auxiliary spin last.

        A machine that minimises ``- 1/2 s^T K s`` takes ``K = -matrix``.
        """
        dense = np.zeros((self.auxiliary + 1, self.auxiliary + 1), np.int32)
        dense[self.i, self.j] = dense[self.j, self.i] = self.coupling
        return dense

    def energies(self, spins: ArrayLike) -> Floats:
        """Return the program's energy at each of ``spins``, -1 or 1, shape (m, n + 1)."""
        s, energy = self._checked(spins), self.scale[self.i] * self.coupling
        return np.asarray(self.offset + (s[:, self.i] * s[:, self.j]) @ energy)

    def bits(self, spins: ArrayLike) -> Bytes:
        """Return the bits behind reads: 1 where a spin agrees with the auxiliary one.

        Args:
            spins: -1 or 1, shape (m, n + 1).

        Returns:
            uint8, shape (m, n), in the order of ``variables``.

        Raises:
            DecodeError: the reads have another width or are not spins.
        """
        s = self._checked(spins)
        return np.asarray(s[:, :-1] == s[:, -1:], dtype=np.uint8)

    def _checked(self, spins: ArrayLike) -> Floats:
        s = np.asarray(spins, dtype=np.float64)
        if s.ndim != 2 or s.shape[1] != self.auxiliary + 1:
            raise DecodeError(
                f"spins have shape {s.shape}; expected (reads, {self.auxiliary + 1}), "
                "the auxiliary spin last",
                shape=s.shape,
            )
        if not (np.abs(s) == 1).all():
            raise DecodeError("spins hold values other than -1 and 1")
        return s


def integer_ising(
    program: Program, bits: int = 8, *, variables: ArrayLike | None = None
) -> IntegerIsing:
    """Return the integer Ising problem of a quantized program.

    The step of each independent block is read off its coefficients, so a program that is integer
    by nature needs no quantizing.

    Args:
        program: bits only, every constraint priced, coefficients whole multiples of one step per
            block; what ``quantize`` returns.
        bits: width of the machine's integers, sign included.
        variables: whole blocks to take, as ids (a submission's ``variables``); all when None.

    Raises:
        InputError: a block has no such step, or is only partly among ``variables``.
        VerifyError: a constraint is not priced, or a variable not a bit.

    Example:
        >>> from qubo_attn import Program, integer_ising
        >>> program = Program.parse('''
        ... x[0,0,0] : -6
        ... x[0,0,1] : 2
        ... x[0,0,0] * x[0,0,1] : 4
        ... ''')
        >>> integer_ising(program).matrix
        array([[ 0,  1, -2],
               [ 1,  0,  2],
               [-2,  2,  0]], dtype=int32)
    """
    limit = largest_integer(bits)
    instance("program", program, Program)
    block = program.components
    form = program.total()
    spins = Spins.of(form, block)
    step, number = _multiples(program, spins, limit)
    n = len(program)
    ids = np.arange(n) if variables is None else _whole_blocks(program, block, variables)
    inside = np.zeros(n, bool)
    inside[ids] = True
    offset = float(form.linear[inside].sum() / 2.0 + form.bias[inside[form.i]].sum() / 4.0)
    if variables is None:
        offset += form.offset
    place = np.full(n, -1, np.int64)
    place[ids] = np.arange(len(ids))
    within = inside[form.i] & (number[n:] != 0)
    fields = ids[number[ids] != 0]
    i = np.concatenate([place[form.i[within]], place[fields]])
    j = np.concatenate([place[form.j[within]], np.full(len(fields), len(ids))])
    value = np.concatenate([number[n:][within], number[fields]])
    order = np.lexsort((j, i))
    return IntegerIsing(
        ids,
        i[order].astype(np.int32),
        j[order].astype(np.int32),
        value[order].astype(np.int32),
        step[block[ids]],
        offset,
    )


def _multiples(program: Program, spins: Spins, limit: int) -> tuple[Floats, Floats]:
    """Return the step of each block, and fields and couplings as multiples of it."""
    value, owner = spins.values, spins.owners
    step = steps_of(spins, limit)
    number = np.rint(value / step[owner])
    off = np.abs(value - number * step[owner]) > _NOISE * spins.largest[owner]
    wrong = off | (np.abs(number) > limit)
    if wrong.any():
        bad = int(owner[np.flatnonzero(wrong)[0]])
        label = program.label(int(np.flatnonzero(spins.block == bad)[0]))
        raise InputError(
            f"the block of {label} has no step of which its coefficients are whole multiples "
            f"between -{limit} and {limit}: run quantize first",
            variable=label,
        )
    return step, number


def _whole_blocks(program: Program, block: Longs, variables: ArrayLike) -> Longs:
    ids = np.unique(indices("variables", variables))
    if len(ids) and not (ids[0] >= 0 and ids[-1] < len(program)):
        raise InputError(
            f"variables name {ids[0]} to {ids[-1]}; the program has {len(program)}",
            argument="variables",
        )
    sizes = np.bincount(block)
    named = np.bincount(block[ids], minlength=len(sizes))
    partly = (named > 0) & (named < sizes)
    if partly.any():
        label = program.label(int(np.flatnonzero(block == np.flatnonzero(partly)[0])[0]))
        raise InputError(
            f"variables hold only a part of the block of {label}; take whole blocks",
            argument="variables",
            variable=label,
        )
    return ids
