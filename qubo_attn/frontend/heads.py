"""Options of each head, where heads differ, and the number of heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from qubo_attn.common.checks import shown, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives import Objective, objective_named
from qubo_attn.frontend.select import Select, check_select


@named_fields
@dataclass(frozen=True)
class Head:
    """Options of one head, where heads differ.

    Attributes:
        select: what its rows may select; that of the call when None.
        objective: what its rows minimise; that of the call when None.
        tie: a name or whole number: heads with equal ``tie`` share one selection; None stays alone.
        couple: heads with equal ``couple`` are coupled by ``coupling=`` of the call, which is for
            all heads where no head says so; None stays out.

    Example:
        >>> from qubo_attn import ExactlyK, Head
        >>> Head(select=ExactlyK(4), tie="kv0").tie
        'kv0'
    """

    select: Select | None = None
    objective: str | Objective | None = None
    tie: str | int | None = None
    couple: str | int | None = None

    def __post_init__(self) -> None:
        if self.select is not None:
            check_select(self.select)
        if self.objective is not None:
            objective_named(self.objective)
        for name in ("tie", "couple"):
            group = getattr(self, name)
            if group is not None and not isinstance(group, str):
                object.__setattr__(self, name, whole(name, group))


def count_heads(heads: int | Sequence[Head]) -> int:
    """Return how many heads a call is for.

    Args:
        heads: their number, or one `Head` each.

    Raises:
        InputError: it is neither.

    Example:
        >>> count_heads(12), count_heads([Head(), Head(tie="a")])
        (12, 2)
    """
    if not isinstance(heads, Sequence) or isinstance(heads, str):
        return whole("heads", heads, least=1)
    if not heads or not all(isinstance(head, Head) for head in heads):
        raise InputError(
            f"heads must be a whole number, or a sequence of qubo_attn.Head, not {shown(heads)}",
            argument="heads",
            heads=heads,
        )
    return len(heads)


def complete_heads(
    heads: int | Sequence[Head], select: Select, objective: str | Objective
) -> tuple[Head, ...]:
    """Return one `Head` each, with a select and an objective.

    Args:
        heads: their number, or one `Head` each.
        select, objective: for heads that name none.
    """
    given = heads if isinstance(heads, Sequence) else [Head()] * count_heads(heads)
    return tuple(
        dataclasses.replace(
            head,
            select=select if head.select is None else head.select,
            objective=objective if head.objective is None else head.objective,
        )
        for head in given
    )
