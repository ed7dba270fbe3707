"""Facts of a compilation, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.common.memory import memory_text
from qubo_attn.report.schedule import Schedule, calls_text, time_text

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention


@dataclass(frozen=True)
class Report:
    """What a compilation did.

    Attributes:
        stages: per stage: name, spec, variables, couplers, constraints, priced, bound, margin,
            seconds, peak (most memory held so far, MiB; None where not told), notes.
        rows: counts: all; empty (see no key); capped (fewer keys than k); submitted (a choice is
            left; a tied group counts once).
        submissions: per submission: variables, couplers, rows, qubits, longest chain; on a machine
            also ``auto_scale`` (what the machine's auto-scaling would divide by), lowest and
            highest chain strength, ``below_bound`` (chains that an optimum may break, as far as is
            proved), ``signal`` and ``bits`` (of its median row), ``weak_rows`` (less than a bit),
            ``calls`` (reads of each) and ``milliseconds`` of machine time.
        target: how the machine is called; None without one.
        chains: number of chains of each length.
        cache: folder and counts of the embedding cache; empty without one.
        machine: ``reads`` of each submission, ``calls`` and ``milliseconds`` in total, and whether
            the times are ``stated`` by the machine or its family's; empty without a machine.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> compiled = qa.compile(np.zeros((1, 1, 9)), 1, target=None)
        >>> compiled.report().rows["all"]
        1
    """

    stages: tuple[dict[str, object], ...]
    rows: dict[str, int]
    submissions: tuple[dict[str, object], ...]
    target: str | None
    chains: dict[int, int] = field(default_factory=dict)
    cache: dict[str, object] = field(default_factory=dict)
    machine: dict[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the facts as plain data, ready for JSON."""
        return {
            "stages": list(self.stages),
            "rows": self.rows,
            "submissions": list(self.submissions),
            "target": self.target,
            "chains": {str(length): count for length, count in self.chains.items()},
            "cache": self.cache,
            "machine": self.machine,
        }

    def __str__(self) -> str:
        header = f"{'stage':<18}{'variables':>10}{'couplers':>10}{'constraints':>12}"
        lines = [f"{header}{'priced':>8}{'bound':>11}{'seconds':>9}{'peak MiB':>10}"]
        for stage in self.stages:
            lines.append(
                f"{stage['name']!s:<18}{stage['variables']:>10}{stage['couplers']:>10}"
                f"{stage['constraints']:>12}{stage['priced']:>8}{bound_text(stage['bound']):>11}"
                f"{stage['seconds']:>9.3f}{memory_text(stage['peak']):>10}"
            )
            lines.extend(f"    {note}" for note in stage["notes"])  # type: ignore[attr-defined]
        rows = ", ".join(f"{count} {name}" for name, count in self.rows.items())
        lines.append(f"rows: {rows}")
        lines.append(f"target: {self.target or 'none, logical models alone'}")
        for s in self.submissions:
            lines.append(
                f"submission {s['index']}: {s['rows']} rows, {s['variables']} variables, "
                f"{s['couplers']} couplers, {s['qubits']} qubits, "
                f"longest chain {s['longest_chain']}"
            )
            lines.extend(f"    {line}" for line in machine_lines(s))
        if self.chains:
            shown = ", ".join(f"{count} of {length}" for length, count in self.chains.items())
            lines.append(f"chains: {shown}")
        if self.machine:
            lines.append(f"machine: {machine_text(self.machine)}")
        if self.cache:
            lines.append(
                "cache: " + ", ".join(f"{key} {value}" for key, value in self.cache.items())
            )
        return "\n".join(lines)

    def html(self) -> str:
        """Return the facts as HTML tables; `CompiledAttention.html` is the page with pictures.

        Example:
            >>> import numpy as np, qubo_attn as qa
            >>> compiled = qa.compile(np.zeros((1, 1, 9)), 1, target=None)
            >>> "<table>" in compiled.report().html()
            True
        """
        from qubo_attn.report.notebook import report_html

        return report_html(self)

    def _repr_html_(self) -> str:
        return self.html()


def machine_lines(part: dict[str, Any]) -> list[str]:
    """Return what a submission means to the machine, in two lines; none without a machine."""
    if "auto_scale" not in part:
        return []
    low, high = part["chain_strength"]
    return [
        f"auto-scale {part['auto_scale']:.3f}, chain strength {low:.3g} to {high:.3g} "
        f"({part['below_bound']} of {part['variables']} chains not above the proved bound), "
        f"signal {part['signal']:.3g} ({part['bits']:.1f} bits, {part['weak_rows']} rows below 1)",
        f"{calls_text(part['calls'])}{time_text(_microseconds(part))}",
    ]


def machine_text(machine: dict[str, Any]) -> str:
    """Return the machine time of all submissions, in words."""
    source = "as the machine states" if machine["stated"] else "as is typical of its family"
    time = time_text(_microseconds(machine))
    return (
        f"{machine['calls']} calls, {machine['reads']} reads of each submission{time}"
        f"{f' ({source})' if time else ''}"
    )


def _microseconds(facts: dict[str, Any]) -> float | None:
    return None if facts["milliseconds"] is None else 1000 * facts["milliseconds"]


def build_report(compiled: CompiledAttention, reads: int = 1000, prove: bool = False) -> Report:
    """Return the facts of ``compiled``; see `CompiledAttention.report`."""
    recipe, placement = compiled.recipe, compiled.placement
    submissions, machine = submission_facts(compiled, reads)
    return Report(
        stages=tuple(_stage(compiled, index, prove) for index in range(len(compiled.stages))),
        rows=_rows(compiled),
        submissions=submissions,
        target=None if recipe.target is None else str(recipe.target),
        chains={} if placement is None else _histogram(placement.chain_lengths),
        cache=_cache(compiled),
        machine=machine,
    )


def submission_facts(
    compiled: CompiledAttention, reads: int
) -> tuple[tuple[dict[str, object], ...], dict[str, object]]:
    """Return the ``submissions`` and the ``machine`` of a report."""
    submissions = _submissions(compiled)
    if compiled.placement is None:
        return submissions, {}
    calls = compiled.schedule(reads)
    machine: dict[str, object] = {
        "reads": calls.reads,
        "calls": len(calls.calls),
        "milliseconds": _milliseconds(calls.microseconds),
        "stated": calls.stated,
    }
    ready = _ready(compiled, calls)
    return tuple(part | facts for part, facts in zip(submissions, ready, strict=True)), machine


def bound_text(bound: object) -> str:
    """Return the bound of a stage as a table shows it."""
    return "to prove" if bound is None else f"{bound:.4g}"


def _stage(compiled: CompiledAttention, index: int, prove: bool) -> dict[str, object]:
    stage = compiled.stages[index]
    return {
        "name": stage.name,
        "spec": stage.spec,
        **stage.counts,
        "bound": stage.rewrite.prove() if prove else stage.rewrite.bound,
        "margin": stage.rewrite.margin if np.isfinite(stage.rewrite.margin) else 0.0,
        "seconds": stage.seconds,
        "peak": stage.peak,
        "notes": list(stage.rewrite.notes),
    }


def _rows(compiled: CompiledAttention) -> dict[str, int]:
    heads, queries, _ = compiled.attention.shape
    seen = len(compiled.attention.rows)
    submitted = len({row for part in compiled.submissions for row in part.rows})
    return {
        "all": heads * queries,
        "empty": heads * queries - seen,
        "capped": int(compiled.capped.sum()),
        "submitted": submitted,
    }


def _submissions(compiled: CompiledAttention) -> tuple[dict[str, object], ...]:
    return tuple(
        {
            "index": part.index,
            "rows": len(part.rows),
            "variables": len(part.variables),
            "couplers": len(part.bias),
            "qubits": part.qubits,
            "longest_chain": part.longest_chain,
        }
        for part in compiled.submissions
    )


def _ready(compiled: CompiledAttention, calls: Schedule) -> Iterator[dict[str, object]]:
    """Yield what each submission means to the machine."""
    rows = compiled.precision()
    for part in compiled.submissions:
        assert part.physical is not None
        mine = rows.submission == part.index
        strength = part.physical.strength
        many = np.diff(part.physical.chain_ptr) > 1
        own = calls.of(part.index)
        times = [call.microseconds for call in own if call.microseconds is not None]
        proved = np.array(list(part.chain_bound.values()))
        yield {
            "auto_scale": part.auto_scale,
            "chain_strength": [float(strength.min()), float(strength.max())],
            "below_bound": int((many & (strength <= proved)).sum()),
            "signal": float(np.median(rows.field[mine])),
            "bits": float(np.median(rows.bits[mine])),
            "weak_rows": int((rows.bits[mine] < 1).sum()),
            "calls": [call.reads for call in own],
            "milliseconds": _milliseconds(sum(times) if times else None),
        }


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1000.0


def _cache(compiled: CompiledAttention) -> dict[str, object]:
    """Return what the cache did; nothing where it was not asked, as after loading."""
    embed = compiled.recipe.embed
    if embed is None or not (embed.cache.counts.hits or embed.cache.counts.misses):
        return {}
    return embed.cache.report()


def _histogram(lengths: Longs) -> dict[int, int]:
    values, counts = np.unique(lengths, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
