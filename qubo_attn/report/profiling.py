"""What the next batch of a shape will cost, part by part: `CompiledAttention.profile`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common import memory
from qubo_attn.common.memory import memory_text
from qubo_attn.formulations.certificates import LEVELS, SWITCHES, Certificates, certify
from qubo_attn.formulations.leveled import certify_levels

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention

COEFFICIENTS, ARRAYS = "coefficients", "physical arrays"


@dataclass(frozen=True)
class Part:
    """A part of the work for one batch.

    Attributes:
        name: ``checks`` (of the input and of the program), the objective, a pass, ``coefficients``
            (chain strengths and scales, and which couplers go where) or ``physical arrays``.
        seconds: median over the repeats.
        peak: most memory that the process held meanwhile, in MiB; None where the system does not
            tell.
        within: the pass that a part belongs to, whose seconds have it in them; None for the others.
    """

    name: str
    seconds: float
    peak: float | None = None
    within: str | None = None


@dataclass(frozen=True)
class Profile:
    """What one more batch of the same shape costs, from scores to physical arrays.

    Attributes:
        parts: in the order in which they run.
        rows: (head, query) rows of the batch that see a key.
        repeats: how often it was measured.
    """

    parts: tuple[Part, ...]
    rows: int
    repeats: int

    @property
    def seconds(self) -> float:
        """Of the whole batch."""
        return sum(part.seconds for part in self.parts if part.within is None)

    @property
    def bounded_by(self) -> Part:
        """The part that takes longest; a part of a pass where that is most of the pass."""
        longest = max((p for p in self.parts if p.within is None), key=lambda p: p.seconds)
        inner = [p for p in self.parts if p.within == longest.name]
        return next((p for p in inner if 2 * p.seconds > longest.seconds), longest)

    def to_dict(self) -> dict[str, object]:
        """Return the facts as plain data, ready for JSON."""
        return {
            "parts": [dataclasses.asdict(part) for part in self.parts],
            "rows": self.rows,
            "repeats": self.repeats,
            "seconds": self.seconds,
            "bounded_by": self.bounded_by.name,
        }

    def __str__(self) -> str:
        whole = max(self.seconds, 1e-12)
        lines = [f"{'part':<24}{'ms':>9}{'share':>8}{'peak MiB':>10}"]
        for part in self.parts:
            name = part.name if part.within is None else f"  of it {part.name}"
            lines.append(
                f"{name:<24}{1e3 * part.seconds:>9.2f}{part.seconds / whole:>8.0%}"
                f"{memory_text(part.peak):>10}"
            )
        row = 1e3 * self.seconds / max(self.rows, 1)
        lines.append(
            f"one more batch: {1e3 * self.seconds:.1f} ms for {self.rows} rows, {row:.3f} ms a row "
            f"(median of {self.repeats}); bounded by {self.bounded_by.name}"
        )
        return "\n".join(lines)


def profile_of(compiled: CompiledAttention, repeats: int) -> Profile:
    """Measure one more batch; see `CompiledAttention.profile`."""
    peaks = dict(_peaks(compiled))
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, seconds in _batch(compiled):
            times.setdefault(name, []).append(seconds)
    parts = []
    for name, spent in times.items():
        parts.append(Part(name, float(np.median(spent)), peaks.get(name)))
        for stage in compiled.stages:
            proofs = stage.rewrite.certificates
            if stage.name == name and proofs is not None and len(proofs):
                proving = [_seconds(lambda proofs=proofs: _prove(proofs)) for _ in range(repeats)]  # type: ignore[misc]
                parts.append(Part("certificates", float(np.median(proving)), within=name))
    return Profile(tuple(parts), len(compiled.attention.rows), repeats)


def _batch(compiled: CompiledAttention) -> Iterator[tuple[str, float]]:
    """Compile the same attention as one more batch; yield what each part takes."""
    start = time.perf_counter()
    again = _again(compiled)
    spent = time.perf_counter() - start
    yield "checks", spent - sum(stage.seconds for stage in again.stages)
    for stage in again.stages:
        yield stage.name, stage.seconds
    if again.placement is not None:
        yield COEFFICIENTS, _seconds(lambda: again.coefficients)
        yield ARRAYS, _seconds(again.hardware_arrays)


def _peaks(compiled: CompiledAttention) -> Iterator[tuple[str, float | None]]:
    """Yield the most memory held during each part of one more batch."""
    if not memory.forget_peak():
        return
    recipe = dataclasses.replace(
        compiled.recipe, before=(lambda pass_, program: _forget(),), after=()
    )
    again = _again(dataclasses.replace(compiled, recipe=recipe, known_plan=compiled.plan))
    for stage in again.stages:
        yield stage.name, stage.peak
    if again.placement is None:
        return
    for name, call in ((COEFFICIENTS, lambda: again.coefficients), (ARRAYS, again.hardware_arrays)):
        _forget()
        call()
        yield name, memory.peak()


def _forget() -> None:
    memory.forget_peak()


def _again(compiled: CompiledAttention) -> CompiledAttention:
    attention = compiled.attention
    return compiled.rebind(attention.logits, values=attention.values, keys=attention.keys)


def _prove(proofs: Certificates) -> None:
    """Work the weights of rows out once more, as the pass did."""
    leveled = proofs.method == LEVELS
    if leveled.any():
        certify_levels(proofs.program, proofs.index[leveled], 0.0)
    if leveled.all():
        return
    certify(
        proofs.program,
        proofs.index[~leveled],
        proofs.margin[~leveled],
        relax=bool(np.isfinite(proofs.upper[~leveled]).any()),
        steps=proofs.steps,
        methods=np.where(proofs.method >= SWITCHES, proofs.method, 0)[~leveled],
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
