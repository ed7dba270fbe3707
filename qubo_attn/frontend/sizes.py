"""How large scores and options may be: sums over rows, and prices on them, must be numbers."""

from __future__ import annotations

import numpy as np

from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.scores import place_of
from qubo_attn.frontend.vectors import LARGEST


def check_size(argument: str, factor: float, product: float, attention: Attention) -> None:
    """Reject an option that makes sums over a row overflow.

    Args:
        argument: name of the option.
        factor: its size.
        product: largest number that it is multiplied with.
        attention: says how many keys a row has.

    Raises:
        InputError: names the option.
    """
    largest = abs(factor) * product
    if not largest <= _limit(attention):
        raise InputError(
            f"{argument} of {factor:g} makes coefficients of {largest:g} with these scores: their "
            "sums overflow; make it, or the scores, smaller",
            argument=argument,
        )


def check_scores(attention: Attention, rows: Rows, factor: float = 0.0) -> None:
    """Reject scores that make sums over a row overflow.

    Args:
        attention: says how many keys a row has.
        rows: of the attention.
        factor: what products of two scores are multiplied with.

    Raises:
        InputError: names the largest score.
    """
    if not len(rows.logit):
        return
    largest = float(max(rows.logit.max(), -rows.logit.min()))
    if largest * max(1.0, abs(factor) * largest) <= _limit(attention):
        return
    where = np.abs(attention.logits) == largest
    head, query, key = place_of(attention.pattern, where)
    score = attention.logits.flat[where.argmax()]
    raise InputError(
        f"scores[{head},{query},{key}] is {score:g}: sums of a row's coefficients overflow; scale "
        "the scores",
        argument="scores",
        head=head,
        query=query,
        key=key,
    )


def _limit(attention: Attention) -> float:
    """Return how large a coefficient may be.

    A row of n keys adds up n^2 of them; its price is as large, and counts up to n^2 times.
    """
    return LARGEST / max(attention.shape[2], 1) ** 4
