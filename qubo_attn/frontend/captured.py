"""Attention of a model's layer, as arrays that compile and that files hold."""

from __future__ import annotations

from dataclasses import dataclass

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.brief import Brief


@dataclass(frozen=True, eq=False)
class CapturedAttention(Brief):
    """Attention of one layer of a model, for one sequence; made by `qubo_attn.capture`.

    Attributes:
        layer: name of the module in the model.
        scores: logits, scaled, shape (heads, queries, keys); -inf where a query does not see a key.
            float32, or float64 where the model has that.
        values: value vectors, shape (key/value heads, keys, d).
        keys: key vectors, of that shape, with whatever the model does to them before the product.
        kv_head: int64, shape (heads,): key/value head of each head; None where all have their own.
        tokens: a text for each key; None where no tokenizer says so.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores, vectors = np.zeros((2, 3, 3)), np.zeros((1, 3, 2))
        >>> captured = qa.CapturedAttention("attn", scores, vectors, vectors, np.array([0, 0]))
        >>> list(captured.arrays)
        ['scores', 'values', 'keys', 'kv_head']
        >>> qa.compile(**captured.arrays, select=qa.ExactlyK(2), target=None).attention.shape
        (2, 3, 3)
    """

    layer: str
    scores: Floats
    values: Floats
    keys: Floats
    kv_head: Longs | None = None
    tokens: tuple[str, ...] | None = None

    @property
    def arrays(self) -> dict[str, Array]:
        """Arrays by name, as arguments of `qubo_attn.compile` and as ``np.savez`` writes them."""
        arrays = {"scores": self.scores, "values": self.values, "keys": self.keys}
        return arrays if self.kv_head is None else arrays | {"kv_head": self.kv_head}
