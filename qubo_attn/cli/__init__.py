"""The command line; every command has a file of its own.

Nothing but the commands' options is loaded before one runs, so that help and completion are quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from qubo_attn._version import __version__
from qubo_attn.cli.bench import bench
from qubo_attn.cli.cache import cache_app
from qubo_attn.cli.compile import compile_file
from qubo_attn.cli.console import Commands
from qubo_attn.cli.inspect import draw, inspect
from qubo_attn.cli.jobs import job_app, submit
from qubo_attn.cli.passes import list_passes
from qubo_attn.cli.report import write_report
from qubo_attn.cli.solve import solve
from qubo_attn.cli.target import target_app
from qubo_attn.cli.warm import warm

app = typer.Typer(
    cls=Commands,
    help="Lower attention to quantum-annealer problems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: the library that draws boxes takes most of a second to load.
    rich_markup_mode=None,
)
app.command("compile")(compile_file)
app.command("solve")(solve)
app.command("submit")(submit)
app.command("inspect")(inspect)
app.command("draw")(draw)
app.command("report")(write_report)
app.command("bench")(bench)
app.command("passes")(list_passes)
app.command("warm")(warm)
app.add_typer(job_app, name="job")
app.add_typer(cache_app, name="cache")
app.add_typer(target_app, name="target")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"qubo-attn {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Lower attention to quantum-annealer problems, and read samples back as attention."""
