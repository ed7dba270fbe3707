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
from qubo_attn.cli.console import Commands, examples
from qubo_attn.cli.inspect import draw, inspect
from qubo_attn.cli.instances import make_instances
from qubo_attn.cli.jobs import job_app, submit
from qubo_attn.cli.passes import list_passes
from qubo_attn.cli.report import write_report
from qubo_attn.cli.solve import solve
from qubo_attn.cli.target import target_app
from qubo_attn.cli.trial import try_file
from qubo_attn.cli.warm import warm

app = typer.Typer(
    cls=Commands,
    help="Lower attention to quantum-annealer problems.",
    epilog=examples(
        (
            "qubo-attn try layer.npz --report report.html",
            "qubo-attn compile layer.npz --keys 4 -o out",
            "qubo-attn solve out",
            "qubo-attn report out -o report.html",
        )
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: the library that draws boxes takes most of a second to load.
    rich_markup_mode=None,
)
# In the order of the help: name, what it does in a few words, and commands to start from.
for command, words, starts in (
    (
        try_file,
        "try: Compare with top-k on a file, for several k.",
        (
            "qubo-attn try layer.npz",
            "qubo-attn try layer.npz --keys 4 --target pegasus:16 --report report.html",
        ),
    ),
    (
        compile_file,
        "compile: Compile scores to models with embeddings.",
        (
            "qubo-attn compile layer.npz --keys 4 -o out",
            "qubo-attn compile layer.npz --target pegasus:16 --cache kept -o out",
            "qubo-attn compile attentions.npy --probabilities --target none -o out",
        ),
    ),
    (
        solve,
        "solve: Solve a compiled folder here; compare with top-k.",
        (
            "qubo-attn solve out -o selected.npz",
            "qubo-attn solve out --machine simulated --reads 100 -v",
        ),
    ),
    (
        submit,
        "submit: Sample a compiled folder by a machine.",
        (
            "qubo-attn submit out --job run7 --dry-run --price 2000",
            "qubo-attn submit out --job run7 --machine simulated",
        ),
    ),
    (
        inspect,
        "inspect: Show all facts of a compiled folder.",
        ("qubo-attn inspect out", "qubo-attn inspect out --stage insert-penalties"),
    ),
    (
        draw,
        "draw: Draw the chip with the rows of a submission.",
        ("qubo-attn draw out -o chip.svg",),
    ),
    (
        write_report,
        "report: Write one HTML page on a compiled folder.",
        ("qubo-attn report out -o report.html",),
    ),
    (
        bench,
        "bench: Time compilation and later batches of a file.",
        ("qubo-attn bench layer.npz --keys 4 --repeats 20",),
    ),
    (
        make_instances,
        "instances: Write rows as instances with proven optima.",
        (
            "qubo-attn instances rows --data layer.npz --count 20",
            "qubo-attn instances rows --data layers --sizes 8,20 --licence Apache-2.0",
        ),
    ),
    (list_passes, "passes: List the passes that --passes can name.", ("qubo-attn passes",)),
    (warm, "warm: Compile the kernels ahead.", ("qubo-attn warm",)),
):
    name, _, short = words.partition(": ")
    app.command(name, short_help=short, epilog=examples(starts))(command)
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
