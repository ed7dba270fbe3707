"""Rows split into a block that is left to choose and keys that are held where they are.

If all keys but a block S of a component are held at a point z, what is left is exact. Held keys add
``sum_j b_ij z_j`` to the linear coefficient of each key i of S. A count of k keys becomes one of k
minus the held ones. So a choice of as many keys of S as z has there is a choice of k keys of the
row, at the energy of the row.

The keys of S are those whose exchange promises most. Let ``c_i = a_i + sum_j b_ij z_j``, what key i
costs beside the others. An exchange of a kept i for a j costs ``c_j - c_i - b_ij``. So S takes the
kept keys of largest c and the others of smallest c, half of each as far as there are so many. Half
of these places are for the best of all. For the rest, keys that no block had since the row was last
bettered come first, so all have their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Bytes, Floats, Longs
from qubo_attn.common.frozen import replaced
from qubo_attn.errors import PassError
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Terms
from qubo_attn.ir.rows import bit_rows
from qubo_attn.ir.substitute import fix

# Couplers that are worked out at once where they are late.
_AT_ONCE = 2_000_000


class Held(NamedTuple):
    """Where rows stand between two rounds.

    Attributes:
        point: float64, shape (n,), a point that holds every constraint.
        turn: uint8, shape (n,): 0 where no block had the variable since its component last
            improved. 1 where the block that improved it had the variable. 2 where a later block
            had, or where the block is proven to be at its optimum.
    """

    point: Floats
    turn: Bytes


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """How the rows of a program are split; the same for every point.

    Attributes:
        component: int64, shape (n,).
        split: bool, which components are larger than a block.
        rows: int64, the counts of split components.
        take: int64, how many keys of each of these a block has.
        count: int64, how many of them it may keep at most, or exactly.
    """

    component: Longs
    split: Bools
    rows: Longs
    take: Longs
    count: Longs

    @classmethod
    def of(cls, program: Program, block: int) -> SplitPlan:
        """Return the plan of a program.

        Raises:
            PassError: a component is too large and more than counts of bits; names its head, query.
        """
        component, c = program.components, program.constraints
        split = np.bincount(component) > block
        counts = program.count_rows & bit_rows(program)
        inside = split[component]
        owned = np.zeros(len(program), bool)
        owned[c.var[counts[c.row]]] = True
        odd = np.flatnonzero(inside & ~owned)
        if len(odd):
            raise _unsplit(program, int(odd[0]), "is in no count of keys of its own")
        rows = np.flatnonzero(counts & inside[c.var[np.minimum(c.ptr[:-1], len(c.var) - 1)]])
        owner, size = component[c.var[c.ptr[rows]]], np.diff(c.ptr)[rows]
        sharers = np.bincount(owner, minlength=len(split))
        take = np.minimum(size, block // np.maximum(sharers, 1)[owner])
        if (take < 2).any():
            short = int(c.var[c.ptr[rows[np.argmin(take)]]])
            raise _unsplit(
                program, short, f"is one of {sharers[component[short]]} rows that are joined"
            )
        keep = np.rint(c.rhs[rows]).astype(np.int64)
        most = np.minimum(keep, take)
        count = np.clip(take // 2, np.maximum(take - (size - keep), 0), most)
        return cls(component, split, rows, take, count)

    def start(self, program: Program) -> Held:
        """Return the point that keeps the keys of largest softmax mass in every count.

        Where a key has no mass, its own gain stands for it. What is not split is left at zero.
        """
        c, v = program.constraints, program.variables
        part = c.take(self.rows)
        gain = np.where(np.isnan(v.mass), -program.objective.linear, v.mass)[part.var]
        order = np.lexsort((-gain, part.row))
        rank = np.arange(len(order)) - part.ptr[part.row]
        point = np.zeros(len(program))
        point[part.var[order]] = rank < np.rint(part.rhs)[part.row]
        return Held(point, np.zeros(len(program), np.uint8))

    def shaken(self, program: Program, point: Floats, random: np.random.Generator) -> Floats:
        """Return a point with a third of the kept keys of every count exchanged at random."""
        part = program.constraints.take(self.rows)
        var, row = part.var, part.row
        kept, size = point[var] > 0.5, np.diff(part.ptr)
        number = np.bincount(row, weights=kept, minlength=len(part)).astype(np.int64)
        order = np.lexsort((random.random(len(var)), ~kept, row))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - part.ptr[row]
        rank = np.where(kept, rank, rank - number[row])
        moves = var[rank < np.minimum(-(-number // 3), size - number)[row]]
        after = point.copy()
        after[moves] = 1.0 - point[moves]
        return after

    def open(self, program: Program, held: Held) -> Bools:
        """Return which variables are left to choose, bool, shape (n,)."""
        part = program.constraints.take(self.rows)
        var, row = part.var, part.row
        kept, turn = held.point[var] > 0.5, held.turn[var]
        cost = effective_costs(program, held.point)[var]
        number = np.bincount(row, weights=kept, minlength=len(part)).astype(np.int64)
        # Of at most k keys, those that are still free count as kept ones of the block.
        free = np.rint(part.rhs).astype(np.int64) - number
        inner = np.maximum(self.count - free, 0)
        room = np.where(kept, inner[row], (self.take - inner)[row])

        def ranks(*keys: Array) -> Longs:
            """Return the rank of each key among the kept ones of its row, or among the others."""
            order = np.lexsort((*keys, ~kept, row))
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order)) - part.ptr[row]
            return np.where(kept, rank, rank - number[row])

        promise = np.where(kept, -cost, cost)
        always = ranks(promise) < room // 2
        open_ = ~self.split[self.component]
        open_[var] = ranks(promise, turn, ~always) < room
        return open_

    def narrowed(self, program: Program, held: Held, open_: Bools) -> tuple[Program, Lift]:
        """Return the program of the variables that are open, the others held, and the way back."""
        c = program.constraints
        kept = np.where(open_, 0.0, held.point)
        outside = np.bincount(c.row, weights=c.coef * kept[c.var], minlength=len(c))
        rhs = c.rhs.copy()
        # Bounds ask every block for the same count: less than all that is free, at times.
        bounded = c.sense[self.rows] == Sense.LE
        rhs[self.rows[bounded]] = (outside[self.rows] + self.count)[bounded]
        bound = program.replace(constraints=replaced(c, rhs=rhs))
        return fix(bound, ~open_, held.point)


def effective_costs(program: Program, point: Floats) -> Floats:
    """Return what each key costs beside those that are kept, ``a_i + sum_j b_ij z_j``."""
    o, n = program.objective, len(program)
    cost = np.array(o.linear)
    if not o.is_late:
        return cost + _pulls(o.terms, point, n)
    component = program.components
    sizes = np.bincount(component).astype(np.float64)
    part = (np.cumsum(sizes * sizes / 2) // _AT_ONCE)[component]
    for number in np.unique(part):
        index = np.flatnonzero(part == number)
        cost[index] += _pulls(o.among(index), point[index], len(index))
    return cost


def component_energies(program: Program, point: Floats) -> Floats:
    """Return the objective of each component at a point, constants excluded."""
    # Every coupler of two kept keys is in the costs of both.
    linear = program.objective.linear
    value = 0.5 * point * (linear + effective_costs(program, point))
    return np.asarray(np.bincount(program.components, value), np.float64)


def _pulls(terms: Terms, point: Floats, n: int) -> Floats:
    """Return what the kept keys add to the cost of each one."""
    to_first = np.bincount(terms.i, weights=terms.bias * point[terms.j], minlength=n)
    to_second = np.bincount(terms.j, weights=terms.bias * point[terms.i], minlength=n)
    return np.asarray(to_first + to_second, np.float64)


def _unsplit(program: Program, variable: int, reason: str) -> PassError:
    """Return the error of a component that no block can be taken from."""
    v = program.variables
    head, query = int(v.head[variable]), int(v.query[variable])
    return PassError(
        f"rows cannot be split at {program.label(variable)}, which {reason}: decompose= takes rows "
        "that keep keys or not, by counts, and at least two keys of every row that is joined",
        head=head,
        query=query,
    )
