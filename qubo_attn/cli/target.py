"""``qubo-attn target``: working graphs of machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qubo_attn.cli.console import AsJson, ending, tell

target_app = typer.Typer(help="Look after working graphs of machines.", no_args_is_help=True)


@target_app.command("fetch")
def fetch(
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON file to write.")],
    profile: Annotated[
        str | None, typer.Option(help="Of the D-Wave client's configuration file.")
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="Name of the solver. [default: the largest that is online]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the working graph of a D-Wave machine as it is at this moment.

    The file is a target: `qubo-attn compile --target chip.json`.
    """
    from qubo_attn.machine.solver import fetch_target

    ending("--output", output, ".json")
    target = fetch_target(profile, solver)
    target.to_json(output)
    facts = {
        "file": str(output),
        "solver": target.label,
        "graph_id": target.properties.get("graph_id"),
        "topology": target.topology,
        "shape": list(target.shape),
        "qubits": len(target.qubits),
        "couplers": len(target.couplers),
        "hash": target.hash,
    }
    graph = f", graph {facts['graph_id']}" if facts["graph_id"] else ""
    tell(as_json, facts, f"{target}{graph}, written to {output}")
