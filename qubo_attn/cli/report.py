"""``qubo-attn report``: one HTML page on what a compilation did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qubo_attn.cli.console import AsJson, ending, tell
from qubo_attn.cli.labels import kept_tokens, read_tokens
from qubo_attn.cli.progress import progress
from qubo_attn.cli.solve import Folder


def write_report(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .html file to write.")],
    solve: Annotated[
        bool, typer.Option("--solve/--no-solve", help="Also solve it here, and show what came out.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of whatever is drawn at random.")] = 1,
    reads: Annotated[
        int | None, typer.Option(help="Reads per submission; the local solver then anneals.")
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="Labels of the keys: a .npz with an array tokens, or text, one token a line. "
            "[default: those of the file that was compiled]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on what a compilation did to its attention; it loads nothing."""
    import qubo_attn as qa
    from qubo_attn.common.files import path_of
    from qubo_attn.report.page.outcome import compared, mean_error

    compiled, out = qa.load(folder), ending("--out", path_of("--out", out), ".html", ".htm")
    if tokens is None:
        labels = kept_tokens(path_of("FOLDER", folder), compiled.attention.shape[-1])
    else:
        labels = read_tokens(path_of("--tokens", tokens))
    options: dict[str, Any] = {} if reads is None else {"num_reads": reads}
    sampler = None if reads is None else "anneal"
    result = None
    with progress("reporting", (len(compiled.submissions) if solve else 0) + 1) as step:
        if solve:
            result = compiled.solve(
                sampler,
                seed=seed,
                before=lambda part: step(f"solving submission {part.index}"),
                **options,
            )
        step("writing the page")
        compiled.write_html(out, result, tokens=labels, reads=1000 if reads is None else reads)
    facts: dict[str, Any] = {
        "file": str(out),
        "bytes": out.stat().st_size,
        "stages": [stage.name for stage in compiled.stages],
        "solved": result is not None,
    }
    if result is not None:
        facts["feasible"] = result.feasible_share
        facts["errors"] = {
            rival.name: mean_error(rival.errors)
            for rival in compared(compiled.attention, result)
            if rival.errors is not None and not result.empty.all()
        }
    tell(as_json, facts, f"wrote {out}, {facts['bytes']:,} bytes")
