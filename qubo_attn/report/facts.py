"""Facts of a compilation, as data and as text."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qubo_attn.backend.precision import DROWNS, Precision
from qubo_attn.backend.submission import Submission
from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.pipeline.pipeline import Stage
from qubo_attn.report.schedule import Call, calls_text, milliseconds, schedule, time_text

# A bound whose proof has not been made, in a table.
TO_PROVE = "to prove"


@dataclass(frozen=True)
class Report:
    """Facts of a compilation; printing gives them as text.

    Attributes:
        stages: of each stage: name, spec, variables, couplers, constraints, priced, bound (None
            where its proof has not been made), margin, seconds, peak (most memory held so far, MiB;
            None where the system does not tell), notes.
        rows: counts: all; empty (see no key); capped (fewer keys than k); submitted (a choice is
            left; a tied group counts once).
        submissions: of each submission: variables, couplers, rows, qubits, longest chain; on a
            machine also ``auto_scale`` (what the machine's auto-scaling would divide by), lowest
            and highest chain strength, ``below_bound`` (chains that an optimum may break, as far as
            is proved), ``looked_at`` (rows whose chances were worked out: all, unless there are
            many), ``feasible`` and ``optimum`` (chances of one read of the median one of these;
            None without any), ``drowning`` (head and query of those that are hardly ever feasible),
            calls and time.
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

    def __str__(self) -> str:
        header = f"{'stage':<18}{'variables':>10}{'couplers':>10}{'constraints':>12}"
        lines = [f"{header}{'priced':>8}{'bound':>11}{'seconds':>9}{'peak MiB':>10}"]
        for stage in self.stages:
            peak = "-" if stage["peak"] is None else f"{stage['peak']:.0f}"
            lines.append(
                f"{stage['name']:<18}{stage['variables']:>10}{stage['couplers']:>10}"
                f"{stage['constraints']:>12}{stage['priced']:>8}{bound_text(stage['bound']):>11}"
                f"{stage['seconds']:>9.3f}{peak:>10}"
            )
            lines += [f"    {note}" for note in stage["notes"]]
        if any(stage["bound"] is None for stage in self.stages):
            lines.append(f"{TO_PROVE}: no bound is proved yet; report(prove=True) proves it")
        lines.append(f"objective: {', '.join(self.objectives)}")
        lines.append("rows: " + ", ".join(f"{count} {name}" for name, count in self.rows.items()))
        if self.hidden_by_value:
            lines.append(f"hidden: {self.hidden_by_value} keys by finite logits, such as -1e9")
        lines.append(f"target: {self.target or 'none, logical models alone'}")
        for part in self.submissions:
            lines.append(
                f"submission {part['index']}: {part['rows']} rows, {part['variables']} variables, "
                f"{part['couplers']} couplers, {part['qubits']} qubits, "
                f"longest chain {part['longest_chain']}"
            )
            lines += [f"    {line}" for line in _machine_lines(part)]
        if self.chains:
            counts = (f"{count} of {length}" for length, count in self.chains.items())
            lines.append(f"chains: {', '.join(counts)}")
        if self.machine:
            lines.append(f"machine: {machine_text(self.machine)}")
        if self.cache:
            lines.append("cache: " + ", ".join(f"{name} {x}" for name, x in self.cache.items()))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def bound_text(bound: float | None) -> str:
    """Return the bound of a stage as a table shows it."""
    return TO_PROVE if bound is None else f"{bound:.4g}"


def _machine_lines(part: dict[str, Any]) -> list[str]:
    """Return facts of a submission on its machine, in two lines; none without a machine."""
    if "auto_scale" not in part:
        return []
    low, high = part["chain_strength"]
    return [
        f"auto-scale {part['auto_scale']:.3f}, chain strength {low:.3g} to {high:.3g} "
        f"({part['below_bound']} of {part['variables']} chains not above the proved bound), "
        f"{_chances(part)}",
        *([f"rows hotter than asked: {_listed(part['hotter'])}"] if part["hotter"] else []),
        f"{calls_text(part['calls'])}{time_text(part['milliseconds'])}",
    ]


def _chances(part: dict[str, Any]) -> str:
    """Return what to expect of a read, which rows the warmth drowns, and what would help."""
    looked = part["looked_at"]
    if not looked:
        return "too many rows to say what a read of each gives: see precision()"
    text = (
        f"a read of its median row is feasible with chance {part['feasible']:.2f}, optimal with "
        f"{part['optimum']:.2f}; "
    )
    if looked < part["rows"]:
        text += f"of {looked} rows looked at, "
    if not part["drowning"]:
        return text + "no row drowns"
    return text + (
        f"rows that drown: {_listed(part['drowning'])} (under {DROWNS:.0%} of reads feasible: "
        "fewer slots, shorter chains or another k would help)"
    )


def _listed(rows: list[list[int]]) -> str:
    """Return the first of some rows by name, and how many more there are."""
    names = ", ".join(f"head {head} query {query}" for head, query in rows[:3])
    return f"{names} and {len(rows) - 3} more" if len(rows) > 3 else names


def machine_text(machine: dict[str, Any]) -> str:
    """Return the machine time of all submissions, in words."""
    source = "as the machine states" if machine["stated"] else "as is typical of its family"
    time = time_text(machine["milliseconds"])
    return (
        f"{machine['calls']} calls, {machine['reads']} reads of each submission{time}"
        f"{f' ({source})' if time else ''}"
    )


def build_report(compilation: Compilation, reads: int = 1000, prove: bool = False) -> Report:
    """Return the facts of a compilation; see `CompiledAttention.report`."""
    recipe, placement = compilation.recipe, compilation.placement
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
    ready = (
        _submission(part) | _ready(part, precision, hotter, plan.of(part.index)) for part in parts
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


def _submission(part: Submission) -> dict[str, Any]:
    return {
        "index": part.index,
        "rows": len(part.rows),
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
