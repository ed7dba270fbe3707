"""What a command did, in a few lines and a verdict; `-v` adds the rest."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any

from qubo_attn.common.words import plural

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.decoding.result import AttentionResult
    from qubo_attn.report.facts import Report


def compiled_lines(compiled: CompiledAttention, report: Report, why: str) -> list[str]:
    """Return what was compiled, for which machine, and what to expect there.

    Args:
        compiled: the compilation.
        report: its facts.
        why: how its objective was chosen, in words, with the comma before them.
    """
    heads, queries, keys = compiled.attention.shape
    rows = report.rows
    selects = ", ".join(dict.fromkeys(map(str, compiled.recipe.selects)))
    lines = [
        f"rows: {rows['all']:,} ({plural(heads, 'head')}, {plural(queries, 'query')}, "
        f"{plural(keys, 'key')}), "
        f"select {selects}{_odd_rows(rows['capped'], rows['empty'])}",
        f"objective: {', '.join(report.objectives)}{why}",
    ]
    last = report.stages[-1]
    bounds = [stage["bound"] for stage in report.stages]
    lost = sum(bound or 0.0 for bound in bounds)
    loss = (
        "loss not proved"
        if None in bounds
        else "nothing lost on the way"
        if not lost
        else f"at most {lost:.3g} lost on the way, in units of the objective"
    )
    size = f"{plural(last['variables'], 'variable')}, {plural(last['couplers'], 'coupler')}"
    lines.append(f"program: {size}; {loss}")
    if compiled.placement is None or not report.submissions:
        return [*lines, f"machine: {report.target or 'none, logical models alone'}"]
    parts = report.submissions
    lines.append(
        f"machine: {report.target}; {plural(len(parts), 'submission')}, at most "
        f"{max(part['qubits'] for part in parts):,} qubits in use, longest chain "
        f"{max(part['longest_chain'] for part in parts)}"
    )
    copies = sum(part["copies"] for part in parts)
    if copies:
        lines.append(f"room left: {plural(copies, 'copy')} of rows of the last submission")
    return [*lines, *_expected(parts), f"machine time: {_time(report.machine)}"]


def _odd_rows(capped: int, empty: int) -> str:
    few = f"; {capped:,} see too few keys and keep all of them" if capped else ""
    return few + (f"; {empty:,} see no key" if empty else "")


def _expected(parts: Iterable[dict[str, Any]]) -> list[str]:
    known = [part for part in parts if part["looked_at"]]
    if not known:
        return []
    drowning = sum(len(part["drowning"]) for part in known)
    feasible, optimum = (min(part[name] for part in known) for name in ("feasible", "optimum"))
    # The median row of each submission is known, so of several the one with the worst is named.
    where = "one read there" if len(known) == 1 else "one read of the hardest submission"
    drown = f"; {plural(drowning, 'row')} hardly ever feasible" if drowning else ""
    return [
        f"{where}: the median row is feasible with chance {feasible:.2f}, optimal with "
        f"{optimum:.2f}{drown}"
    ]


def _time(machine: dict[str, Any]) -> str:
    calls = f"{plural(machine['calls'], 'call')}, {machine['reads']:,} reads of each submission"
    if machine["milliseconds"] is None:
        return f"not known; {calls}"
    source = "as the machine states" if machine["stated"] else "typical of its family"
    return f"{machine['milliseconds']:,.0f} ms ({source}); {calls}"


def solved_lines(
    compiled: CompiledAttention, result: AttentionResult, facts: dict[str, Any]
) -> list[str]:
    """Return how rows were solved and how far the output is off, and a verdict.

    Args:
        compiled: the compilation.
        result: its result.
        facts: of `solution_facts`, with ``machine`` where there is one.
    """
    rows = facts["rows"]
    feasible = "all" if facts["feasible"] == 1 else f"{facts['feasible']:.1%}"
    repaired = f", {facts['repaired']:,} repaired" if facts["repaired"] else ""
    lines = [
        f"rows: {rows:,}, {feasible} feasible{repaired}; {facts['proven']:,} proven optimal"
        f"{_odd_rows(facts['capped'], facts['empty'])}"
    ]
    unanswered = int((~result.answered).sum())
    if unanswered:
        lines.append(f"no answer yet: {plural(unanswered, 'row')}")
    if result.machine is not None:
        broken = f"{facts['chain_break_fraction']:.2%} of chains broken"
        lines.append(f"sampler: {result.machine}; {broken}")
    if isfinite(facts["feasible_reads"]):
        lines.append(f"reads: {facts['feasible_reads']:.1%} feasible as sampled")
    if result.blocks is not None:
        lines.append(f"blocks: {result.blocks}")
    rivals = facts["rivals"]
    if rivals:
        errors = "; ".join(f"{name} {error:.4f}" for name, error in rivals.items())
        lines.append(f"mean relative output error: {errors}")
    if "machine" in facts:
        lines.append(f"machine time: {_time(facts['machine'])}")
    return [*lines, f"verdict: {_verdict(facts)}"]


def _verdict(facts: dict[str, Any]) -> str:
    same, rows, rivals = facts["same_as_top_k"], facts["seeing"], facts["rivals"]
    if not rows:
        return "there is nothing to select: no query sees a key"
    if same == rows:
        remedy = "" if rivals else "; give values, and the objective is the output's error"
        return f"the selection equals top-k in every row{remedy}"
    differ = f"{rows - same:,} of {plural(rows, 'row')} differ from top-k"
    if not rivals:
        return f"{differ}; without values nothing says which is better"
    (_, ours), *_, (fairest, theirs) = rivals.items()
    if ours < theirs:
        return f"{1 - ours / theirs:.0%} less output error than {fairest}; {differ}"
    return f"no gain: {fairest} has no more output error; {differ}"
