"""What keeping some number of keys gives, and what it takes on a machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from qubo_attn.common.brief import Brief
from qubo_attn.compiled import CompiledAttention
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.report.facts import submission_facts
from qubo_attn.report.page.outcome import compared, mean_error


@dataclass(frozen=True, eq=False)
class Attempt(Brief):
    """Attention compiled and solved for one number of keys; part of a `Trial`.

    Attributes:
        k: keys that each row keeps.
        rows: rows that see a key.
        same_as_top_k: rows that keep just their heaviest keys.
        proven: rows at their proven optimum.
        ours: mean relative error of the attention output; None without values.
        top_k: the same of top-k, with as many keys and the same decoder.
        renormalised: the same of top-k, with weights that add up to 1.
        qubits: most qubits in use in one programming; None without a machine, like those below.
        programmings: submissions to the machine.
        milliseconds: estimated machine time of all reads; None where no timing is known.
        feasible: chance that one read of the median row keeps the row's count.
        optimum: chance that one read of the median row is its optimum.
        compiled: the compilation.
        result: what the local solver returned.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.random.default_rng(0).normal(size=(1, 4, 6))
        >>> attempt = qa.try_out(scores, k=2, target=None).attempts[0]
        >>> attempt.k, attempt.rows, attempt.same_as_top_k, attempt.qubits
        (2, 4, 4, None)
    """

    k: int
    rows: int
    same_as_top_k: int
    proven: int
    ours: float | None
    top_k: float | None
    renormalised: float | None
    qubits: int | None
    programmings: int | None
    milliseconds: float | None
    feasible: float | None
    optimum: float | None
    compiled: CompiledAttention
    result: AttentionResult

    @classmethod
    def of(
        cls, k: int, compiled: CompiledAttention, result: AttentionResult, reads: int
    ) -> Attempt:
        """Return the figures of a compilation and its result, for so many reads."""
        attention, placed = compiled.attention, compiled.placement is not None
        seen = attention.sees
        ours, plain, *others = compared(attention, result)
        submissions, machine = submission_facts(compiled, reads)
        feasible = optimum = None
        if placed:
            precision = compiled.precision(quick=True)
            feasible, optimum = _median(precision.feasible), _median(precision.optimum)
        return cls(
            k=k,
            rows=int(seen.sum()),
            same_as_top_k=int((result.same_as_top_k(attention) & seen).sum()),
            proven=int((result.proven & seen).sum()),
            ours=_finite(mean_error(ours.errors)),
            top_k=_finite(mean_error((plain, *others)[-1].errors)),
            renormalised=_finite(mean_error(plain.errors)),
            qubits=max((part["qubits"] for part in submissions), default=0) if placed else None,
            programmings=len(submissions) if placed else None,
            milliseconds=machine["milliseconds"] if placed else None,
            feasible=feasible,
            optimum=optimum,
            compiled=compiled,
            result=result,
        )

    @property
    def gain(self) -> float:
        """Share of the output error of the better top-k that is spared; 0 without values."""
        if self.ours is None or self.top_k is None or self.renormalised is None:
            return 0.0
        rival = min(self.top_k, self.renormalised)
        return 1.0 - self.ours / rival if rival > 0 else 0.0


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None


def _median(chances: np.ndarray) -> float | None:
    known = chances[np.isfinite(chances)]
    return float(np.median(known)) if len(known) else None
