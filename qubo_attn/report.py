"""Facts of a compilation, as data and as text."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.arrays import Longs

if TYPE_CHECKING:
    from qubo_attn.artifact import CompiledAttention


@dataclass(frozen=True)
class Report:
    """What a compilation did.

    Attributes:
        stages: per stage: name, spec, variables, couplers, constraints, priced, bound, margin,
            seconds, notes.
        rows: counts: all; empty (see no key); capped (fewer keys than k); submitted (a choice is
            left; a tied group counts once).
        submissions: per submission: variables, couplers, rows, qubits, longest chain.
        target: how the machine is called; None without one.
        chains: number of chains of each length.
        cache: folder and counts of the embedding cache; empty without one.

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

    def to_dict(self) -> dict[str, object]:
        """Return the facts as plain data, ready for JSON."""
        return {
            "stages": list(self.stages),
            "rows": self.rows,
            "submissions": list(self.submissions),
            "target": self.target,
            "chains": {str(length): count for length, count in self.chains.items()},
            "cache": self.cache,
        }

    def __str__(self) -> str:
        header = f"{'stage':<18}{'variables':>10}{'couplers':>10}{'constraints':>12}"
        lines = [f"{header}{'priced':>8}{'bound':>11}{'seconds':>9}"]
        for stage in self.stages:
            lines.append(
                f"{stage['name']!s:<18}{stage['variables']:>10}{stage['couplers']:>10}"
                f"{stage['constraints']:>12}{stage['priced']:>8}{stage['bound']:>11.4g}"
                f"{stage['seconds']:>9.3f}"
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
        if self.chains:
            shown = ", ".join(f"{count} of {length}" for length, count in self.chains.items())
            lines.append(f"chains: {shown}")
        if self.cache:
            lines.append(
                "cache: " + ", ".join(f"{key} {value}" for key, value in self.cache.items())
            )
        return "\n".join(lines)

    def html(self) -> str:
        """Return the text for a notebook."""
        return f"<pre>{html.escape(str(self))}</pre>"


def build_report(compiled: CompiledAttention) -> Report:
    """Return the facts of ``compiled``; see `CompiledAttention.report`."""
    recipe, placement = compiled.recipe, compiled.placement
    return Report(
        stages=tuple(_stage(compiled, index) for index in range(len(compiled.stages))),
        rows=_rows(compiled),
        submissions=_submissions(compiled),
        target=None if recipe.target is None else str(recipe.target),
        chains={} if placement is None else _histogram(placement.chain_lengths),
        cache=_cache(compiled),
    )


def _stage(compiled: CompiledAttention, index: int) -> dict[str, object]:
    stage = compiled.stages[index]
    return {
        "name": stage.name,
        "spec": stage.spec,
        **stage.counts,
        "bound": stage.rewrite.bound,
        "margin": stage.rewrite.margin if np.isfinite(stage.rewrite.margin) else 0.0,
        "seconds": stage.seconds,
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


def _cache(compiled: CompiledAttention) -> dict[str, object]:
    """Return what the cache did; nothing where it was not asked, as after loading."""
    embed = compiled.recipe.embed
    if embed is None or not (embed.cache.counts.hits or embed.cache.counts.misses):
        return {}
    return embed.cache.report()


def _histogram(lengths: Longs) -> dict[int, int]:
    values, counts = np.unique(lengths, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
