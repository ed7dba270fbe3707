"""Reports as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from qubo_attn.common.memory import memory_text
from qubo_attn.report.facts import Report, machine_lines, machine_text


def show_report(report: Report) -> None:
    """Print a report: stages, submissions, and what they mean to the machine."""
    console = Console()

    def line(text: str) -> None:
        # As long as it is: a line that goes on in the next is found by no search.
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    console.print(_stages(report))
    for stage in report.stages:
        for note in stage["notes"]:  # type: ignore[attr-defined]  # a list of str
            line(f"{stage['name']}: {note}")
    console.print(_submissions(report))
    for part in report.submissions:
        for told in machine_lines(part):
            line(f"submission {part['index']}: {told}")
    if report.machine:
        line(f"machine: {machine_text(report.machine)}")
    line("rows: " + ", ".join(f"{count} {name}" for name, count in report.rows.items()))
    line(f"target: {report.target or 'none, logical models alone'}")
    if report.chains:
        lengths = (f"{count} of length {size}" for size, count in report.chains.items())
        line(f"chains: {', '.join(lengths)}")
    if report.cache:
        counts = (f"{name} {value}" for name, value in report.cache.items())
        line(f"embedding cache: {', '.join(counts)}")


def _stages(report: Report) -> Table:
    table = Table(
        "stage", "variables", "couplers", "rows", "priced", "bound", "seconds", "peak MiB"
    )
    for stage in report.stages:
        table.add_row(
            str(stage["name"]),
            *(str(stage[name]) for name in ("variables", "couplers", "constraints", "priced")),
            f"{stage['bound']:.4g}",
            f"{stage['seconds']:.3f}",
            memory_text(stage["peak"]),
        )
    return table


def _submissions(report: Report) -> Table:
    table = Table("submission", "rows", "variables", "couplers", "qubits", "longest chain")
    names = ("index", "rows", "variables", "couplers", "qubits", "longest_chain")
    for part in report.submissions:
        table.add_row(*(str(part[name]) for name in names))
    return table
