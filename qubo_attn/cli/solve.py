"""``qubo-attn solve``: solve a compiled folder here, and compare with top-k."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import AsJson, choice, tell
from qubo_attn.cli.progress import progress
from qubo_attn.common.vocabulary import DECODERS, SOLVERS

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.decoding.result import AttentionResult

MACHINES = ("simulated",)

Folder = Annotated[Path, typer.Argument(help="A folder that `compile` wrote.")]


def solve(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="Seed of whatever is drawn at random.")] = 1,
    reads: Annotated[
        int | None, typer.Option(help="Reads per submission; the local solver then anneals.")
    ] = None,
    method: Annotated[
        str | None, choice(SOLVERS, "Of the local solver: {}; auto if unset, anneal with --reads.")
    ] = None,
    machine: Annotated[
        str | None,
        choice(MACHINES, "A stand-in for the machine of the target ({}); none: logical models."),
    ] = None,
    decoder: Annotated[str | None, choice(DECODERS, "{}; the objective's own if unset.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write selected, weights, context to .npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Solve a compiled folder here and compare with top-k.

    Rows of few selections are searched from end to end, which proves their optimum. With --machine
    simulated the embedded models are sampled, by a machine's temperature and errors.
    """
    import numpy as np

    import qubo_attn as qa
    from qubo_attn.report.facts import machine_text

    compiled = qa.load(folder)
    options: dict[str, Any] = {} if reads is None else {"num_reads": reads}
    sampler: qa.SimulatedMachine | str | None = method
    if machine is not None:
        if method is not None:
            raise qa.InputError("--method is the local solver's; leave out --machine or it")
        sampler = qa.SimulatedMachine(compiled.recipe.target, seed=seed)
    elif method is None and reads is not None:
        sampler = "anneal"
    with progress("solving", len(compiled.submissions)) as step:
        result = compiled.solve(
            sampler,
            seed=seed,
            decoder=decoder,
            before=lambda part: step(f"submission {part.index}"),
            **options,
        )
    if out is not None:
        write_result(out, result)
    facts = solution_facts(compiled, result)
    lines = [str(result)]
    lines += [
        f"mean relative output error, {name.removeprefix('error_')}: {value:.4f}"
        for name, value in facts.items()
        if name.startswith("error_") and not np.isnan(value)
    ]
    lines.append(top_k_text(facts))
    if compiled.placement is not None:
        facts["machine"] = compiled.report(1000 if reads is None else reads).machine
        lines.append(f"a machine would take {machine_text(facts['machine'])}")
    tell(as_json, facts, "\n".join(lines))


def write_result(out: Path, result: AttentionResult) -> None:
    """Write what was selected, and how it weighs, to an archive of arrays.

    Raises:
        InputError: the file cannot be written.
    """
    import numpy as np

    from qubo_attn.common.files import path_of, writing

    file = path_of("--out", out)
    arrays = {"selected": result.selected, "weights": result.weights}
    if result.context is not None:
        arrays["context"] = result.context
    with writing(file), file.open("wb") as stream:  # a name without .npz is kept as it is
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def solution_facts(compiled: CompiledAttention, result: AttentionResult) -> dict[str, Any]:
    """Return feasibility and, where there are values, output errors of ours and of top-k."""
    from qubo_attn.decoding.output_error import selection_errors
    from qubo_attn.ir.heads import top_k
    from qubo_attn.report.page.outcome import mean_error

    methods = result.methods.ravel().tolist()
    facts: dict[str, Any] = {
        "rows": int(result.feasible.size),
        "feasible": result.feasible_share,
        "methods": {name: methods.count(name) for name in sorted(set(methods))},
        "proven": int(result.proven.sum()),
        "feasible_reads": result.reads.feasible_share,
        "repaired": int(result.repaired.sum()),
        "capped": int(result.capped.sum()),
        "empty": int(result.empty.sum()),
        "submissions": len(compiled.submissions),
        "chain_break_fraction": result.chain_break_fraction,
    }
    attention = compiled.attention
    seen = attention.visible.any(axis=-1) & result.answered
    facts["same_as_top_k"] = int((result.same_as_top_k(attention) & seen).sum())
    facts["seeing"] = int(seen.sum())
    if attention.values is None:
        return facts
    facts["error_ours"] = mean_error(result.output_errors(attention))
    chosen = top_k(attention.softmax, attention.visible, result.selected.sum(axis=-1))
    for decoder in ("renormalise", "residual"):
        errors = selection_errors(decoder, chosen, attention, compiled.backgrounds)
        facts[f"error_top-k {decoder}"] = mean_error(errors)
    return facts


def top_k_text(facts: dict[str, Any]) -> str:
    """Return in words how many rows keep nothing but their heaviest keys, and what would help."""
    same, rows = facts["same_as_top_k"], facts["seeing"]
    if same < rows or not rows:
        return f"{same} of {rows} rows keep just their heaviest keys, as top-k does"
    remedy = "" if "error_ours" in facts else "; give values for the output objective"
    return f"every row keeps just its heaviest keys: the selection equals top-k{remedy}"
