"""Tie variables: one selection shared by a group of heads, or by all queries of a head.

Tied variables are equal in every solution, so one variable stands for them all: ``x_v = x_r`` for
the first member r of v's group. The energies of the group add up, and constraints that become
equal are merged before anybody prices them; pricing both would pay twice. Tying asks for more than
the program did, so the optimum may rise: by design, not by loss.

Grouped-query attention ties the query heads that share a key/value head. Tying all queries as well
leaves one key subset per group: the selection of a KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.arrays import Ints, Longs
from qubo_attn.errors import InputError, PassError
from qubo_attn.ir import Kind, Program, replaced
from qubo_attn.lift import Lift
from qubo_attn.pipeline import OWN_ENERGIES, UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.rewrite import Rewrite, substitute, unchanged


@dataclass(frozen=True)
class TieVariables:
    """Make the selections of a group equal.

    Attributes:
        groups: heads to tie, e.g. ``((0, 1), (2, 3))``; heads in no group stay alone.
        queries: also tie all queries of a head (or of its group).

    Example:
        >>> from qubo_attn import TieVariables
        >>> TieVariables.from_kv_head([0, 0, 1, 1]).groups
        ((0, 1), (2, 3))
    """

    groups: tuple[tuple[int, ...], ...] = ()
    queries: bool = False

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

    @classmethod
    def from_kv_head(cls, kv_head: ArrayLike, *, queries: bool = False) -> TieVariables:
        """Tie the query heads that share a key/value head.

        Args:
            kv_head: int, shape (H,), the key/value head of each query head.
            queries: also tie all queries.
        """
        owner = np.asarray(kv_head)
        groups = (tuple(np.flatnonzero(owner == kv).tolist()) for kv in np.unique(owner))
        return cls(tuple(group for group in groups if len(group) > 1), queries)

    def apply(self, program: Program) -> Rewrite:
        """Return the tied program."""
        leader = self._leaders(program)
        kept, source = np.unique(leader, return_inverse=True)
        if len(kept) == len(program):
            return unchanged(program, "nothing to tie")
        self._check_rows(program, leader)
        lift = Lift.select(source, len(kept))
        variables = program.variables.take(kept)
        mass = np.bincount(source, weights=program.variables.mass, minlength=len(kept))
        variables = replaced(variables, mass=mass)
        tied = substitute(program, lift, variables)
        rows = len(program.constraints) - len(tied.constraints)
        note = f"{len(program) - len(kept)} variables and {rows} constraints merged"
        return Rewrite(tied, lift, restricts=True, notes=(note,))

    def _head_of(self, heads: Ints) -> Ints:
        """Return for each head the first head of its group."""
        first = np.arange(max(int(heads.max(initial=-1)) + 1, 1), dtype=np.int32)
        for group in self.groups:
            inside = [head for head in group if head < len(first)]
            first[inside] = min(inside, default=0)
        return np.where(heads < 0, heads, first[heads])

    def _leaders(self, program: Program) -> Longs:
        """Return for each variable the first variable of its group."""
        v = program.variables
        query = np.zeros_like(v.query) if self.queries else v.query
        columns = (v.bit, v.key, query, self._head_of(v.head), v.role)
        order = np.lexsort((np.arange(len(v)), *columns))
        table = np.stack(columns)[:, order]
        starts = np.ones(len(v), bool)
        starts[1:] = (table[:, 1:] != table[:, :-1]).any(axis=0)
        leader = np.empty(len(v), np.int64)
        leader[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
        return leader

    def _check_rows(self, program: Program, leader: Longs) -> None:
        """Reject tied rows that do not see the same keys: no one selection serves them all."""
        c = program.constraints
        first = dict[tuple[int, int], tuple[int, bytes]]()
        for r in np.flatnonzero(c.kind == Kind.PICK):
            head = int(self._head_of(c.head[r : r + 1])[0])
            group = (head, -1 if self.queries else int(c.query[r]))
            keys = np.sort(leader[c.var[c.ptr[r] : c.ptr[r + 1]]]).tobytes()
            twin, expected = first.setdefault(group, (int(r), keys))
            if keys != expected:
                a, b = program.constraint_label(twin), program.constraint_label(int(r))
                raise PassError(
                    f"{a} and {b} cannot share one selection: their rows see different keys "
                    "(a mask that differs, as in causal attention, cannot be tied over queries)",
                    rows=(a, b),
                )
