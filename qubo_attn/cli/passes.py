"""``qubo-attn passes``: the passes that a pipeline can name."""

from __future__ import annotations

import dataclasses

import typer

from qubo_attn.cli.console import AsJson, tell


def list_passes(as_json: AsJson = False) -> None:
    """List the passes that --passes can name, those of installed packages included."""
    from qubo_attn.registry import known_passes

    lines = []
    passes = known_passes()
    for entry in passes:
        brought = "" if entry.package == "qubo-attn" else f"  [{entry.package}]"
        lines.append(entry.name + (f"{{{entry.options}}}" if entry.options else "") + brought)
        problem = typer.style(f"cannot be used: {entry.problem}", fg=typer.colors.RED)
        lines.append(f"    {problem if entry.problem else entry.summary}")
    facts = [dataclasses.asdict(entry) for entry in passes]
    tell(as_json, facts, "\n".join(lines))
