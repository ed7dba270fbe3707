"""``qubo-attn inspect`` and ``draw``: look at a compiled folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qubo_attn.cli.console import AsJson, echo_json, guarded
from qubo_attn.cli.solve import Folder

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.pipeline.pipeline import Stage


def inspect(
    folder: Folder,
    reads: Annotated[int, typer.Option(help="Reads per submission, for machine time.")] = 1000,
    stage: Annotated[
        str | None, typer.Option(help="Print the program after this stage instead, whole.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show stages, submissions, chains, precision and machine time of a compiled folder."""
    import qubo_attn as qa

    compiled = guarded(lambda: qa.load(folder))
    if stage is not None:
        found = guarded(lambda: stage_named(compiled, stage))
        text = found.program.text()
        if as_json:
            echo_json({"name": found.name, "spec": found.spec, **found.counts, "text": text})
        else:
            typer.echo(text, nl=False)
        return
    report = guarded(lambda: compiled.report(reads))
    if as_json:
        echo_json(report.to_dict())
        return
    from qubo_attn.cli.tables import show_report

    show_report(report)


def draw(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .svg, .pdf.")],
    submission: Annotated[int, typer.Option(help="Its number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw the chip with the rows of one submission, coloured by head."""
    import qubo_attn as qa

    guarded(lambda: qa.load(folder).draw(submission, out))
    if as_json:
        echo_json({"file": str(out), "submission": submission})
    else:
        typer.echo(f"wrote {out}")


def stage_named(compiled: CompiledAttention, name: str) -> Stage:
    """Return the last stage of a name.

    Raises:
        InputError: there is none; names those there are.
    """
    from qubo_attn.common.checks import nearest
    from qubo_attn.errors import InputError

    by_name = {stage.name: stage for stage in compiled.stages}
    if name not in by_name:
        raise InputError(
            f"there is no stage {name!r}; one of {', '.join(by_name)}{nearest(name, by_name)}",
            stage=name,
        )
    return by_name[name]
