"""Graphs of query and key vectors that meet in a pattern."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import whole
from qubo_attn.common.keywords import check_names, named, names_of
from qubo_attn.frontend.attends import meet
from qubo_attn.frontend.pattern import Pattern


class OfVectors:
    """How graphs are made of vectors; a part of `AttentionGraph`."""

    @classmethod
    @abstractmethod
    def _of(cls, pattern: Pattern, scores: Floats) -> Self:
        """Return a graph."""

    @classmethod
    @named
    def from_vectors(
        cls,
        queries: ArrayLike,
        keys: ArrayLike,
        *,
        window: int | None = None,
        globals: ArrayLike | None = None,
        blocks: ArrayLike | None = None,
        block_size: int = 64,
        causal: bool = False,
        kv_head: ArrayLike | None = None,
        scale: float | None = None,
    ) -> Self:
        """Return the graph of a pattern of attention; logits are worked out for its edges alone.

        A query sees the keys of its window, of its blocks, and all that are global; all keys where
        none of the three is given.

        Args:
            queries: vectors, shape (heads, Q, d), or (Q, d) with one head. They are the latest Q
                tokens where there are more keys.
            keys: vectors, shape (heads, K, d), or (key/value heads, K, d) with ``kv_head``.
            window: a query sees keys less than so many tokens away: with ``causal`` the latest so
                many, its own among them; else as many ahead, too.
            globals: how many of the first tokens, or which tokens, all queries see; as queries,
                these see all keys.
            blocks: bool, shape (blocks of queries, blocks of keys): which blocks see which.
            block_size: tokens of a block.
            causal: hide keys ahead of a query.
            kv_head: int, shape (heads,): key/value head of each query head.
            scale: factor of the products; one over the root of d when None.

        Raises:
            InputError: an argument does not fit; names it.

        Example:
            >>> import numpy as np
            >>> from qubo_attn import AttentionGraph
            >>> q = k = np.eye(6)
            >>> AttentionGraph.from_vectors(q, k, window=2, causal=True).edges
            11
        """
        vectors = meet(
            queries,
            keys,
            window=window,
            everywhere=globals,
            blocks=blocks,
            block_size=block_size,
            causal=causal,
            kv_head=kv_head,
            scale=scale,
        )
        pattern, scores = vectors.edges(0, vectors.pattern.queries)
        return cls._of(pattern, scores)

    @classmethod
    def stream_vectors(
        cls, queries: ArrayLike, keys: ArrayLike, *, rows: int = 1024, **options: Any
    ) -> Iterator[Self]:
        """Yield the graph of `from_vectors` in blocks of queries, each made when it is asked for.

        `qubo_attn.compile_batch` takes them: what is in memory is a block, not the graph. A block
        has the same bits as `blocks` of the whole graph.

        Args:
            queries, keys: vectors, see `from_vectors`.
            rows: queries of a block; the last one may have fewer.
            **options: of `from_vectors`.

        Example:
            >>> import numpy as np, qubo_attn as qa
            >>> q = k = np.eye(6)
            >>> blocks = qa.AttentionGraph.stream_vectors(q, k, rows=4, window=2, causal=True)
            >>> batch = qa.compile_batch(blocks, 1, select=qa.OneHot(), target=None)
            >>> [compiled.attention.shape for compiled in batch]
            [(1, 4, 6), (1, 2, 6)]
        """
        check_names("stream_vectors", options, names_of(cls.from_vectors)[2:])
        rows = whole("rows", rows, least=1)
        options = {{"globals": "everywhere"}.get(name, name): x for name, x in options.items()}
        vectors = meet(queries, keys, **options)
        count = vectors.pattern.queries

        def made() -> Iterator[Self]:
            for first in range(0, count, rows):
                pattern, scores = vectors.edges(first, min(first + rows, count))
                yield cls._of(pattern, scores)

        return made()
