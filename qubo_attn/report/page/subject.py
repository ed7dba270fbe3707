"""The subject of a page: a compilation, its result, and the labels of its queries and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.common.checks import instance, several
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.pattern import drawn, is_drawn


@dataclass(frozen=True, eq=False)
class Subject:
    """What a page shows.

    Attributes:
        compilation: the compilation.
        result: what came back; None where the page ends before it.
        queries, keys: labels.
    """

    compilation: Compilation
    result: AttentionResult | None
    queries: Sequence[str]
    keys: Sequence[str]

    @classmethod
    def of(
        cls,
        compilation: Compilation,
        result: AttentionResult | None,
        tokens: Sequence[object] | None,
    ) -> Subject:
        """Return a subject whose keys are called by tokens, or by number where there are none.

        Raises:
            InputError: there are more or fewer tokens than keys.
        """
        _, queries, keys = compilation.attention.shape
        if result is not None:
            instance("result", result, AttentionResult)
        if tokens is not None:  # the letters of a text are tokens, too
            tokens = several("tokens", list(tokens) if isinstance(tokens, str) else tokens)
        if tokens is None:
            names = [str(key) for key in range(keys)]
        elif len(tokens) != keys:
            raise InputError(
                f"tokens names {len(tokens)} keys, but there are {keys}", argument="tokens"
            )
        else:
            # How tokenisers write a space before a word; in a label it would only puzzle.
            names = [str(token).lstrip("Ġ▁ ") or str(token) for token in tokens]
        labels = names if queries == keys else [str(query) for query in range(queries)]
        return cls(compilation, result, labels, names)

    @property
    def attention(self) -> Attention:
        """The attention that was compiled."""
        return self.compilation.attention

    @cached_property
    def candidates(self) -> Bools:
        """The keys that some point of the compiled program keeps, shape (H, Q, K)."""
        lift, count = self.compilation.lift_to(0), len(self.attention.rows.key)
        live = (np.diff(lift.matrix.indptr) > 0) | (lift.constant > 0)
        # The first variables are those of the visible keys, in their order.
        return np.asarray(self._drawn(self.attention.table(live[:count])))

    @property
    def is_drawn(self) -> bool:
        """Whether there are tables of queries and keys: a graph's may be too large."""
        return is_drawn(self.attention.pattern)

    @cached_property
    def softmax(self) -> Floats:
        """Softmax as given, shape (H, Q, K)."""
        return np.asarray(self._drawn(self.attention.softmax))

    @cached_property
    def visible(self) -> Bools:
        """Which keys each query sees, shape (H, Q, K)."""
        return np.asarray(self._drawn(self.attention.visible))

    @cached_property
    def selected(self) -> Bools:
        """The keys that the result keeps, shape (H, Q, K)."""
        assert self.result is not None
        return np.asarray(self._drawn(self.result.selected))

    @cached_property
    def weights(self) -> Floats:
        """What they weigh in the result, shape (H, Q, K)."""
        assert self.result is not None
        return np.asarray(self._drawn(self.result.weights))

    def _drawn(self, column: Array) -> Array:
        return drawn(self.attention.pattern, column)
