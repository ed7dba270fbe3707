"""Exactly k of n keys as k nested domain walls on a grid of k (n - k) bits.

The j-th chosen key is a wall in row j of the grid: ``u[j,a]`` is 0 before it and 1 from it on. So
``t[j,i] = u[j,i-j]`` (0 left of the grid, 1 right of it) tells whether the j-th chosen key is at i
or before, and ``x_i = sum_j (t[j,i] - t[j,i-1])`` is affine. Walls order the bits both ways:

* ``u[j,a] <= u[j,a+1]``: one wall in each row;
* ``u[j+1,a] <= u[j,a]``: the next key comes after this one.

Each selection has exactly one such state, every coupler of the walls is ferromagnetic and of one
size, and the grid is planar. One key is the plain domain wall (Chancellor, arXiv 1903.05068).
Keys always add up to k, whatever the bits are; a broken wall shows as a key outside 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs, own_array
from qubo_attn.formulations.slack import ancillas, appended
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.rows import row_classes
from qubo_attn.ir.substitute import substitute


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid of one n and k; its bits are numbered column by column, ``a k + j``.

    The numbering makes a grid of fewer columns the start of a grid of more.

    Attributes:
        size: bits.
        key, bit, sign: entries of the affine map from bits to keys.
        constant: float64, shape (n,): its constants.
        lower, upper: int64, the bits of each wall ``lower <= upper``.
        most, least: int64, shape (n,): what a key can be while walls are broken.
    """

    size: int
    key: Longs
    bit: Longs
    sign: Floats
    constant: Floats
    lower: Longs
    upper: Longs
    most: Longs
    least: Longs


@lru_cache(maxsize=256)
def grid_of(n: int, k: int) -> Grid:
    """Return the grid of exactly ``k`` of ``n`` keys.

    Example:
        >>> grid = grid_of(4, 1)
        >>> grid.lower.tolist(), grid.upper.tolist()
        ([0, 1], [1, 2])
    """
    width = n - k
    row, column = np.divmod(np.arange(k * width), max(width, 1))
    bit, first = column * k + row, row + column
    right, down = column + 1 < width, row + 1 < k
    i = np.arange(n)
    # A row rises at the keys it can choose, and falls inside the grid only.
    rises = np.minimum(k - 1, i) - np.maximum(0, i - width) + 1
    falls = np.minimum(k - 1, i - 1) - np.maximum(0, i - width + 1) + 1
    return Grid(
        k * width,
        own_array(np.concatenate([first, first + 1])),
        own_array(np.concatenate([bit, bit])),
        own_array(np.repeat([1.0, -1.0], len(bit))),
        own_array((i >= width).astype(np.float64)),
        own_array(np.concatenate([bit[right], bit[down] + 1])),
        own_array(np.concatenate([bit[right] + k, bit[down]])),
        own_array(rises),
        own_array(-np.maximum(falls, 0)),
    )


def reach(program: Program, index: Longs) -> tuple[Floats, Floats]:
    """Return least and most of each variable while walls of the grids of rows ``index`` break."""
    least = np.zeros(len(program))
    most = program.variables.upper.astype(np.float64)
    for n, k, _, var in row_classes(program, index):
        grid = grid_of(n, k)
        least[var], most[var] = grid.least, grid.most
    return least, most


def without_pairs(program: Program, index: Longs) -> Program:
    """Return the program without couplers inside rows of ``index`` that keep a single key.

    No feasible point has both ends chosen.
    """
    c, o = program.constraints, program.objective
    single = index[c.rhs[index] == 1]
    if not len(single):
        return program
    owner = c.take(single).owners(len(program))
    keep = (owner[o.i] < 0) | (owner[o.i] != owner[o.j])
    if keep.all():
        return program
    objective = Quadratic(o.offset, o.linear, o.i[keep], o.j[keep], o.bias[keep])
    return program.replace(objective=objective)


def to_grids(program: Program, index: Longs) -> tuple[Program, Lift]:
    """Return the program with the rows ``index`` as grids, and the way back.

    Args:
        program: with bits in these rows, which stand in no other constraint.
        index: int64, rows that keep exactly k; their weight becomes that of the walls.
    """
    from scipy import sparse

    c, n = program.constraints, len(program)
    stays = c.take(index).owners(n) < 0
    constant, start = np.zeros(n), int(stays.sum())
    row: list[Array] = [np.flatnonzero(stays)]
    column, value = [np.arange(start)], [np.ones(start)]
    owners, walls = [], []
    for keys, k, rows, var in row_classes(program, index):
        grid = grid_of(keys, k)
        first = start + grid.size * np.arange(len(rows))
        constant[var] = grid.constant
        row.append(var[:, grid.key].ravel())
        column.append((first[:, None] + grid.bit).ravel())
        value.append(np.tile(grid.sign, len(rows)))
        owners.append(np.repeat(rows, grid.size))
        walls.append(_walls(c, rows, grid, first))
        start += grid.size * len(rows)
    entries = (np.concatenate(value), (np.concatenate(row), np.concatenate(column)))
    lift = Lift.of_matrix(sparse.csr_array(entries, shape=(n, start)), constant)
    variables = appended(program.variables.take(stays), ancillas(program, np.concatenate(owners)))
    others = np.ones(len(c), bool)
    others[index] = False
    changed = substitute(program.replace(constraints=c.take(others)), lift, variables)
    merged = Constraints.concatenate([changed.constraints, *walls])
    return changed.replace(constraints=merged), lift


def _walls(c: Constraints, rows: Longs, grid: Grid, first: Longs) -> Constraints:
    """Return ``lower - upper <= 0`` for every wall of grids that start at bits ``first``."""
    count = len(grid.lower)
    owner = np.repeat(rows, count)
    pair = np.stack([grid.lower, grid.upper], axis=1)
    order = np.argsort(pair, axis=1)
    var = np.take_along_axis(pair, order, axis=1)[None] + first[:, None, None]
    coef = np.take_along_axis(np.broadcast_to([1.0, -1.0], pair.shape), order, axis=1)
    return Constraints.over(
        2 * np.arange(len(owner) + 1),
        var.ravel(),
        np.tile(coef.ravel(), len(rows)),
        sense=Sense.LE,
        rhs=0.0,
        kind=Kind.WALL,
        head=c.head[owner],
        query=c.query[owner],
        bit=np.tile(np.arange(count), len(rows)),
        weight=c.weight[owner],
    )
