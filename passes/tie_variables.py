"""Tie variables: one selection shared by a group of heads, or by all queries of a head.

Tied variables are equal in every solution, so one variable stands for them all: ``x_v = x_r`` for
the first member r of v's group. The energies of the group add up, and constraints that become
equal are merged before anybody prices them; pricing both would pay twice. Tying asks for more than
the program did, so the optimum may rise: by design, not by loss.

Groups are given, are the query heads of one key/value head, or are found: heads whose ``k`` keys of
largest softmax mass overlap, by complete linkage, so that every two heads of a group do. How far
the optimum rises by groups that were found is bounded (`qubo_attn.formulations.tying.tie_bound`).

A soft tie leaves the heads apart and prices what they disagree in: between neighbours h, g of a
group every key that both see costs ``s u (z_h - z_g)^2``, with u as in
`qubo_attn.frontend.coupling`. It is zero where the heads agree, so the optimum lies between those
of no tie and of a hard one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Ints, numbers_to, own_array
from qubo_attn.common.checks import MOST_UNITS, flag, number, several, share, whole
from qubo_attn.common.frozen import replaced
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.errors import InputError
from qubo_attn.formulations.tying import check_rows, find_groups, price_differences, tie_bound
from qubo_attn.ir.columns import Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.substitute import substitute
from qubo_attn.ir.ties import Groups, Ties, head_groups
from qubo_attn.pipeline.pipeline import OWN_ENERGIES, UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite


@named_fields
@dataclass(frozen=True)
class TieVariables:
    """Make the selections of a group equal.

    Attributes:
        groups: heads to tie, e.g. ``((0, 1), (2, 3))``; heads in no group stay alone.
        queries: also tie all queries of a head (or of its group).
        overlap: find the groups instead: least share, above 0 up to 1, of their ``k`` top keys that
            every two heads of a group have in common, mean over queries.
        k: keys of largest softmax mass that ``overlap`` compares.
        strength: make it a soft tie of the heads: what a key costs that one head keeps and the next
            does not, in units of falling back on the next best keys. None ties hard. Queries are
            tied hard in any case.

    Example:
        >>> from qubo_attn import TieVariables
        >>> TieVariables.from_kv_head([0, 0, 1, 1]).groups
        ((0, 1), (2, 3))
    """

    groups: Groups = ()
    queries: bool = False
    overlap: float | None = None
    k: int = 8
    strength: float | None = None

    name: ClassVar[str] = "tie-variables"
    needs: ClassVar[frozenset[Fact]] = frozenset({OWN_ENERGIES, UNPRICED, WHOLE_ROWS})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", head_groups("TieVariables", self.groups))
        object.__setattr__(self, "queries", flag("queries", self.queries))
        object.__setattr__(self, "k", whole("k", self.k, least=1))
        if self.strength is not None:
            object.__setattr__(self, "strength", number("strength", self.strength, 0, MOST_UNITS))
        if self.overlap is None:
            return
        if self.groups:
            raise InputError("give groups= or overlap= to TieVariables, not both")
        # 0 would tie all heads.
        object.__setattr__(self, "overlap", share("overlap", self.overlap, positive=True))

    @classmethod
    def from_kv_head(
        cls, kv_head: ArrayLike, *, queries: bool = False, strength: float | None = None
    ) -> TieVariables:
        """Tie the query heads that share a key/value head.

        Args:
            kv_head: int, shape (H,), the key/value head of each query head.
            queries: also tie all queries.
            strength: of a soft tie; hard when None.
        """
        owner = np.array([whole("kv_head", head) for head in several("kv_head", kv_head)])
        groups = (tuple(np.flatnonzero(owner == kv).tolist()) for kv in np.unique(owner))
        return cls(tuple(group for group in groups if len(group) > 1), queries, strength=strength)

    def resolved(self, variables: Variables) -> Ties:
        """Return the ties, with groups found among ``variables`` where they are not given.

        Raises:
            PassError: groups are to be found and a key carries no softmax mass.
        """
        soft = self.strength is not None
        if self.overlap is None:
            return Ties(self.groups, self.queries, soft)
        groups, notes = find_groups(variables, self.overlap, self.k, queries=self.queries)
        return Ties(groups, self.queries, soft, notes)

    def apply(self, program: Program, ties: Ties | None = None) -> Rewrite:
        """Return the tied program.

        Args:
            program: no constraint priced, every key of every row still there.
            ties: what `resolved` returned of the same variables; found here when None.

        Raises:
            PassError: rows that no one selection serves; names head, query and key.
            InfeasibleError: tied rows that are to keep different numbers of keys.
        """
        ties = self.resolved(program.variables) if ties is None else ties
        leader = ties.leaders(program.variables)
        check_rows(program, ties, leader)
        tied, lift = _merge(program, leader)
        merged = len(program) - len(tied)
        notes, bound, error = ties.notes, 0.0, 0.0
        if merged:
            rows = len(program.constraints) - len(tied.constraints)
            notes += (
                f"{plural(merged, 'variable', 'd')} and {plural(rows, 'constraint', 'd')} merged",
            )
        if ties.soft and ties.groups:
            tied, error, note = price_differences(tied, ties, float(self.strength or 0.0))
            bound = error
            notes += (note,)
        elif not merged:
            notes += ("nothing to tie",)
        elif self.overlap is not None and not ties.soft:
            rise = tie_bound(program, leader)
            if rise is None:
                notes += ("the rise of the optimum is not bounded: rows without a count",)
            else:
                bound = rise
                notes += (f"the optimum rises by {rise:.4g} at most",)
        return Rewrite(tied, lift, bound, restricts=merged > 0, notes=notes, error=error)


def _merge(program: Program, leader: Ints) -> tuple[Program, Lift]:
    """Put the first variable of those tied in the place of all, and return the way back."""
    leads = leader == numbers_to(len(program) + 1)[:-1]
    first, source = np.flatnonzero(leads), (np.cumsum(leads, dtype=np.int32) - 1)[leader]
    if len(first) == len(program):
        return program, Lift.identity(len(program))
    lift = Lift.select(own_array(source), len(first))
    mass = np.bincount(source, weights=program.variables.mass, minlength=len(first))
    variables = replaced(program.variables.take(first), mass=mass)
    return substitute(program, lift, variables), lift
