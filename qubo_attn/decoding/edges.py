"""Weights of a graph's edges, in the forms that graph and sparse libraries take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.errors import InputError
from qubo_attn.frontend.pattern import Pattern, dense
from qubo_attn.frontend.sparse import csr_matrices

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Edges:
    """A selection of a graph's edges; a part of `AttentionResult`.

    Attributes:
        selected: bool, shape (H, Q, K), or (edges,) of a graph.
        weights: float64, of the same shape.
        pattern: the edges of a graph; None where the scores were an array.
    """

    selected: Bools
    weights: Floats
    pattern: Pattern | None

    @property
    def edge_weights(self) -> Floats:
        """Weights of edges in the order in which they were given, shape (heads, E) or (E,).

        Those of heads that all have the same edges have an axis of heads.

        Raises:
            InputError: the scores were an array, not an `AttentionGraph`.
        """
        if self.pattern is None:
            raise InputError(
                "edge_weights are those of an AttentionGraph; the scores were an array: see weights"
            )
        return self.pattern.as_given(self.weights)

    def to_dense(self) -> Floats:
        """Return the weights as an array, shape (H, Q, K); zero where there is no edge.

        Of a graph it is as large as heads times queries times keys.

        Example:
            >>> import qubo_attn as qa
            >>> graph = qa.AttentionGraph.from_edges([[0, 1], [0, 0]], [2.0, 1.0])
            >>> qa.compile(graph, select=qa.OneHot(), target=None).solve(seed=1).to_dense()
            array([[[1., 0.],
                    [0., 0.]]])
        """
        return np.array(dense(self.pattern, self.weights))

    def to_csr(self) -> tuple[csr_array, ...]:
        """Return the weights of each head as a sparse array of SciPy, shape (Q, K).

        Edges that weigh nothing are not stored.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], select=qa.OneHot(), target=None)
            >>> compiled.solve(seed=1).to_csr()[0].nnz
            1
        """
        if self.pattern is None:
            from scipy.sparse import csr_array

            return tuple(csr_array(head) for head in self.weights)
        matrices = csr_matrices(self.pattern, self.weights.copy())
        for matrix in matrices:
            matrix.eliminate_zeros()
        return matrices
