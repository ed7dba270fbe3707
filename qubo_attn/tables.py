"""Reports as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from qubo_attn.report import Report, machine_lines, machine_text


def show_report(report: Report) -> None:
    """Print a report: stages, submissions, and what they mean to the machine."""
    console = Console()
    console.print(_stages(report))
    for stage in report.stages:
        for note in stage["notes"]:  # type: ignore[attr-defined]  # a list of str
            console.print(f"{stage['name']}: {note}", highlight=False, markup=False)
    console.print(_submissions(report))
    for part in report.submissions:
        for line in machine_lines(part):
            console.print(f"submission {part['index']}: {line}", highlight=False)
    if report.machine:
        console.print(f"machine: {machine_text(report.machine)}", highlight=False)
    console.print("rows: " + ", ".join(f"{count} {name}" for name, count in report.rows.items()))
    console.print(f"target: {report.target or 'none, logical models alone'}")
    if report.chains:
        shown = ", ".join(f"{count} of length {size}" for size, count in report.chains.items())
        console.print(f"chains: {shown}")
    if report.cache:
        console.print(
            "embedding cache: "
            + ", ".join(f"{name} {value}" for name, value in report.cache.items())
        )


def _stages(report: Report) -> Table:
    table = Table("stage", "variables", "couplers", "rows", "priced", "bound", "seconds")
    for stage in report.stages:
        table.add_row(
            str(stage["name"]),
            *(str(stage[name]) for name in ("variables", "couplers", "constraints", "priced")),
            f"{stage['bound']:.4g}",
            f"{stage['seconds']:.3f}",
        )
    return table


def _submissions(report: Report) -> Table:
    table = Table("submission", "rows", "variables", "couplers", "qubits", "longest chain")
    names = ("index", "rows", "variables", "couplers", "qubits", "longest_chain")
    for part in report.submissions:
        table.add_row(*(str(part[name]) for name in names))
    return table
