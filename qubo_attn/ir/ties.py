"""Ties: heads that share one selection, and queries that do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Ints, Longs, numbers_to
from qubo_attn.common.checks import several, whole
from qubo_attn.errors import InputError
from qubo_attn.ir.columns import Variables

Groups = tuple[tuple[int, ...], ...]
# Places beyond which those that nobody holds are left out: fewer take no memory to speak of.
_FEW = 1 << 16


def head_groups(name: str, groups: object) -> Groups:
    """Return groups of heads, each head in one group at most.

    Args:
        name: what the groups belong to, for messages.
        groups: sequences of whole numbers.

    Raises:
        InputError: a head is no whole number of at least 0, or stands in two groups; names it.
    """
    checked = tuple(
        tuple(whole(f"a head of {name}", head) for head in several(f"a group of {name}", group))
        for group in several(f"groups of {name}", groups)
    )
    members = [head for group in checked for head in group]
    twice = sorted({head for head in members if members.count(head) > 1})
    if twice:
        raise InputError(f"head {twice[0]} stands in two groups of {name}", head=twice[0])
    return checked


@dataclass(frozen=True)
class Ties:
    """Groups of tied heads, and whether queries are merged.

    Attributes:
        groups: heads of each group; a head in no group is tied to no other.
        queries: whether all queries of a head, or of its group, share one selection.
        soft: whether the heads of a group keep selections of their own, at a price for each key in
            which they differ. Soft groups merge no variables.
        notes: how the groups were found, for the report.

    Example:
        >>> Ties(((0, 2), (1, 3))).leading_heads(5)
        array([0, 1, 0, 1, 4])
    """

    groups: Groups = ()
    queries: bool = False
    soft: bool = False
    notes: tuple[str, ...] = ()

    @property
    def merge(self) -> bool:
        """Whether variables are merged."""
        return self.queries or (bool(self.groups) and not self.soft)

    def leading_heads(self, count: int) -> Longs:
        """Return for each of ``count`` heads the first head that shares its selection."""
        first = np.arange(count)
        for group in () if self.soft else self.groups:
            members = [head for head in group if head < count]
            first[members] = min(members, default=0)
        return first

    def lead(self, heads: Ints) -> Ints:
        """Return for each of ``heads`` the first head that shares its selection; -1 stays -1."""
        first = self.leading_heads(max(int(heads.max(initial=-1)) + 1, 1)).astype(np.int32)
        return np.where(heads < 0, heads, first[heads])

    def leaders(self, variables: Variables) -> Ints:
        """Return for each variable the first variable that is merged with it.

        Returns:
            int32, one entry per variable.
        """
        v, every = variables, numbers_to(len(variables) + 1)[:-1]
        if not self.merge or not len(v):
            return every
        # A number for each place that variables may share, and the first variable at it.
        place, room = np.zeros(len(v), np.int64), 1
        query = np.zeros_like(v.query) if self.queries else v.query
        for column in (self.lead(v.head), query, v.key, v.bit, v.role):
            low = int(column.min())
            wide = int(column.max()) + 1 - low
            place *= wide
            place += column
            place -= low
            room *= wide
            if room > 2 * len(v) + _FEW:
                numbers, place = np.unique(place, return_inverse=True)
                room = len(numbers)
        first = np.zeros(room, np.int32)
        first[place[::-1]] = every[::-1]  # of several that are equal the last one stays
        return first[place]
