"""Facts of a compilation, as data and as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qubo_attn.backend.precision import DROWNS, Precision
from qubo_attn.backend.submission import Submission
from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.common.brief import Brief, folding
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.pipeline.pipeline import Stage
from qubo_attn.report.schedule import Call, milliseconds, schedule
from qubo_attn.report.text import report_text


@dataclass(frozen=True)
class Report(Brief):
    """Facts of a compilation; printing gives them as text.

    Attributes:
        stages: of each stage: name, spec, variables, couplers, constraints, priced, bound (None
            until it is proved), margin, seconds, peak (most memory held so far, MiB; None if the
            system does not tell), notes.
        rows: counts: all; empty (see no key); capped (fewer keys than k); submitted (a choice is
            left; a tied group counts once).
        submissions: of each submission: variables, couplers, rows, copies of rows that it carries,
            qubits, longest chain. On a machine also calls, time, lowest and highest chain strength.
            ``auto_scale`` is what the machine's auto-scaling would divide by. ``below_bound``
            counts chains that an optimum may break, as far as is proved. ``looked_at`` counts rows
            whose chances were worked out: all, unless there are many. ``feasible`` and ``optimum``
            are the chances of one read of the median of these rows; None without any.
            ``drowning`` has head and query of rows that are hardly ever feasible.
        target: name of the machine; None without one.
        chains: number of chains of each length.
        cache: folder and counts of the embedding cache; empty without one.
        machine: ``reads`` of each submission, ``calls`` and ``milliseconds`` in total, and whether
            the times are ``stated`` by the machine or its family's; empty without a machine.
        hidden_by_value: keys of all rows that are hidden by a finite logit, such as -1e9.
        objectives: names of the objectives, each once.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> compiled = qa.compile(np.zeros((1, 1, 9)), 1, target=None)
        >>> compiled.report().rows["all"]
        1
    """

    stages: tuple[dict[str, Any], ...]
    rows: dict[str, int]
    submissions: tuple[dict[str, Any], ...]
    target: str | None
    chains: dict[int, int] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    hidden_by_value: int = 0
    objectives: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, ready for JSON."""
        chains = {str(length): count for length, count in self.chains.items()}
        return dataclasses.asdict(self) | {"chains": chains}

    def text(self, width: int | None = None) -> str:
        """Return the facts as text.

        Args:
            width: characters of a line: the table of stages then leaves out columns that do not
                fit, and other lines are broken between words. None for lines as long as they come.

        Example:
            >>> import numpy as np, qubo_attn as qa
            >>> text = qa.compile(np.zeros((1, 1, 9)), target=None).report().text(60)
            >>> max(map(len, text.splitlines())) <= 60
            True
        """
        return report_text(self.to_dict(), width)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return folding(str(self))


def build_report(compilation: Compilation, reads: int = 1000, prove: bool = False) -> Report:
    """Return the facts of a compilation; see `CompiledAttention.report`."""
    recipe, placement = compilation.recipe, compilation.seated.placement
    submissions, machine = submission_facts(compilation, reads)
    lengths = np.zeros(0, np.int64) if placement is None else placement.chain_lengths
    chains = dict(zip(*(x.tolist() for x in np.unique(lengths, return_counts=True)), strict=True))
    return Report(
        stages=tuple(_stage(stage, prove) for stage in compilation.stages),
        rows=_rows(compilation),
        submissions=submissions,
        target=None if recipe.target is None else str(recipe.target),
        chains=chains,
        cache=_cache(compilation),
        machine=machine,
        hidden_by_value=compilation.attention.hidden_by_value,
        objectives=tuple(dict.fromkeys(objective.name for objective in recipe.objectives)),
    )


def submission_facts(
    compilation: Compilation, reads: int
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return the ``submissions`` and the ``machine`` of a report."""
    parts = compilation.submissions
    if compilation.placement is None:
        return tuple(_submission(part) for part in parts), {}
    plan, precision = schedule(compilation, reads), compilation.precision(quick=True)
    machine = {
        "reads": plan.reads,
        "calls": len(plan.calls),
        "milliseconds": milliseconds(plan.calls),
        "stated": plan.stated,
    }
    aims = compilation.recipe.aims[np.maximum(precision.head, 0)]
    hotter = (aims > 0) & (precision.temperature > aims * (1 + 1e-6))
    copies = [0] * len(parts)
    if compilation.copies is not None:
        copies[-1] = len(compilation.copies)
    ready = (
        _submission(part, more) | _ready(part, precision, hotter, plan.of(part.index))
        for part, more in zip(parts, copies, strict=True)
    )
    return tuple(ready), machine


def _stage(stage: Stage, prove: bool) -> dict[str, Any]:
    rewrite = stage.rewrite
    return {
        "name": stage.name,
        "spec": stage.spec,
        **stage.counts,
        "bound": rewrite.prove() if prove else rewrite.bound,
        "margin": rewrite.margin if np.isfinite(rewrite.margin) else 0.0,
        "seconds": stage.seconds,
        "peak": stage.peak,
        "notes": list(rewrite.notes),
    }


def _rows(compilation: Compilation) -> dict[str, int]:
    heads, queries, _ = compilation.attention.shape
    return {
        "all": heads * queries,
        "empty": heads * queries - len(compilation.attention.rows),
        "capped": int(compilation.capped.sum()),
        "submitted": len({row for part in compilation.submissions for row in part.rows}),
    }


def _submission(part: Submission, copies: int = 0) -> dict[str, Any]:
    return {
        "index": part.index,
        "rows": len(part.rows),
        "copies": copies,
        "variables": len(part.variables),
        "couplers": len(part.bias),
        "qubits": part.qubits,
        "longest_chain": part.longest_chain,
    }


def _ready(
    part: Submission, precision: Precision, hotter: Bools, calls: Iterable[Call]
) -> dict[str, Any]:
    """Return facts of a submission on its machine."""
    assert part.physical is not None
    of_part = precision.submission == part.index
    known = of_part & np.isfinite(precision.feasible)
    strength = part.physical.strength
    drowning = np.flatnonzero(known & (precision.feasible < DROWNS))
    long = np.diff(part.physical.chain_ptr) > 1
    proved = np.array(list(part.chain_bound.values()))
    return {
        "auto_scale": part.auto_scale,
        "chain_strength": [float(strength.min()), float(strength.max())],
        "below_bound": int((long & (strength <= proved)).sum()),
        "looked_at": int(known.sum()),
        "feasible": float(np.median(precision.feasible[known])) if known.any() else None,
        "optimum": float(np.median(precision.optimum[known])) if known.any() else None,
        "drowning": _names(precision, drowning),
        "hotter": _names(precision, np.flatnonzero(of_part & hotter)),
        "calls": [call.reads for call in calls],
        "milliseconds": milliseconds(calls),
    }


def _names(precision: Precision, rows: Longs) -> list[list[int]]:
    """Return head and query of some rows."""
    return [[int(precision.head[row]), int(precision.query[row])] for row in rows.tolist()]


def _cache(compilation: Compilation) -> dict[str, Any]:
    """Return folder and counts of the cache; nothing where no packing was asked for."""
    embed = compilation.recipe.embed
    if embed is None or not (embed.cache.counts.hits or embed.cache.counts.misses):
        return {}
    return embed.cache.report()
