"""The command line: compile a file, solve it, look at it, look after the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cache_cli import cache_app
from qubo_attn.console import AsJson
from qubo_attn.console import guarded as _guarded
from qubo_attn.report_cli import write_report

if TYPE_CHECKING:
    import numpy as np

    from qubo_attn.artifact import CompiledAttention
    from qubo_attn.decode import AttentionResult
    from qubo_attn.report import Report

app = typer.Typer(
    help="Lower attention to quantum-annealer problems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cache_app, name="cache")
app.command("report")(write_report)

Folder = Annotated[Path, typer.Argument(help="A folder that `compile` wrote.")]
PASSES = 4  # of the default pipeline, the embedding included


@app.command("compile")
def compile_file(
    file: Annotated[Path, typer.Argument(help="Scores: .npy, or .npz with scores, value, key.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    keys: Annotated[int, typer.Option(help="Keys that each row keeps.")] = 8,
    levels: Annotated[
        int,
        typer.Option(help="With output: largest level of a kept key's soft weight; 0 for hard."),
    ] = 0,
    objective: Annotated[str, typer.Option(help="selection, redundancy or output.")] = "selection",
    target: Annotated[
        str, typer.Option(help="zephyr:M, pegasus:M, all-to-all, none, or a working graph's JSON.")
    ] = "zephyr:12",
    slots: Annotated[
        int | None, typer.Option(help="Most keys a row chooses from; 16 or twice --keys if unset.")
    ] = None,
    tie: Annotated[
        str, typer.Option(help="none, kv-head (heads of one key/value head), or queries too: kv.")
    ] = "none",
    seed: Annotated[int, typer.Option(help="Seed of the search for embeddings.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compile attention scores to ready-to-submit models with embeddings."""
    import qubo_attn as qa

    def run() -> CompiledAttention:
        arrays = read_attention(file)
        scores = arrays["scores"]
        heads = len(scores) if scores.ndim == 3 else 1
        with _Progress("compiling", PASSES) as step:
            compiled = qa.compile(
                arrays["scores"],
                heads,
                select=qa.SoftWeights(levels, k=keys) if levels else qa.ExactlyK(keys),
                objective=objective,
                values=arrays.get("value"),
                keys=arrays.get("key"),
                mask=arrays.get("mask"),
                kv_head=arrays.get("kv_head"),
                tie=_tie(tie, arrays.get("kv_head")),
                slots="auto" if slots is None else slots,
                target=None if target == "none" else target,
                seed=seed,
                before=(lambda pass_, program: step(pass_.name),),
            )
            compiled.save(out)
        return compiled

    compiled = _guarded(run)
    if as_json:
        typer.echo(json.dumps(compiled.report().to_dict()))
    else:
        _show(compiled.report())
        typer.echo(f"wrote {out}")


@app.command()
def solve(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="Seed of the local annealer.")] = 1,
    reads: Annotated[int | None, typer.Option(help="Reads per submission.")] = None,
    decoder: Annotated[str | None, typer.Option(help="renormalise or residual.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write selected, weights, context to .npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Solve a compiled folder by local simulated annealing and compare with top-k."""
    import numpy as np

    import qubo_attn as qa
    from qubo_attn.report import machine_text

    def run() -> tuple[CompiledAttention, AttentionResult]:
        compiled = qa.load(folder)
        options: dict[str, Any] = {} if reads is None else {"num_reads": reads}
        with _Progress("solving", len(compiled.submissions)) as step:
            result = compiled.solve(
                seed=seed,
                decoder=decoder,
                before=lambda part: step(f"submission {part.index}"),
                **options,
            )
        return compiled, result

    compiled, result = _guarded(run)
    if out is not None:
        arrays = {"selected": result.selected, "weights": result.weights}
        if result.context is not None:
            arrays["context"] = result.context
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    facts = solution_facts(compiled, result)
    if compiled.placement is not None:
        facts["machine"] = compiled.report(1000 if reads is None else reads).machine
    if as_json:
        typer.echo(json.dumps(facts))
        return
    typer.echo(str(result))
    for name, value in facts.items():
        if name.startswith("error_"):
            typer.echo(f"mean relative output error, {name.removeprefix('error_')}: {value:.4f}")
    if "machine" in facts:
        typer.echo(f"a machine would take {machine_text(facts['machine'])}")


@app.command()
def inspect(
    folder: Folder,
    reads: Annotated[int, typer.Option(help="Reads per submission, for machine time.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Show stages, submissions, chains, precision and machine time of a compiled folder."""
    import qubo_attn as qa

    report = _guarded(lambda: qa.load(folder).report(reads))
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _show(report)


@app.command()
def draw(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .svg, .pdf.")],
    submission: Annotated[int, typer.Option(help="Its number.")] = 0,
) -> None:
    """Draw the chip with the rows of one submission, coloured by head."""
    import qubo_attn as qa

    _guarded(lambda: qa.load(folder).draw(submission, out))
    typer.echo(f"wrote {out}")


# -- shared -------------------------------------------------------------------------------------


def read_attention(file: Path) -> dict[str, np.ndarray]:
    """Read scores and what belongs to them from a .npy or .npz file.

    Raises:
        InputError: the file does not read, or holds no ``scores``; names it.
    """
    from zipfile import BadZipFile

    import numpy as np

    from qubo_attn.errors import InputError

    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"scores": loaded}
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise InputError(f"{file} does not read as .npy or .npz: {error}", file=str(file)) from None
    for singular in ("value", "key"):
        if f"{singular}s" in arrays:
            arrays[singular] = arrays[f"{singular}s"]
    if "scores" not in arrays:
        found = ", ".join(arrays) or "nothing"
        raise InputError(f"{file} holds no array named scores (found {found})", file=str(file))
    return arrays


def solution_facts(compiled: CompiledAttention, result: AttentionResult) -> dict[str, Any]:
    """Return feasibility and, where there are values, output errors of ours and of top-k."""
    import numpy as np

    from qubo_attn.decode import relative_errors
    from qubo_attn.decoders import top_k, weights_of

    facts: dict[str, Any] = {
        "rows": int(result.feasible.size),
        "feasible": float(result.feasible.mean()),
        "repaired": int(result.repaired.sum()),
        "capped": int(result.capped.sum()),
        "empty": int(result.empty.sum()),
        "submissions": len(compiled.submissions),
        "chain_break_fraction": result.chain_break_fraction,
    }
    attention = compiled.attention
    if attention.values is None:
        return facts
    facts["error_ours"] = float(np.nanmean(result.output_errors(attention)))
    chosen = top_k(attention.softmax, attention.visible, result.selected.sum(axis=-1))
    for decoder in ("renormalise", "residual"):
        weights = weights_of(decoder, attention.softmax, chosen, attention.visible)
        errors = relative_errors(weights @ attention.values, attention)
        facts[f"error_top-k {decoder}"] = float(np.nanmean(errors))
    return facts


def _tie(tie: str, kv_head: np.ndarray | None) -> Any:
    from qubo_attn.errors import InputError
    from qubo_attn.passes import TieVariables

    if tie == "none":
        return None
    if tie not in ("kv-head", "kv"):
        raise InputError(f"unknown --tie {tie!r}; one of none, kv-head, kv", tie=tie)
    if kv_head is None:
        raise InputError(f"--tie {tie} needs an array kv_head in the file", argument="kv_head")
    return TieVariables.from_kv_head(kv_head, queries=tie == "kv")


class _Progress:
    """A progress bar on standard error that says which step runs; silent where no terminal is."""

    def __init__(self, title: str, steps: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task(title, total=steps)

    def __enter__(self) -> Callable[[str], None]:
        self.bar.start()
        return self.step

    def step(self, name: str) -> None:
        """Show the step that begins."""
        self.bar.update(self.task, description=name, advance=1)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def _show(report: Report) -> None:
    """Print a report as tables."""
    from rich.console import Console
    from rich.table import Table

    from qubo_attn.memory import memory_text
    from qubo_attn.report import machine_lines, machine_text

    console = Console()
    stages = Table(
        "stage", "variables", "couplers", "rows", "priced", "bound", "seconds", "peak MiB"
    )
    for stage in report.stages:
        stages.add_row(
            str(stage["name"]),
            *(str(stage[name]) for name in ("variables", "couplers", "constraints", "priced")),
            f"{stage['bound']:.4g}",
            f"{stage['seconds']:.3f}",
            memory_text(stage["peak"]),
        )
    console.print(stages)
    for stage in report.stages:
        for note in stage["notes"]:  # type: ignore[attr-defined]  # a list of str
            console.print(f"{stage['name']}: {note}", highlight=False)
    parts = Table("submission", "rows", "variables", "couplers", "qubits", "longest chain")
    for part in report.submissions:
        parts.add_row(
            *(
                str(part[name])
                for name in ("index", "rows", "variables", "couplers", "qubits", "longest_chain")
            )
        )
    console.print(parts)
    for part in report.submissions:
        for line in machine_lines(part):
            console.print(f"submission {part['index']}: {line}", highlight=False)
    if report.machine:
        console.print(f"machine: {machine_text(report.machine)}", highlight=False)
    console.print("rows: " + ", ".join(f"{count} {name}" for name, count in report.rows.items()))
    console.print(f"target: {report.target or 'none, logical models alone'}")
    if report.chains:
        shown = ", ".join(f"{count} of length {size}" for size, count in report.chains.items())
        console.print(f"chains: {shown}")
    if report.cache:
        console.print(
            "embedding cache: "
            + ", ".join(f"{name} {value}" for name, value in report.cache.items())
        )


if __name__ == "__main__":
    app()
