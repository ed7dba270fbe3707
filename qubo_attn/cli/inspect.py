"""``qubo-attn inspect`` and ``draw``: look at a compiled folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qubo_attn.cli.console import AsJson, details, tell
from qubo_attn.cli.solve import Folder


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
    from qubo_attn.common.checks import one_of

    compiled = qa.load(folder)
    if stage is None:
        report = compiled.report(reads)
        tell(as_json, report.to_dict(), details(report))
        return
    stages = {stage.name: stage for stage in compiled.stages}
    shown = stages[one_of("stage", stage, stages)]
    text = shown.program.text()
    facts = {"name": shown.name, "spec": shown.spec, **shown.counts, "text": text}
    tell(as_json, facts, text.removesuffix("\n"))


def draw(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .svg, .pdf.")],
    submission: Annotated[int, typer.Option(help="Number of the submission.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw the chip with the rows of one submission; heads differ by colour and mark.

    An .svg file is the drawing of the HTML page; other pictures need matplotlib.
    """
    import qubo_attn as qa
    from qubo_attn.common.files import path_of

    compiled, out = qa.load(folder), path_of("--out", out)
    if out.suffix.lower() == ".svg":
        from qubo_attn.report.drawing import write_svg

        write_svg(compiled, submission, out)
    else:
        from qubo_attn.pictures.plots import picture_path

        out = picture_path(out)
        compiled.draw(submission, out)
    tell(as_json, {"file": str(out), "submission": submission}, f"wrote {out}")
