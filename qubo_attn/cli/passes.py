"""``qubo-attn passes``: the passes that a pipeline can name."""

from __future__ import annotations

import dataclasses

import typer

from qubo_attn.cli.console import AsJson, echo_json


def list_passes(as_json: AsJson = False) -> None:
    """List the passes that --passes can name, those of installed packages included."""
    show_passes(as_json)


def show_passes(as_json: bool = False) -> None:
    """Print every pass with its options and, where it is not ours, the package that brings it."""
    from qubo_attn.registry import known_passes

    found = known_passes()
    if as_json:
        echo_json([dataclasses.asdict(known) for known in found])
        return
    for known in found:
        brought = "" if known.package == "qubo-attn" else f"  [{known.package}]"
        options = f"{{{known.options}}}" if known.options else ""
        typer.echo(f"{known.name}{options}{brought}")
        if known.problem:
            typer.secho(f"    cannot be used: {known.problem}", fg=typer.colors.RED)
        else:
            typer.echo(f"    {known.summary}")
