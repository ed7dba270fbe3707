"""What a sampler was asked for, and what it took."""

from __future__ import annotations

from collections.abc import Sequence

from qubo_attn.common.words import plural
from qubo_attn.decoding.machine_use import MachineUse
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.pictures.markup import count, details, escape, listed, section, table

# Problems or graphs that are named, at most.
_NAMED = 40


def job_section(result: AttentionResult, use: MachineUse) -> str:
    """Return calls, times, working graphs and problems of the sampler that answered."""
    left = int((~result.answered).sum())
    missing = f" <b>{plural(left, 'row')}</b> have no answer yet." if left else ""
    solvers = ", ".join(escape(solver) for solver in use.solvers) or "a sampler"
    lead = (
        f"{solvers} answered {plural(use.programmings, 'call')}; each call programs the machine "
        f"once and reads it many times.{missing}"
    )
    rows = [
        ["calls answered", count(use.programmings)],
        ["machine time, all tries included", _time(use.access)],
        ["time in the queue", _time(use.queue)],
    ]
    return section(
        "job",
        "The job",
        lead,
        table(["what", "value"], rows),
        _names("Working graphs", use.graph_ids),
        _names("Problems", use.ids),
    )


def _time(seconds: float | None) -> str:
    return "not stated" if seconds is None else f"{1000 * seconds:,.1f} ms"


def _names(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return details(f"{title}: {len(names)}", listed([*names[:_NAMED], *more]))
