"""Candidates: which keys of a cache a scorer leaves to the QUBO."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.errors import InputError


class Candidates(NamedTuple):
    """What a scorer decides by itself, and its own choice; bool, shape (key/value heads, keys).

    Attributes:
        must: keys that stay: the required ones, and those that score beyond the block.
        never: keys that go: those that score below the block, and those that no query sees.
        usual: what the scorer keeps with the same required keys.
    """

    must: Bools
    never: Bools
    usual: Bools

    @classmethod
    def of(
        cls, scores: Floats, seen: Bools, count: int, *, sink: int, latest: int, block: int
    ) -> Candidates:
        """Return the keys beyond the ``block`` candidates about the scorer's threshold.

        Args:
            scores: shape (key/value heads, keys); the larger the better.
            seen: which keys any query sees, of that shape.
            count: keys that each head keeps.
            sink, latest: how many of the first and of the last keys that are seen must stay.
            block: candidates of a head: half above the threshold, half below it, as far as there
                are so many.

        Raises:
            InputError: more keys must stay than are kept; names the head.

        Example:
            >>> seen = np.ones((1, 6), bool)
            >>> scores = np.array([[0.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
            >>> parts = Candidates.of(scores, seen, 3, sink=1, latest=0, block=2)
            >>> [np.flatnonzero(part).tolist() for part in parts]
            [[0, 1], [4, 5], [0, 1, 2]]
        """
        required = seen & (np.cumsum(seen, axis=1) <= sink)
        required |= seen & (np.cumsum(seen[:, ::-1], axis=1)[:, ::-1] <= latest)
        least, most = required.sum(axis=1), seen.sum(axis=1)
        if (least > count).any():
            head = int(np.flatnonzero(least > count)[0])
            raise InputError(
                f"the compression ratio keeps {count} of {seen.shape[1]} keys, but key/value head "
                f"{head} has {least[head]} that must stay: lower sink={sink} or latest={latest}, "
                "or the ratio",
                head=head,
            )
        order = np.lexsort((-scores, ~seen, ~required))
        rank = np.argsort(order, axis=1)
        low = np.clip(count - block // 2, least, np.maximum(most - block, least))
        high = np.minimum(low + block, most)
        return cls(rank < low[:, None], rank >= high[:, None], rank < count)
