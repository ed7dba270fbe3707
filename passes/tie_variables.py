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

import dataclasses
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Ints, Longs
from qubo_attn.common.frozen import replaced
from qubo_attn.errors import InputError
from qubo_attn.formulations.tying import check_rows, find_groups, soften, tie_bound
from qubo_attn.ir.columns import Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.substitute import substitute
from qubo_attn.pipeline.pipeline import OWN_ENERGIES, UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged


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

    groups: tuple[tuple[int, ...], ...] = ()
    queries: bool = False
    overlap: float | None = None
    k: int = 8
    strength: float | None = None

    name: ClassVar[str] = "tie-variables"
    needs: ClassVar[frozenset[Fact]] = frozenset({OWN_ENERGIES, UNPRICED, WHOLE_ROWS})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        members = [head for group in self.groups for head in group]
        odd = [h for h in members if not isinstance(h, Integral) or isinstance(h, bool) or h < 0]
        if odd:
            raise InputError(f"groups hold heads as whole numbers >= 0, not {odd[0]!r}")
        twice = sorted({head for head in members if members.count(head) > 1})
        if twice:
            raise InputError(f"head {twice[0]} stands in two groups to tie", head=twice[0])
        if self.overlap is not None and self.groups:
            raise InputError("give groups= or overlap= to TieVariables, not both")
        if self.overlap is not None and not 0 < self.overlap <= 1:
            raise InputError(
                f"overlap must be a share above 0 up to 1, not {self.overlap}", overlap=self.overlap
            )
        if not isinstance(self.k, Integral) or isinstance(self.k, bool) or self.k < 1:
            raise InputError(f"k must be a whole number of at least 1, not {self.k!r}", k=self.k)
        if self.strength is not None and not (np.isfinite(self.strength) and self.strength >= 0):
            raise InputError(
                f"strength must be a number >= 0, not {self.strength}", strength=self.strength
            )

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
        owner = np.asarray(kv_head)
        groups = (tuple(np.flatnonzero(owner == kv).tolist()) for kv in np.unique(owner))
        return cls(tuple(group for group in groups if len(group) > 1), queries, strength=strength)

    def apply(self, program: Program) -> Rewrite:
        """Return the tied program.

        Raises:
            PassError: rows that no one selection serves; names head, query and key.
            InfeasibleError: tied rows that are to keep different numbers of keys.
        """
        tie, notes = self._found(program)
        leader = tie.leaders(program.variables)
        kept, source = np.unique(leader, return_inverse=True)
        if tie.groups or self.queries:
            check_rows(program, leader, tie._head_of(program.constraints.head), self.queries)
        if len(kept) == len(program):
            rewrite = unchanged(program, *notes, *(() if tie._soft else ("nothing to tie",)))
        else:
            lift = Lift.select(source, len(kept))
            mass = np.bincount(source, weights=program.variables.mass, minlength=len(kept))
            tied = substitute(program, lift, replaced(program.variables.take(kept), mass=mass))
            rows = len(program.constraints) - len(tied.constraints)
            merged = f"{len(program) - len(kept)} variables and {rows} constraints merged"
            bound, proof = self._bound(program, leader)
            rewrite = Rewrite(tied, lift, bound, restricts=True, notes=(*notes, merged, *proof))
        if tie._soft:
            return soften(rewrite, tie.groups, float(self.strength or 0), queries=self.queries)
        return rewrite

    def _bound(self, program: Program, leader: Longs) -> tuple[float, tuple[str, ...]]:
        """Return the bound of groups that were found, not asked for, and a note on it."""
        if self.overlap is None or self.strength is not None:
            return 0.0, ()
        bound = tie_bound(program, leader)
        if bound is None:
            return 0.0, ("the rise of the optimum is not bounded: rows without a count",)
        return bound, (f"the optimum rises by {bound:.4g} at most",)

    @property
    def _soft(self) -> bool:
        return self.strength is not None and bool(self.groups)

    # -- who is tied to whom ------------------------------------------------------------------

    def resolved(self, program: Program) -> TieVariables:
        """Return this tying with its groups, found in ``program`` where they are not given.

        Raises:
            PassError: groups are to be found and a key carries no softmax mass.
        """
        return self._found(program)[0]

    def _found(self, program: Program) -> tuple[TieVariables, tuple[str, ...]]:
        if self.overlap is None:
            return self, ()
        groups, notes = find_groups(program, self.overlap, self.k, queries=self.queries)
        return dataclasses.replace(self, groups=groups, overlap=None), notes

    def leading_heads(self, count: int) -> Longs:
        """Return for each of ``count`` heads the first of those tied hard to it."""
        first = np.arange(count)
        for group in () if self.strength is not None else self.groups:
            inside = [head for head in group if head < count]
            first[inside] = min(inside, default=0)
        return first

    def leaders(self, variables: Variables) -> Longs:
        """Return for each variable the first variable of those tied hard to it."""
        v = variables
        query = np.zeros_like(v.query) if self.queries else v.query
        columns = (v.bit, v.key, query, self._head_of(v.head), v.role)
        order = np.lexsort((np.arange(len(v)), *columns))
        table = np.stack(columns)[:, order]
        starts = np.ones(len(v), bool)
        starts[1:] = (table[:, 1:] != table[:, :-1]).any(axis=0)
        leader = np.empty(len(v), np.int64)
        leader[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
        return leader

    def _head_of(self, heads: Ints) -> Ints:
        first = self.leading_heads(max(int(heads.max(initial=-1)) + 1, 1)).astype(np.int32)
        return np.where(heads < 0, heads, first[heads])
