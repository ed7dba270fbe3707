"""``qubo-attn try``: what the compiler does for a file, beside top-k."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qubo_attn.cli.compile import Probabilities, Problem, ScoresFile, ScoresName, TargetName
from qubo_attn.cli.console import AsJson, ending, tell, width
from qubo_attn.cli.labels import tokens_beside
from qubo_attn.cli.progress import progress
from qubo_attn.common.words import plural


def try_file(
    file: ScoresFile,
    keys: Annotated[
        str, typer.Option(help="Numbers of keys that each row keeps, parted by commas.")
    ] = "2,4,8",
    scores: ScoresName = ("scores"),
    probabilities: Probabilities = False,
    target: TargetName = "zephyr:12",
    reads: Annotated[int, typer.Option(help="Reads per programming, for machine time.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the embedding search.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write the .html page of the best number of keys; of one with --keys K."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile and solve a file for several numbers of keys, and compare with top-k.

    The local solver solves all rows here; the machine's time and chances are predictions.
    """
    import qubo_attn as qa
    from qubo_attn.common.files import path_of

    page = None if report is None else ending("--report", path_of("--report", report), ".html")
    numbers = _numbers(keys)
    arrays = Problem(file=file, scores=scores, probabilities=probabilities).arrays()
    with progress("trying", 2 * len(numbers)) as step:
        trial = qa.try_out(
            k=numbers,
            reads=reads,
            step=step,
            target=None if target == "none" else target,
            seed=seed,
            **arrays,
        )
        if page is not None:
            shape = trial.best.compiled.attention.shape
            trial.write_html(page, tokens=tokens_beside(path_of("FILE", file), shape[-1]))
    facts = trial.to_dict() | {"report": None if page is None else str(page)}
    text = trial.text(width())
    if page is not None:
        text += f"\nwrote {page}, on {plural(trial.best.k, 'key')}"
    tell(as_json, facts, text)


def _numbers(text: str) -> list[int]:
    """Return the numbers that a text lists."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--keys takes numbers parted by commas, not {text!r}") from None
