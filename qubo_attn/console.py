"""What all commands share: the ``--json`` option, and errors as one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print facts as one JSON document.")]
T = TypeVar("T")

BAD_INPUT = 2


def guarded(run: Callable[[], T]) -> T:
    """Run, turning our errors into a message and exit code 2."""
    from qubo_attn.errors import QuboAttnError

    try:
        return run()
    except (QuboAttnError, OSError) as error:
        typer.secho(f"error: {error}", err=True, fg=typer.colors.RED)
        for note in getattr(error, "__notes__", ()):
            typer.secho(f"  {note}", err=True)
        raise typer.Exit(BAD_INPUT) from None
