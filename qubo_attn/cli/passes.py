"""``qubo-attn passes``: the passes that a pipeline can name."""

from __future__ import annotations

import dataclasses

import typer

from qubo_attn.cli.console import AsJson, tell


def list_passes(as_json: AsJson = False) -> None:
    """List the passes that --passes can name, those of installed packages included."""
    from qubo_attn.registry import known_passes

    lines = []
    for known in known_passes():
        brought = "" if known.package == "qubo-attn" else f"  [{known.package}]"
        lines.append(known.name + (f"{{{known.options}}}" if known.options else "") + brought)
        problem = typer.style(f"cannot be used: {known.problem}", fg=typer.colors.RED)
        lines.append(f"    {problem if known.problem else known.summary}")
    facts = [dataclasses.asdict(known) for known in known_passes()]
    tell(as_json, facts, "\n".join(lines))
