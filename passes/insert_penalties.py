"""Insert penalties: constraints become energy, each with a weight of its own.

* A row that adds up to exactly k gets ``A (S - k)^2 + mu (S - k)``, S its sum, at the smallest A
  over mu that `qubo_attn.formulations.proofs` proves; its variables may be bits or whole
  numbers.
* A row that keeps at most k of its bits gets slack bits first. Where no addition below k can cost
  anything, it is an equality already. ``"unary"`` slack makes it an ordinary count. With
  ``"binary"`` slack a surplus falls by a removal, a deficit by setting the slack right, so
  A = max(down, 0) + D is sound. ``"unbalanced"`` (arXiv 2211.13914) takes no slack and promises
  nothing: the same A, with a slope that favours the bound.
* A row whose keys have levels behind gates, and the gates, are proven together.
* ``cardinality`` gives rows of exactly k bits another shape than the dense square: a ``"network"``
  of switches, or a ``"grid"`` of nested domain walls. A grid changes variables: its bits take the
  place of the row's keys. ``"auto"`` leaves rows with pair terms dense, as the square then costs no
  coupler, and gives others the shape of `qubo_attn.formulations.cardinality.cheapest`.
* Any other constraint with whole coefficients is priced, with the rest of its block, at the range
  of the block's objective: sound for any. A wall of bits costs ``A u (1 - v)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple, cast

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.common.checks import MOST_UNITS, flag, number, one_of
from qubo_attn.common.frozen import replaced
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.vocabulary import CARDINALITIES, TOPOLOGIES
from qubo_attn.common.words import plural
from qubo_attn.formulations.cardinality import Cardinality, choose
from qubo_attn.formulations.carried import (
    check_carried,
    drowned_rows,
    row_sizes,
    short_of_rounding,
    usual_sizes,
)
from qubo_attn.formulations.certificates import Certificates, certify, certify_levels, joined
from qubo_attn.formulations.others import check_others, component_ranges
from qubo_attn.formulations.proofs import step_costs, step_scale
from qubo_attn.formulations.slack import add_slack, below_zero
from qubo_attn.formulations.switches import to_networks
from qubo_attn.formulations.walls import to_grids, without_pairs
from qubo_attn.formulations.warm import TEMPERATURES, asked_margin, warmed
from qubo_attn.formulations.warm_rest import OF_LEVELS, short_of_warmth
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import (
    at_most_rows,
    exact_rows,
    kinds_of,
    row_components,
    sum_rows,
)
from qubo_attn.pipeline.pipeline import PRICED, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

SHARE = 0.05
AT_MOST = ("unary", "binary", "unbalanced")


class Prices(NamedTuple):
    """Prices of some constraints.

    Attributes:
        weight, slope: A and mu of each.
        margin: least distance of points that break it above the optimum; -inf without a promise.
        proofs: what proves them, where that can be checked again.
        note: what a reader should know of them.
    """

    weight: Floats
    slope: Floats
    margin: Floats
    proofs: tuple[Certificates, ...] = ()
    note: str = ""


@named_fields
@dataclass(frozen=True)
class InsertPenalties:
    """Price every constraint with the smallest weight a bound proves.

    Attributes:
        margin: how far infeasible points shall lie above the optimum, as a share of the row's
            largest cost of a corrective flip. ``"auto"``: a number of temperatures, where
            ``temperature`` says how warm the machine is (`qubo_attn.formulations.warm`), else a
            share of 0.05.
        at_most: what upper bounds get: ``"unary"`` slack (the default: coefficients of one size),
            ``"binary"`` slack (fewer bits), or ``"unbalanced"`` (no bits, no promise).
        relax: try the convex relaxation besides step costs: smaller weights, but slower.
        linear: price dense rows that keep exactly k by a slope alone, A = 0, proven or not: no
            couplers. Rows without proof promise nothing; ``solve(multiplier_steps=)`` moves their
            slopes.
        cardinality: the shape of rows that keep exactly k bits: ``"dense"`` (the default: no
            variable changes), ``"network"``, ``"grid"``, or ``"auto"``, which `compile` uses.
        topology: of the machine that ``"auto"`` counts qubits on: ``"zephyr"`` (the default),
            ``"pegasus"``, or ``"all-to-all"``, where rows stay dense as couplers cost nothing.
        temperature: of the machine, in units of a field; None where there is none.
        aim: temperature that reads shall have at least, in units of the objective; 0 for none.

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

    margin: float | str = "auto"
    at_most: str = "unary"
    relax: bool = True
    linear: bool = False
    cardinality: str = "dense"
    topology: str = "zephyr"
    temperature: float | None = None
    aim: float = 0.0

    name: ClassVar[str] = "insert-penalties"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({PRICED})
    breaks: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})

    def __post_init__(self) -> None:
        if not (isinstance(self.margin, str) and self.margin == "auto"):
            object.__setattr__(self, "margin", number("margin", self.margin, 0, MOST_UNITS))
        if self.temperature is not None:
            warmth = number("temperature", self.temperature, 1e-6, 1e6)
            object.__setattr__(self, "temperature", warmth)
        object.__setattr__(self, "aim", number("aim", self.aim, 0, MOST_UNITS))
        one_of("at_most", self.at_most, AT_MOST)
        for name in ("relax", "linear"):
            object.__setattr__(self, name, flag(name, getattr(self, name)))
        one_of("cardinality", self.cardinality, CARDINALITIES)
        one_of("topology", self.topology, TOPOLOGIES)

    @property
    def is_warm(self) -> bool:
        """Whether margins are in units of the machine's temperature."""
        return self._warmth is not None

    @property
    def _warmth(self) -> float | None:
        return self.temperature if self.margin == "auto" else None

    @property
    def share(self) -> float:
        """Margin as a share of the largest cost of a corrective flip."""
        if isinstance(self.margin, str):
            # On a warm machine, this only tells rows without any objective from infeasible points.
            return 1e-3 if self.is_warm else SHARE
        return self.margin

    def apply(self, program: Program) -> Rewrite:
        """Return the program with every constraint priced.

        Raises:
            PassError: a constraint that cannot be priced; names it.
            InfeasibleError: a constraint that no assignment satisfies; names it.
        """
        if not len(program.constraints):
            return unchanged(program, "no constraints")
        # Bounds that turn out to be equalities do so by their values: they keep one shape.
        exact = exact_rows(program)
        program, lift, bounded, removal = self._without_bounds(program)
        form, notes = self._forms(program, exact)
        grids = np.flatnonzero(form == Cardinality.GRID)
        program = without_pairs(program, np.union1d(grids, drowned_rows(program)))
        sums, leveled, bounds, others = kinds_of(program, bounded)
        sizes = row_sizes(program)
        kinds: list[tuple[Longs, Callable[[Program, Longs, Floats], Prices]]] = [
            (sums, partial(self._price_sums, form=form)),
            (leveled, self._price_levels),
            (bounds, partial(self._price_bounds, removal=removal)),
            (others, self._price_by_range),
        ]
        c = program.constraints
        weight, slope, margin = np.zeros(len(c)), np.zeros(len(c)), np.zeros(len(c))
        proofs: list[Certificates] = []
        for rows, price in kinds:
            if len(rows):
                prices = price(program, rows, sizes[rows])
                weight[rows], slope[rows], margin[rows] = prices[:3]
                proofs += prices.proofs
                notes += (prices.note,) if prices.note else ()
        if self.share > 0:
            short = short_of_rounding(program, sizes, weight, slope, margin)
            weight, margin = weight + short, margin + short
            proofs = [proof.raised(short[proof.index]) for proof in proofs]
        check_carried(program, sizes, weight, slope)
        error = below_zero(c.rhs[bounds], weight[bounds]) if self.at_most == "unbalanced" else 0.0
        note = f"weights {weight.min():.4g} to {weight.max():.4g}, median {np.median(weight):.4g}"
        priced = Rewrite(
            program.replace(constraints=replaced(c, weight=weight, slope=slope)),
            lift,
            bound=2 * error,
            error=error,
            margin=float(margin.min()),
            notes=(note, *notes),
            certificates=joined(proofs) if proofs else None,
        )
        return _shaped(priced, form)

    def _without_bounds(self, program: Program) -> tuple[Program, Lift, Bools, Floats]:
        """Turn upper bounds on counts into equalities, as far as they can be.

        Returns:
            The program, the way back, which constraints are upper bounds or were before slack that
            is not unary, and the cost of a removal from each.
        """
        lift, removal = Lift.identity(len(program)), np.zeros(len(program.constraints))
        bounded = at_most_rows(program)
        if bounded.any():
            program, bounded, removal = _settled(program, np.flatnonzero(bounded))
        if bounded.any() and self.at_most != "unbalanced":
            program, lift = add_slack(program, np.flatnonzero(bounded), self.at_most)
        # With unary slack a bound is a sum like any other.
        return program, lift, bounded & (self.at_most != "unary"), removal

    def _forms(self, program: Program, exact: Bools) -> tuple[Array, tuple[str, ...]]:
        """Return the form of every constraint, and why."""
        form = np.full(len(exact), Cardinality.DENSE, np.int8)
        c, alone = program.constraints, sum_rows(program)
        if not alone.all():
            # Only counts may share a component with a grid or a network: other prices know bits
            # alone.
            component = row_components(program)
            alone = ~np.isin(component, component[~alone])
        index = np.flatnonzero(exact & alone & (c.rhs > 0) & (c.rhs < np.diff(c.ptr)))
        if self.cardinality == "dense" or not len(index):
            return form, ()
        if self.cardinality != "auto":
            form[index] = Cardinality[self.cardinality.upper()]
            return form, (f"{plural(len(index), 'row', 'd')} as {self.cardinality}",)
        if self.topology == "all-to-all":
            return form, ("rows stay dense: couplers cost nothing on an all-to-all machine",)
        form[index], notes = choose(program, index, self.topology, self._warmth)
        return form, notes

    def _price_sums(self, program: Program, index: Longs, size: Floats, form: Array) -> Prices:
        """Return prices of rows that add up to exactly k."""
        costs, shape = step_costs(program, program.constraints.take(index)), form[index]
        note = ""
        scale = step_scale(costs, usual_sizes(program, index, size))
        margin = self.share * scale
        asked = asked_margin(margin, scale, shape) if self.is_warm else margin
        proof = certify(program, index, asked, relax=self.relax, form=shape, costs=costs)
        if self.is_warm:
            proof, heat = replace(proof, margin=margin), cast(float, self.temperature)
            proof, note = warmed(proof, costs, self.topology, heat, self.aim)
            margin = proof.margin
        if not self.linear:
            return Prices(proof.weight, proof.slope, margin, (proof,), note)
        loose = (shape == Cardinality.DENSE) & (proof.weight > 0)
        weight, margin = np.where(loose, 0.0, proof.weight), np.where(loose, -np.inf, margin)
        return Prices(weight, proof.slope, margin, (proof.take(~loose),))

    def _price_levels(self, program: Program, index: Longs, size: Floats) -> Prices:
        """Return prices of rows whose keys have levels, and of the gates of these."""
        proof = certify_levels(program, index, self.share)
        prices = proof.weight, proof.slope, proof.margin
        what = "constraint", " of rows with levels"
        more, note = self._more(program, index, prices, what, OF_LEVELS)
        proof = proof.raised(more)
        return Prices(proof.weight, proof.slope, proof.margin, (proof,), note)

    def _price_bounds(
        self, program: Program, index: Longs, size: Floats, removal: Floats
    ) -> Prices:
        """Return prices of upper bounds, with binary slack or without any."""
        cost = removal[index]
        usual = usual_sizes(program, index, size)
        margin = self.share * np.where(cost > 0, cost, np.where(usual > 0, usual, 1.0))
        nothing = np.zeros(len(index))
        prices = cost + margin, nothing, margin
        more, note = self._more(program, index, prices, ("bound", f", {self.at_most}"))
        margin, weight = margin + more, cost + margin + more
        if self.at_most == "unbalanced":
            return Prices(weight, weight, np.full(len(index), -np.inf))
        return Prices(weight, nothing, margin, (), note)

    def _price_by_range(self, program: Program, index: Longs, size: Floats) -> Prices:
        """Return prices of any other constraints: the range of their component's objective."""
        check_others(program, index)
        width = component_ranges(program)[row_components(program)[index]]
        width = np.where(width > 0, width, 1.0)
        nothing, margin = np.zeros(len(index)), self.share * width
        prices = width + margin, nothing, margin
        more, note = self._more(program, index, prices, ("other constraint",))
        return Prices(width + margin + more, nothing, margin + more, (), note)

    def _more(
        self,
        program: Program,
        index: Longs,
        prices: tuple[Floats, Floats, Floats],
        what: tuple[str, ...],
        temperatures: float = TEMPERATURES,
    ) -> tuple[Floats, str]:
        """Return what margins lack on a warm machine, and what they are then."""
        warmth = self.topology, self._warmth, self.aim, what, temperatures
        return short_of_warmth(program, index, prices, *warmth)


def _settled(program: Program, index: Longs) -> tuple[Program, Bools, Floats]:
    """Turn upper bounds below which every addition is free into equalities.

    Returns:
        The program, which constraints are upper bounds still, and the cost of a removal from each.
    """
    c = program.constraints
    up, down = step_costs(program, c.take(index))
    sense, bounded, removal = c.sense.copy(), np.zeros(len(c), bool), np.zeros(len(c))
    sense[index[up <= 0]] = Sense.EQ
    bounded[index[~(up <= 0)]] = True
    removal[index] = np.maximum(down, 0)
    return program.replace(constraints=replaced(c, sense=sense)), bounded, removal


def _shaped(priced: Rewrite, form: Array) -> Rewrite:
    """Return the rewrite with priced rows in the shape of their form."""
    program, lift = priced.program, priced.lift
    networks, grids = (
        np.flatnonzero(form == kind) for kind in (Cardinality.NETWORK, Cardinality.GRID)
    )
    if len(networks):
        program, step = to_networks(program, networks)
        lift = lift.then(step)
    if len(grids):
        # The rows of networks are gone by now, and those after them have moved up.
        program, step = to_grids(program, grids - np.searchsorted(networks, grids))
        lift = lift.then(step)
    return replace(priced, program=program, lift=lift)
