"""Insert penalties: constraints become energy, each with a weight of its own.

* A row that adds up to exactly k gets ``A (S - k)^2 + mu (S - k)``, S its sum, at the smallest A
  over mu that `qubo_attn.formulations.certificates` proves; its variables may be bits or whole
  numbers.
* A row that keeps at most k of its bits gets slack bits first. Where no addition below k can cost
  anything, it is an equality already. ``"unary"`` slack makes it an ordinary count. With
  ``"binary"`` slack a surplus falls by a removal, a deficit by setting the slack right, so
  A = max(down, 0) + D is sound. ``"unbalanced"`` (arXiv 2211.13914) takes no slack and promises
  nothing: the same A, with a slope that favours the bound.
* A row whose keys have levels behind gates, and the gates, are proven together.
* ``cardinality`` gives rows of exactly k bits another shape than the dense square: a ``"network"``
  of switches, or a ``"grid"`` of nested domain walls, which changes variables: a grid's bits take
  the place of the row's keys. ``"auto"`` leaves rows of heads with pair terms dense, as the square
  then costs no coupler, and gives others the shape that takes the fewest qubits on the topology.
* Any other constraint with whole coefficients is priced, with the rest of its connected block, at
  the range of the block's objective: sound for any constraint, tight for none. A wall between bits
  costs ``A u (1 - v)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.common.frozen import replaced
from qubo_attn.errors import InfeasibleError, InputError, PassError
from qubo_attn.formulations.cardinality import OPTIONS, Cardinality, cheapest, uncoupled
from qubo_attn.formulations.certificates import (
    BY_STEPS,
    SWITCHES,
    WALLS,
    certify,
    joined,
    step_costs,
    step_scale,
)
from qubo_attn.formulations.leveled import certify_levels
from qubo_attn.formulations.slack import add_slack
from qubo_attn.formulations.switches import to_networks
from qubo_attn.formulations.walls import to_grids, without_pairs
from qubo_attn.ir.columns import Kind, Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import (
    at_most_rows,
    bit_rows,
    exact_rows,
    leveled_rows,
    row_classes,
    sum_rows,
)
from qubo_attn.pipeline.pipeline import PRICED, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

AT_MOST = ("unary", "binary", "unbalanced")
# The proof that goes with each form of a row.
_PROOFS = np.array([BY_STEPS, SWITCHES, WALLS], np.int8)


@dataclass(frozen=True)
class InsertPenalties:
    """Price every constraint with the smallest weight a bound proves.

    Attributes:
        margin: how far infeasible points shall lie above the optimum, as a share of the row's
            largest cost of a corrective flip.
        at_most: what upper bounds get: ``"unary"`` slack (the default: coefficients of one size),
            ``"binary"`` slack (fewer bits), or ``"unbalanced"`` (no bits, no promise).
        relax: try the convex relaxation besides step costs; smaller weights, for about a
            third of a millisecond a row.
        linear: price dense rows that keep exactly k by a slope alone, A = 0, proven or not: no
            couplers. Rows without proof promise nothing; ``solve(multiplier_steps=)`` moves their
            slopes.
        cardinality: the shape of rows that keep exactly k bits: ``"dense"`` (the default: no
            variable changes), ``"network"``, ``"grid"``, or ``"auto"``, which `compile` uses.
        topology: of the machine that ``"auto"`` counts qubits on: ``"zephyr"`` (the default),
            ``"pegasus"``, or ``"all-to-all"``, where rows stay dense as couplers cost nothing.

    Example:
        Here a slope alone holds the row to one key, without any coupler:

        >>> from qubo_attn import InsertPenalties, Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... x[0,0,2] : 3
        ... pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1
        ... ''')
        >>> print(str(InsertPenalties().apply(program).program).splitlines()[-1])
        pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1 price 0 slope 1.5
    """

    margin: float = 0.05
    at_most: str = "unary"
    relax: bool = True
    linear: bool = False
    cardinality: str = "dense"
    topology: str = "zephyr"

    name: ClassVar[str] = "insert-penalties"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({PRICED})
    breaks: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})

    def __post_init__(self) -> None:
        if not (np.isfinite(self.margin) and self.margin >= 0):
            raise InputError(f"margin must be a number >= 0, not {self.margin}", margin=self.margin)
        if self.at_most not in AT_MOST:
            raise InputError(
                f"at_most must be one of {', '.join(AT_MOST)}, not {self.at_most!r}",
                at_most=self.at_most,
            )
        if self.cardinality not in OPTIONS:
            raise InputError(
                f"cardinality must be one of {', '.join(OPTIONS)}, not {self.cardinality!r}",
                cardinality=self.cardinality,
            )

    def apply(self, program: Program) -> Rewrite:
        """Return the program with every constraint priced.

        Raises:
            PassError: a constraint that cannot be priced; names it.
            InfeasibleError: a constraint that no assignment satisfies; names it.
        """
        if not len(program.constraints):
            return unchanged(program, "no constraints")
        bounded = at_most_rows(program)
        # Bounds that turn out to be equalities do so by their values: they keep one shape.
        exact = exact_rows(program)
        lift = Lift.identity(len(program))
        costs = None
        if bounded.any():
            program, bounded, costs = self._settle(program, bounded)
            if self.at_most != "unbalanced" and bounded.any():
                program, lift = add_slack(program, np.flatnonzero(bounded), self.at_most)
        bounded &= self.at_most != "unary"
        form, notes = self._forms(program, exact)
        program = without_pairs(program, np.flatnonzero(form == Cardinality.GRID))
        priced = self._price(program, lift, bounded, costs, form)
        return _shaped(priced, form, notes)

    def _forms(self, program: Program, exact: Bools) -> tuple[Array, tuple[str, ...]]:
        """Return the form of every constraint, and why."""
        form = np.full(len(exact), Cardinality.DENSE, np.int8)
        block, c = program.components, program.constraints
        # Only counts may share a block with a grid or a network: other prices know bits alone.
        others = np.unique(block[c.var[c.ptr[:-1][~sum_rows(program)]]])
        choice = exact & (c.rhs > 0) & (c.rhs < np.diff(c.ptr))
        index = np.flatnonzero(choice & ~np.isin(block[c.var[c.ptr[:-1]]], others))
        if self.cardinality == "dense" or not len(index):
            return form, ()
        if self.cardinality != "auto":
            form[index] = Cardinality[self.cardinality.upper()]
            return form, (f"{len(index)} rows as {self.cardinality}",)
        if self.topology == "all-to-all":
            return form, ("rows stay dense: couplers cost nothing on an all-to-all machine",)
        # Head by head: a row whose only pair term happens to be zero is not told from the others.
        coupled = c.head[index[~uncoupled(program, index)]]
        open_rows = index[~np.isin(c.head[index], coupled)]
        notes: dict[Cardinality, tuple[int, str]] = {}
        for (n, k), rows in row_classes(program, open_rows) if len(open_rows) else ():
            best, reason = cheapest(n, k, self.topology)
            form[rows] = best
            notes[best] = notes.get(best, (0, ""))[0] + len(rows), reason
        told = tuple(
            f"{count} rows as {best.name.lower()}, e.g. {reason}"
            for best, (count, reason) in sorted(notes.items())
        )
        dense = len(index) - len(open_rows)
        return form, told + ((f"{dense} rows have pair terms and stay dense",) if dense else ())

    def _settle(self, program: Program, bounded: Bools) -> tuple[Program, Bools, Floats]:
        """Turn bounds below which every addition is free into equalities; return removal costs."""
        c = program.constraints
        index = np.flatnonzero(bounded)
        up, down = step_costs(program, c.take(index))
        free = index[up <= 0]
        sense = c.sense.copy()
        sense[free] = Sense.EQ
        costs = np.zeros(len(c))
        costs[index] = np.maximum(down, 0)
        left = bounded.copy()
        left[free] = False
        return program.replace(constraints=replaced(c, sense=sense)), left, costs

    def _price(
        self, program: Program, lift: Lift, bounded: Bools, costs: Floats | None, form: Array
    ) -> Rewrite:
        c = program.constraints
        block = program.components
        exact = sum_rows(program) & ~bounded
        # A row that shares a block with another kind of constraint is priced like the others.
        leveled = leveled_rows(program)
        others = ~exact & ~bounded & ~leveled
        coarse = np.unique(block[c.var[c.ptr[:-1][others]]])
        mixed = np.isin(block[c.var[c.ptr[:-1]]], coarse)
        exact, bounded, others = exact & ~mixed, bounded & ~mixed, others | mixed
        weight, slope, margin = np.zeros(len(c)), np.zeros(len(c)), np.full(len(c), np.inf)
        proofs = []
        if exact.any():
            index = np.flatnonzero(exact)
            steps = step_costs(program, c.take(index))
            wanted = self.margin * step_scale(program, index, steps)
            methods = _PROOFS[form[index]]
            proofs.append(
                certify(program, index, wanted, relax=self.relax, methods=methods, costs=steps)
            )
        if leveled.any():
            proofs.append(certify_levels(program, np.flatnonzero(leveled), self.margin))
        for proof in proofs:
            weight[proof.index], slope[proof.index] = proof.weight, proof.slope
            margin[proof.index] = proof.margin
        if self.linear:
            loose = exact & (form == Cardinality.DENSE) & (weight > 0)
            margin[loose], weight[loose] = -np.inf, 0.0
            proofs = [proof.take(~loose[proof.index]) for proof in proofs]
        if bounded.any() and costs is not None:
            margin[bounded] = self.margin * np.where(costs[bounded] > 0, costs[bounded], 1.0)
            weight[bounded] = costs[bounded] + margin[bounded]
        if others.any():
            weight[others], margin[others] = self._price_others(program, others, block)
        shift = 0.0
        if self.at_most == "unbalanced" and bounded.any():
            # Zero at h = k - S = 0 and 1, below zero in between: -A h + A h^2.
            slope[bounded], margin[bounded] = weight[bounded], -np.inf
            k = c.rhs[bounded]
            shift = float((weight[bounded] * np.maximum(k * k - k, 0.25)).sum())
        note = f"weights {weight.min():.4g} to {weight.max():.4g}, median {np.median(weight):.4g}"
        return Rewrite(
            program.replace(constraints=replaced(c, weight=weight, slope=slope)),
            lift,
            bound=2 * shift,
            error=shift,
            margin=float(margin.min()),
            notes=(note,),
            certificates=joined(proofs) if proofs else None,
        )

    def _price_others(
        self, program: Program, others: Bools, block: np.ndarray
    ) -> tuple[Floats, Floats]:
        """Return weight and margin of other constraints: the range of their block."""
        c = program.constraints
        row = c.row
        reach = c.coef * program.variables.upper[c.var]
        most, least = (
            np.bincount(row, weights=clip(reach, 0), minlength=len(c))
            for clip in (np.maximum, np.minimum)
        )
        never = others & ((least > c.rhs + 1e-9) | ((c.sense == Sense.EQ) & (most < c.rhs - 1e-9)))
        if never.any():
            r = int(np.flatnonzero(never)[0])
            label = program.constraint_label(r)
            raise InfeasibleError(
                f"{label} cannot hold: its variables reach {least[r]:g} to {most[r]:g}, and its "
                f"right-hand side is {c.rhs[r]:g}",
                labels=(label,),
            )
        fractions = np.bincount(row[c.coef != np.rint(c.coef)], minlength=len(c)) > 0
        bad = others & (fractions | (c.rhs != np.rint(c.rhs)))
        walls = c.implications & bit_rows(program)
        walls |= c.kind == Kind.GATE
        open_side = others & (c.sense == Sense.LE) & ~walls
        for rows, reason in (
            (bad, "has coefficients that are not whole numbers; scale it first"),
            (open_side, "is an inequality that needs slack bits"),
        ):
            if rows.any():
                label = program.constraint_label(int(np.flatnonzero(rows)[0]))
                raise PassError(f"{label} {reason}", constraint=label)
        o = program.objective
        blocks = int(block.max()) + 1
        upper = program.variables.upper.astype(np.float64)
        span = np.bincount(block, weights=np.abs(o.linear) * upper, minlength=blocks)
        pairs = np.abs(o.bias) * upper[o.i] * upper[o.j]
        span += np.bincount(block[o.i], weights=pairs, minlength=blocks)
        width = span[block[c.var[c.ptr[:-1][others]]]]
        width = np.where(width > 0, width, 1.0)
        return (1 + self.margin) * width, self.margin * width


def _shaped(priced: Rewrite, form: Array, notes: tuple[str, ...]) -> Rewrite:
    """Return the rewrite with priced rows in the shape of their form."""
    program, lift = priced.program, priced.lift
    grids, networks = (
        np.flatnonzero(form == kind) for kind in (Cardinality.GRID, Cardinality.NETWORK)
    )
    if len(networks):
        program, step = to_networks(program, networks)
        lift = lift.then(step)
    if len(grids):
        # The rows of networks are gone by now, and those after them have moved up.
        program, step = to_grids(program, grids - np.searchsorted(networks, grids))
        lift = lift.then(step)
    return replace(priced, program=program, lift=lift, notes=priced.notes + notes)
