"""What a layer drew, and what its gradients need of it."""

from __future__ import annotations

from dataclasses import dataclass

from qubo_attn.common.arrays import Bytes, Floats
from qubo_attn.compiled import CompiledAttention
from qubo_attn.decoding.result import AttentionResult


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a batch of rows drew.

    Attributes:
        result: as `CompiledAttention.solve` returns it; heads are those of all sequences, one
            sequence after another.
        weights: float64, shape (H, Q, K): what the layer weighs keys with.
        reads: uint8, shape (reads, H, Q, K): selections; None for ``forward="hard"``.
        share: float64, shape (reads, H, Q): what each read counts in each row; None likewise.
        values, background: float64, shapes (H, K, e) and (H, Q, e): what the objective measures;
            None where these are the values themselves, and where their mean is the background.
    """

    result: AttentionResult
    weights: Floats
    reads: Bytes | None = None
    share: Floats | None = None
    values: Floats | None = None
    background: Floats | None = None

    @classmethod
    def of(
        cls,
        compiled: CompiledAttention,
        result: AttentionResult,
        weights: Floats,
        reads: tuple[Bytes, Floats] | tuple[None, None] = (None, None),
    ) -> Drawn:
        """Return what was drawn of a compilation, with what it measures."""
        attention, background = compiled.attention, compiled.backgrounds
        values = attention.measured if attention.projection is not None else None
        if values is not None and background is not None:
            background = background @ attention.metric
        return cls(result, weights, reads[0], reads[1], values, background)
