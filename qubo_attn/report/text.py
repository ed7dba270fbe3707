"""Facts of a compilation as text, for terminals of any width.

The facts are those of `qubo_attn.report.facts.Report.to_dict`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qubo_attn.backend.precision import DROWNS
from qubo_attn.common.words import plural
from qubo_attn.report.schedule import calls_text, time_text

# A bound whose proof has not been made, in a table.
TO_PROVE = "to prove"
# Columns of the table of stages with their widths.
_COLUMNS = {
    "variables": 10,
    "couplers": 10,
    "constraints": 12,
    "priced": 8,
    "bound": 11,
    "seconds": 9,
    "peak MiB": 10,
}
_NAME = 18
_ODD = {"capped": "see too few keys and keep all of them", "empty": "see no key"}
# Columns that are left out where a line is too short, the first ones first.
_LEFT_OUT = ("peak MiB", "priced", "seconds", "constraints", "couplers", "bound")


def report_text(facts: Mapping[str, Any], width: int | None = None) -> str:
    """Return a report as text; see `qubo_attn.report.facts.Report.text`."""
    columns = _fitting(width)
    lines = [_line("stage", columns)]
    for stage in facts["stages"]:
        lines.append(_line(stage["name"], {name: _cell(stage, name) for name in columns}))
        lines += _wrapped((f"    {note}" for note in stage["notes"]), width)
    return "\n".join([*lines, *_wrapped(_rest(facts), width)])


def _fitting(width: int | None) -> dict[str, str]:
    """Return the columns that fit, with their titles."""
    names = dict(_COLUMNS)
    for name in _LEFT_OUT:
        if width is None or _NAME + sum(names.values()) <= width:
            break
        del names[name]
    return {name: name for name in names}


def _line(name: str, cells: Mapping[str, str]) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{cells[each]:>{_COLUMNS[each]}}" for each in cells)


def _cell(stage: Mapping[str, Any], name: str) -> str:
    if name == "bound":
        return bound_text(stage["bound"])
    if name == "seconds":
        return f"{stage['seconds']:.3f}"
    if name == "peak MiB":
        return "-" if stage["peak"] is None else f"{stage['peak']:.0f}"
    return str(stage[name])


def _rest(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield all lines below the table of stages."""
    if any(stage["bound"] is None for stage in facts["stages"]):
        yield f"{TO_PROVE}: no bound is proved yet; report(prove=True) proves it"
    yield f"objective: {', '.join(facts['objectives'])}"
    rows = facts["rows"]
    yield f"rows: {rows['all']}, {rows['submitted']} with a choice left" + "".join(
        f"; {rows[name]} {words}" for name, words in _ODD.items() if rows[name]
    )
    if facts["hidden_by_value"]:
        hidden = plural(facts["hidden_by_value"], "key", "d")
        yield f"hidden: {hidden} by finite logits, such as -1e9"
    yield f"target: {facts['target'] or 'none, logical models alone'}"
    for part in facts["submissions"]:
        yield (
            f"submission {part['index']}: {_counts(part)}, longest chain {part['longest_chain']}"
        )
        yield from (f"    {line}" for line in _machine_lines(part))
    if facts["chains"]:
        counts = (f"{count} of {length}" for length, count in facts["chains"].items())
        yield f"chains: {', '.join(counts)}"
    if facts["machine"]:
        yield f"machine: {machine_text(facts['machine'])}"
    if facts["cache"]:
        yield "cache: " + ", ".join(f"{name} {x}" for name, x in facts["cache"].items())


def _wrapped(lines: Iterator[str] | Sequence[str], width: int | None) -> list[str]:
    """Return lines broken between words; what follows a break is indented."""
    if width is None:
        return list(lines)
    wrapped: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        wrapped += textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return wrapped


def _counts(part: Mapping[str, Any]) -> str:
    """Return how much a submission holds, in words."""
    rows, *rest = (
        plural(part[name], name[:-1], "d") for name in ("rows", "variables", "couplers", "qubits")
    )
    copies = [f"{plural(part['copies'], 'copy', 'd')} of them"] if part["copies"] else []
    return ", ".join([rows, *copies, *rest])


def bound_text(bound: float | None) -> str:
    """Return the bound of a stage as a table shows it."""
    return TO_PROVE if bound is None else f"{bound:.4g}"


def _machine_lines(part: Mapping[str, Any]) -> list[str]:
    """Return facts of a submission on its machine, a line each; none without a machine."""
    if "auto_scale" not in part:
        return []
    low, high = part["chain_strength"]
    proved = (
        f"{part['below_bound']} of {part['variables']} chains weaker than is proved to hold"
        if part["below_bound"]
        else "every chain proved to hold"
    )
    return [
        f"chain strength {low:.3g} to {high:.3g}, {proved}; auto-scale {part['auto_scale']:.3f}",
        _chances(part),
        *([f"rows hotter than asked: {_listed(part['hotter'])}"] if part["hotter"] else []),
        f"{calls_text(part['calls'])}{time_text(part['milliseconds'])}",
    ]


def _chances(part: Mapping[str, Any]) -> str:
    """Return what to expect of a read, which rows the warmth drowns, and what would help."""
    looked = part["looked_at"]
    if not looked:
        return "too many rows to say what a read of each gives: see precision()"
    text = (
        f"a read of its median row is feasible with chance {part['feasible']:.2f}, optimal with "
        f"{part['optimum']:.2f}; "
    )
    if looked < part["rows"]:
        text += f"of {plural(looked, 'row', 'd')} looked at, "
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


def machine_text(machine: Mapping[str, Any]) -> str:
    """Return the machine time of all submissions, in words."""
    source = "as the machine states" if machine["stated"] else "as is typical of its family"
    time = time_text(machine["milliseconds"])
    calls = plural(machine["calls"], "call", "d")
    return (
        f"{calls}, {machine['reads']} reads of each submission{time}"
        f"{f' ({source})' if time else ''}"
    )
