"""What annealed layers of a model did: rows, feasible, proven optimal, output error, seconds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import nn

from qubo_attn.decoding.result import AttentionResult
from qubo_attn.torch.annealing import Annealing


class LayerReport(NamedTuple):
    """What one layer did, over all of its calls.

    Attributes:
        layer: name of the module in the model.
        calls: how often it was called.
        rows: queries of all heads and sequences that see a key.
        feasible: of those, rows that kept their constraints before any repair.
        proven: of those, rows that are proven optimal.
        error: mean relative error of the attention output over those rows; NaN without any.
        seconds: of compiling, solving and decoding.
    """

    layer: str
    calls: int
    rows: int
    feasible: int
    proven: int
    error: float
    seconds: float


@dataclass(frozen=True)
class ModelReport:
    """What the annealed layers of a model did.

    Attributes:
        layers: one `LayerReport` each, in the order of the model.

    Example:
        >>> report = ModelReport((LayerReport("attn", 1, 8, 8, 4, 0.25, 0.5),))
        >>> print(report)
        layer      calls       rows  feasible   proven     error  seconds
        attn           1          8   100.00%   50.00%    0.2500    0.500
        >>> report.error
        0.25
    """

    layers: tuple[LayerReport, ...]

    @property
    def rows(self) -> int:
        """Rows of all layers."""
        return sum(layer.rows for layer in self.layers)

    @property
    def seconds(self) -> float:
        """Seconds of all layers."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def error(self) -> float:
        """Mean relative error of the attention output, over the rows of all layers."""
        ran = [layer for layer in self.layers if layer.rows]
        return sum(layer.error * layer.rows for layer in ran) / self.rows if ran else float("nan")

    def __str__(self) -> str:
        width = max([5, *(len(layer.layer) for layer in self.layers)])
        lines = [
            f"{'layer':{width}} {'calls':>10} {'rows':>10} {'feasible':>9} {'proven':>8} "
            f"{'error':>9} {'seconds':>8}"
        ]
        for layer in self.layers:
            rows = max(layer.rows, 1)
            lines.append(
                f"{layer.layer:{width}} {layer.calls:10} {layer.rows:10} "
                f"{layer.feasible / rows:9.2%} {layer.proven / rows:8.2%} {layer.error:9.4f} "
                f"{layer.seconds:8.3f}"
            )
        return "\n".join(lines)


class AnnealedLayer:
    """One annealed layer of a model, and what it did.

    Attributes:
        name: of the module.
        annealing: how it selects keys.
        keeps: whether it keeps its last result.
        before: what stood in the layer's place.
        linear: its output projection, where that is needed.
        result: of the last call, where it is kept.
    """

    def __init__(self, name: str, annealing: Annealing, keeps: bool, before: object) -> None:
        self.name, self.annealing, self.keeps, self.before = name, annealing, keeps, before
        self.linear: nn.Module | None = None
        self.result: AttentionResult | None = None
        self._calls = self._rows = self._feasible = self._proven = 0
        self._error = self._seconds = 0.0

    def note(self, result: AttentionResult | None, seconds: float) -> None:
        """Add a call: what it gave, and how long it took."""
        self._calls += 1
        self._seconds += seconds
        if result is None:
            return
        sees = ~result.empty
        self._rows += int(sees.sum())
        self._feasible += int((result.feasible & sees).sum())
        self._proven += int((result.proven & sees).sum())
        if result.behind is not None and sees.any():
            errors = result.output_errors(result.behind.compiled.attention)
            self._error += float(np.nansum(errors))
        if self.keeps:
            # Without the compilation, which takes far more memory than what came of it.
            self.result = dataclasses.replace(result, behind=None)

    def report(self) -> LayerReport:
        """Return what the layer did so far."""
        error = self._error / self._rows if self._rows else float("nan")
        counts = self._calls, self._rows, self._feasible, self._proven
        return LayerReport(self.name, *counts, error, self._seconds)
