"""Attention graphs: scores of edges, from what graph and sparse libraries hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Floats, own_array
from qubo_attn.common.checks import numbers, several, whole
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named
from qubo_attn.common.tensors import sparse_parts
from qubo_attn.errors import InputError
from qubo_attn.frontend.edge_lists import check_inside, counts_of, networkx_edges
from qubo_attn.frontend.hidden import floor_of, read_array
from qubo_attn.frontend.of_vectors import OfVectors
from qubo_attn.frontend.pattern import Pattern, sorted_pattern
from qubo_attn.frontend.sparse import csr_columns, csr_matrices, entries_of

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class AttentionGraph(OfVectors, Portable):
    """Scores of edges: the ``scores`` of `qubo_attn.compile` where most pairs have none.

    An edge leads from a key to a query, which may then attend to it; a pair without an edge is a
    hidden key. Memory and time of all that is made of a graph grow with its edges. A graph and the
    same logits as an array, -inf where there is no edge, compile to the same bytes.

    Attributes:
        pattern: the edges, by head, query and key.
        scores: float64, the logit of each edge, in the order of ``pattern``.
        floor: logits as low as this hide a key, see `qubo_attn.frontend.hidden.floor_of`.

    Example:
        >>> import qubo_attn as qa
        >>> edges = [[0, 1, 2, 0, 1], [0, 0, 0, 1, 1]]  # sources (keys), targets (queries)
        >>> graph = qa.AttentionGraph.from_edges(edges, [2.0, 1.0, 0.5, 0.0, 1.0], nodes=3)
        >>> graph.shape, graph.edges
        ((1, 3, 3), 5)
        >>> qa.compile(graph, select=qa.OneHot(), target=None).solve(seed=1).edge_weights
        array([[1., 0., 0., 0., 1.]])
    """

    pattern: Pattern
    scores: Floats
    floor: float = -np.inf

    def __post_init__(self) -> None:
        own_array(self.scores)

    @classmethod
    @named
    def from_edges(
        cls,
        edge_index: ArrayLike,
        scores: ArrayLike,
        *,
        nodes: int | None = None,
        shape: Sequence[int] | None = None,
    ) -> AttentionGraph:
        """Return the graph of an edge list, as PyTorch Geometric has it.

        Args:
            edge_index: int, shape (2, E): sources, which are keys, above targets, which are
                queries. Any order; self-loops are edges like others, and no edge is added.
            scores: logits, shape (E,) for one head, or (heads, E). PyTorch Geometric has them as
                (E, heads): hand in the transpose.
            nodes: how many there are; one more than the largest number in ``edge_index`` when None.
            shape: numbers of queries and keys, in place of ``nodes``, where they are two kinds of
                nodes.

        Raises:
            InputError: an argument does not fit, an edge leads from or to no node, or one stands
                twice; names it.

        Example:
            >>> from qubo_attn import AttentionGraph
            >>> AttentionGraph.from_edges([[0, 1], [1, 1]], [[0.5, 1.0], [2.0, 0.0]]).shape
            (2, 2, 2)
        """
        index = read_array("edge_index", edge_index)
        if not index.size:
            index = index.reshape(2, 0).astype(np.int64)
        if index.ndim != 2 or len(index) != 2 or index.dtype.kind not in "iu":
            raise InputError(
                f"edge_index has shape {index.shape} and type {index.dtype}; expected whole "
                "numbers of shape (2, E): sources (keys) above targets (queries)",
                argument="edge_index",
            )
        key, query = index.astype(np.int64)
        logits = numbers("scores", scores)
        logits = logits[None] if logits.ndim == 1 else logits
        if logits.ndim != 2 or logits.shape[1] != len(key):
            raise InputError(
                f"scores have shape {np.shape(scores)}; expected ({len(key)},) or "
                f"(heads, {len(key)}), one for each edge"
                f"{'; hand in the transpose' * (logits.shape[:1] == (len(key),))}",
                argument="scores",
            )
        queries, keys = counts_of(nodes, shape, query, key)
        check_inside(index, query, key, queries, keys)
        pattern = sorted_pattern((len(logits), queries, keys), query, key, shared=True)
        column = pattern.in_rows("scores", logits)
        return cls(pattern, own_array(np.ascontiguousarray(column)), floor_of(scores))

    @classmethod
    def from_csr(cls, matrices: Any) -> AttentionGraph:
        """Return the graph of SciPy's sparse arrays, of rows (queries) and columns (keys).

        Args:
            matrices: one of any format, or a sequence of one for each head. Every entry that is
                stored is an edge, zeros too.

        Raises:
            InputError: one is no sparse array, has another shape than the first, or holds an entry
                twice; names the head.

        Example:
            >>> import numpy as np
            >>> from scipy.sparse import csr_array
            >>> from qubo_attn import AttentionGraph
            >>> AttentionGraph.from_csr(csr_array(np.eye(3))).edges
            3
        """
        heads = [matrices] if hasattr(matrices, "tocoo") else several("matrices", matrices)
        if not heads:
            raise InputError("matrices are none: give a sparse array", argument="matrices")
        return cls._joined([entries_of(head, matrix) for head, matrix in enumerate(heads)])

    @classmethod
    def from_rows(
        cls, indptr: ArrayLike, indices: ArrayLike, scores: ArrayLike, *, keys: int | None = None
    ) -> AttentionGraph:
        """Return the graph of compressed rows, as files have them.

        Args:
            indptr: int, shape (Q + 1,): edges of query q are ``indptr[q]:indptr[q + 1]``.
            indices: int, shape (E,): the key of each edge.
            scores: logits, shape (E,) for one head, or (heads, E).
            keys: how many there are; when None as many as queries, or one more than the largest.

        Raises:
            InputError: an argument does not fit, or an edge stands twice; names it.

        Example:
            >>> from qubo_attn import AttentionGraph
            >>> AttentionGraph.from_rows([0, 2, 3], [0, 1, 1], [0.5, 1.0, 2.0]).shape
            (1, 2, 2)
        """
        ptr, key = csr_columns(indptr, indices)
        queries = len(ptr) - 1
        if keys is None:
            keys = max(queries, int(key.max(initial=-1)) + 1)
        query = np.repeat(np.arange(queries), np.diff(ptr))
        return cls.from_edges(np.stack([key, query]), scores, shape=(queries, keys))

    @classmethod
    def from_torch(cls, tensor: Any) -> AttentionGraph:
        """Return the graph of a ``torch.sparse`` tensor.

        Args:
            tensor: shape (Q, K) or (heads, Q, K), of layout COO, CSR, CSC or a block layout, on any
                device. Entries that a COO tensor holds twice are added up, as torch does. Every
                entry that is stored is an edge.

        Raises:
            InputError: it is no such tensor.

        Example:
            >>> import torch
            >>> from qubo_attn import AttentionGraph
            >>> AttentionGraph.from_torch(torch.eye(3).to_sparse()).edges
            3
        """
        index, entries, shape, kind = sparse_parts("tensor", tensor)
        if len(shape) == 2:
            index, shape = np.concatenate([np.zeros_like(index[:1]), index]), (1, *shape)
        if len(shape) != 3:
            raise InputError(
                f"tensor has shape {shape}; expected (queries, keys) or (heads, queries, keys)",
                argument="tensor",
            )
        head, query, key = index
        pattern = sorted_pattern(shape, head * max(shape[1], 1) + query, key, shared=False)
        return cls(pattern, own_array(pattern.in_rows("tensor", entries).copy()), floor_of(kind))

    @classmethod
    @named
    def from_networkx(
        cls, graph: nx.Graph, score: str = "score", *, nodes: Sequence[Any] | None = None
    ) -> AttentionGraph:
        """Return the graph of a networkx graph whose edges have scores.

        Args:
            graph: a ``DiGraph``, whose edge (u, v) lets v attend to u; an undirected edge lets both
                attend to each other.
            score: name of the edges' attribute: a number, or one for each head.
            nodes: the nodes in the order of queries and keys; that of the graph when None.

        Raises:
            InputError: an edge has no such attribute, or there are two of the same ends; names
                them.

        Example:
            >>> import networkx as nx
            >>> from qubo_attn import AttentionGraph
            >>> graph = nx.DiGraph()
            >>> graph.add_edge("a", "b", score=1.5)
            >>> AttentionGraph.from_networkx(graph).shape
            (1, 2, 2)
        """
        index, column, count = networkx_edges(graph, score, nodes)
        return cls.from_edges(index, column, nodes=count)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        return self.pattern.shape

    @property
    def edges(self) -> int:
        """Number of edges, of all heads."""
        return len(self.pattern)

    @named
    def blocks(self, rows: int = 1024) -> Iterator[AttentionGraph]:
        """Yield the graph in blocks of queries, one after another, for `qubo_attn.compile_batch`.

        Args:
            rows: queries of a block; the last one may have fewer.

        Example:
            >>> from qubo_attn import AttentionGraph
            >>> graph = AttentionGraph.from_edges([[0, 1, 2], [0, 1, 2]], [1.0, 2.0, 3.0])
            >>> [block.shape for block in graph.blocks(rows=2)]
            [(1, 2, 3), (1, 1, 3)]
        """
        rows = whole("rows", rows, least=1)
        for first in range(0, self.shape[1], rows):
            window = np.arange(first, min(first + rows, self.shape[1]))
            pattern, edges = self.pattern.of_queries(window)
            yield AttentionGraph(pattern, own_array(self.scores[edges]), self.floor)

    def as_given(self, column: ArrayLike) -> Array:
        """Return one entry per edge in the order in which the edges were given.

        Args:
            column: one entry per edge by head, query and key, such as ``result.selected``.

        Returns:
            Shape (heads, E) for edges that all heads share, else (E,).

        Raises:
            InputError: it has not one entry for each edge.

        Example:
            >>> from qubo_attn import AttentionGraph
            >>> graph = AttentionGraph.from_edges([[1, 0], [0, 0]], [0.5, 2.0])
            >>> graph.scores, graph.as_given(graph.scores)
            (array([2. , 0.5]), array([[0.5, 2. ]]))
        """
        array = read_array("column", column)
        if array.shape != (self.edges,):
            raise InputError(
                f"column has shape {array.shape}; expected ({self.edges},)", argument="column"
            )
        return self.pattern.as_given(array)

    def to_csr(self) -> tuple[csr_array, ...]:
        """Return the scores of each head as a sparse array of SciPy, shape (Q, K)."""
        return csr_matrices(self.pattern, self.scores)

    @classmethod
    def _of(cls, pattern: Pattern, scores: Floats) -> Self:
        return cls(pattern, scores, floor_of(scores))

    @classmethod
    def _joined(
        cls, parts: Sequence[tuple[Array, Array, Array, tuple[int, int]]]
    ) -> AttentionGraph:
        """Return the graph of the entries of each head."""
        queries, keys = parts[0][3]
        for head, part in enumerate(parts):
            if part[3] != (queries, keys):
                raise InputError(
                    f"the array of head {head} has shape {part[3]}, that of head 0 "
                    f"{(queries, keys)}",
                    head=head,
                )
        row = np.concatenate([head * queries + part[0] for head, part in enumerate(parts)])
        key = np.concatenate([part[1] for part in parts])
        pattern = sorted_pattern((len(parts), queries, keys), row, key, shared=False)
        entries = numbers("scores", np.concatenate([part[2] for part in parts]))
        return cls(pattern, own_array(pattern.in_rows("scores", entries)), floor_of(parts[0][2]))
