"""Instances drawn from sources: which rows, compiled how, and what is proven of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Longs
from qubo_attn.compiled import CompiledAttention
from qubo_attn.compiler import compile
from qubo_attn.errors import PassError
from qubo_attn.formulations.certificates import Method
from qubo_attn.instances.instance import Instance, Price
from qubo_attn.instances.recipes import RECIPES, Recipe
from qubo_attn.instances.sources import Source
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.solving.lowest import lowest_energies
from qubo_attn.solving.parted import Lowest

# Second energies lie at least so many times the rounding above the lowest.
_APART = 100.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows that were drawn.

    Attributes:
        recipe: how they are compiled.
        source: their file.
        heads, queries: of the file, ascending.
        keys: that a row keeps.
        slots: most keys that a row chooses from.
    """

    recipe: Recipe
    source: Source
    heads: Longs
    queries: Longs
    keys: int
    slots: int

    @property
    def what(self) -> tuple[object, ...]:
        """What tells it from other draws."""
        rows = tuple(self.heads.tolist()), tuple(self.queries.tolist())
        return self.recipe, self.source.file, *rows, self.keys, self.slots

    def compile(self, *, constrained: bool = False) -> CompiledAttention:
        """Compile the rows for no machine, or for one that keeps constraints itself."""
        return compile(
            select=self.recipe.select(self.keys),
            objective=self.recipe.objective,
            slots=self.slots,
            target=Target.all_to_all(native=("linear",)) if constrained else None,
            **self.recipe.options(),
            **self.source.arrays(self.heads, self.queries),
        )


def fitting(sources: list[Source]) -> list[Recipe]:
    """Return the recipes whose arrays some source holds."""
    return [recipe for recipe in RECIPES if any(s.holds(recipe.needs) for s in sources)]


def draw(
    generator: np.random.Generator, sources: list[Source], recipe: Recipe, sizes: tuple[int, int]
) -> Drawn | None:
    """Draw rows for a recipe; None where no row is as long as the size drawn.

    Args:
        generator: of all choices.
        sources: to draw from.
        recipe: what is made of them.
        sizes: least and most bits.
    """
    sources = [source for source in sources if source.holds(recipe.needs)]
    each = recipe.bits * recipe.rows
    most = min(sizes[1], each * max(source.longest for source in sources))
    if most < sizes[0]:
        return None
    slots = int(generator.integers(sizes[0], most + 1)) // each
    numbers = [keys for keys in recipe.keys if keys + 1 < slots]
    long = [source for source in sources if source.longest >= slots]
    if not numbers or not long:
        return None
    keys = int(generator.choice(numbers))
    if recipe.kind == "at-most":  # as many bits of slack
        slots -= keys
    source = long[generator.integers(len(long))]
    rows = _rows(source, recipe, slots)
    if not rows or slots < keys + 2:
        return None
    heads, starts = rows[generator.integers(len(rows))]
    first = int(generator.choice(starts))
    queries = np.arange(first, first + recipe.queries)
    seen = source.attention.visible[np.ix_(heads, queries)]
    if recipe.kind == "tied" and (seen != seen[:1, :1]).any():
        return None  # rows that share a selection must see the same keys
    return Drawn(recipe, source, heads, queries, keys, slots)


def _rows(source: Source, recipe: Recipe, slots: int) -> list[tuple[Longs, Longs]]:
    """Return heads, and first queries of theirs, whose rows have enough keys.

    Heads are neighbours, of one key/value head where some of a file share one.
    """
    counts, owner = source.attention.counts, source.owner
    shared = len(np.unique(owner)) < len(owner)
    found = []
    for first in range(len(owner) - recipe.heads + 1):
        heads = np.arange(first, first + recipe.heads)
        if shared and (owner[heads] != owner[first]).any():
            continue
        long = (counts[heads] >= slots).all(axis=0)
        run = np.convolve(long, np.ones(recipe.queries, np.int64), "valid")
        if len(starts := np.flatnonzero(run == recipe.queries)):
            found.append((heads, starts))
    return found


def instance_of(
    drawn: Drawn, name: str, sizes: tuple[int, int]
) -> tuple[Instance, CompiledAttention, CompiledAttention] | str:
    """Return an instance of what was drawn, without files, and how it is compiled.

    Args:
        drawn: the rows.
        name: of the files, without number.
        sizes: least and most bits.

    Returns:
        The instance; its compilation, and that of the same rows with their constraints. Or why
        there is none, in a few words.
    """
    compiled = drawn.compile()
    program = compiled.program
    if not sizes[0] <= len(program) <= sizes[1]:
        return "of another size than asked for"
    form = program.total()
    if kernels.connected_components(len(program), form.i, form.j).max():
        return "in independent parts"
    certificates, margin = _certificates(compiled)
    lowest = lowest_energies(program, margin=margin or 0.0)
    if lowest is None:
        return "not proven"
    if lowest.second is not None and lowest.second - lowest.energy < _APART * lowest.rounding:
        return "energies that rounding hardly tells apart"
    made = Instance(
        name=f"{name}-{drawn.recipe.kind}-{drawn.recipe.objective}-n{len(program)}",
        **_facts(drawn),
        variables=len(program),
        couplers=len(form),
        offset=float(form.offset),
        **_proven(lowest),
        selection=_selection(compiled, drawn, lowest.state),
        penalties=_prices(program),
        certificates=certificates,
        margin=margin,
        files={},
    )
    return made, compiled, drawn.compile(constrained=True)


def _facts(drawn: Drawn) -> dict[str, Any]:
    recipe, stated = drawn.recipe, drawn.source.stated
    return {
        "kind": recipe.kind,
        "objective": recipe.objective,
        "select": str(recipe.select(drawn.keys)),
        "source": drawn.source.file,
        "model": stated["model"],
        "layer": stated["layer"],
        "licence": stated["licence"],
        "heads": tuple(drawn.heads.tolist()),
        "queries": tuple(drawn.queries.tolist()),
        "slots": drawn.slots,
    }


def _proven(lowest: Lowest) -> dict[str, Any]:
    facts = lowest._asdict()
    facts |= {name: _text(facts[name]) for name in ("state", "second_state")}
    if lowest.second is None:
        facts["second_state"] = ""
    return facts


def _text(state: Array) -> str:
    return "".join(map(str, state.astype(int).tolist()))


def _selection(
    compiled: CompiledAttention, drawn: Drawn, state: Array
) -> tuple[tuple[int | None, int | None, int, int], ...]:
    """Return (head, query, key, level) of what a state keeps, by the file's numbers."""
    open_ = compiled.stages[compiled.unpriced].program.variables
    point = compiled.lift_to(compiled.unpriced).lift(state[None])[0]
    # A key's bit and its level are two variables of one place.
    level: dict[tuple[int | None, int | None, int], int] = {}
    for v in np.flatnonzero(point).tolist():
        head, query, key = (int(column[v]) for column in (open_.head, open_.query, open_.key))
        place = (
            int(drawn.heads[head]) if head >= 0 else None,
            int(drawn.queries[query]) if query >= 0 else None,
            key,
        )
        if key >= 0:
            level[place] = max(level.get(place, 0), int(point[v]))
    return tuple((*place, value) for place, value in level.items())


def _prices(program: Program) -> tuple[Price, ...]:
    c = program.constraints
    return tuple(
        Price(c.label(row), float(c.weight[row]), float(c.slope[row])) for row in range(len(c))
    )


def _certificates(compiled: CompiledAttention) -> tuple[tuple[Price, ...], float | None]:
    """Return what proves prices, and the margin where all are proven."""
    try:
        proofs = compiled.certificates
    except PassError:
        return (), None
    columns = proofs.labels, proofs.weight, proofs.slope, proofs.margin, proofs.method
    rows = tuple(
        Price(label, float(weight), float(slope), float(margin), Method(method).name.lower())
        for label, weight, slope, margin, method in zip(*columns, strict=True)
    )
    complete = len(proofs) == len(proofs.program.constraints) and not proofs.recheck()
    return rows, float(proofs.margin.min()) if complete else None
