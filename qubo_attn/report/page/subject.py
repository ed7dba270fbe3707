"""The subject of a page: a compilation, its result, and the labels of its queries and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn.common.arrays import Bools
from qubo_attn.common.checks import instance, several
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention


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
        lift = self.compilation.lift_to(0)
        variables = self.compilation.stages[0].program.variables
        live = (np.diff(lift.matrix.indptr) > 0) | (lift.constant > 0)
        left = np.zeros(self.attention.shape, bool)
        left[variables.head[live], variables.query[live], variables.key[live]] = True
        return left & self.attention.visible
