"""``qubo-attn solve``: solve a compiled folder here, and compare with top-k."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import AsJson, Verbose, choice, ending, tell
from qubo_attn.cli.progress import progress
from qubo_attn.cli.summary import solved_lines
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
        str | None, choice(SOLVERS, "Of the local solver: {}. [default: auto; anneal with --reads]")
    ] = None,
    machine: Annotated[
        str | None,
        choice(
            MACHINES,
            "A stand-in for the machine of the target: {}. [default: solve the logical models]",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            help="Most rounds over blocks (compile --decompose), or of --objective renormalised. "
            "[default: as many as help]"
        ),
    ] = None,
    restarts: Annotated[
        int, typer.Option(help="Starts from other selections, once no block improves a row.")
    ] = 0,
    decoder: Annotated[str | None, choice(DECODERS, "{}. [default: the objective's own]")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write selected, weights, context to .npz.")
    ] = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Solve a compiled folder here and compare with top-k.

    Rows of few selections are searched from end to end, which proves their optimum. With --machine
    simulated the embedded models are sampled, by a machine's temperature and errors. Rows that were
    compiled with --decompose are solved in rounds over blocks.
    """
    import qubo_attn as qa
    from qubo_attn.common.checks import one_of
    from qubo_attn.compilation.split import Split

    compiled = qa.load(folder)
    out = None if out is None else ending("--out", out, ".npz")
    options: dict[str, Any] = {} if reads is None else {"num_reads": reads}
    sampler: qa.SimulatedMachine | str | None = method
    if machine is not None:
        one_of("--machine", machine, MACHINES)
        if method is not None:
            raise qa.InputError("--method is the local solver's; leave out --machine or it")
        sampler = qa.SimulatedMachine(compiled.recipe.target, seed=seed)
    elif method is None and reads is not None:
        sampler = "anneal"
    how: dict[str, Any] = {"seed": seed, "decoder": decoder, "rounds": rounds, "restarts": restarts}
    if Split.of(compiled) is not None:
        with progress("solving in rounds", None) as step:
            step("the first one")
            options["after"] = lambda last: step(str(last))
            result = compiled.solve(sampler, **how, **options)
    else:
        with progress("solving", len(compiled.submissions)) as step:
            options["before"] = lambda part: step(f"submission {part.index}")
            result = compiled.solve(sampler, **how, **options)
    if out is not None:
        write_result(out, result)
    facts = solution_facts(compiled, result)
    if compiled.placement is not None:
        facts["machine"] = compiled.report(1000 if reads is None else reads).machine
    lines = solved_lines(compiled, result, facts)
    if verbose:
        lines = [*str(result).splitlines(), *lines]
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
    if result.pattern is not None:  # edges in the order of the file
        arrays = {name: result.pattern.as_given(column) for name, column in arrays.items()}
    if result.context is not None:
        arrays["context"] = result.context
    with writing(file), file.open("wb") as stream:  # a name without .npz is kept as it is
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def solution_facts(compiled: CompiledAttention, result: AttentionResult) -> dict[str, Any]:
    """Return feasibility and, where there are values, output errors of ours and of top-k.

    Of ``rivals``, the first are we and the last is the fairest: top-k decoded alike.
    """
    import numpy as np

    from qubo_attn.decoding.output_error import selection_errors
    from qubo_attn.report.page.outcome import compared, mean_error

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
    blocks = result.blocks
    if blocks is not None:
        facts["blocks"] = {
            "rounds": blocks.count,
            "stop": blocks.stop,
            "energies": blocks.totals.tolist(),
            "searches": blocks.searches,
        }
    attention = compiled.attention
    seen = attention.sees & result.answered
    facts["same_as_top_k"] = int((result.same_as_top_k(attention) & seen).sum())
    facts["seeing"] = int(seen.sum())
    ours, top_k, *others = compared(attention, result)
    means = {rival.name: mean_error(rival.errors) for rival in (ours, top_k, *others)}
    facts["rivals"] = {name: error for name, error in means.items() if np.isfinite(error)}
    if attention.values is None:
        return facts
    facts["error_ours"] = means[ours.name]
    for decoder in ("renormalise", "residual"):
        errors = selection_errors(decoder, top_k.kept, attention, compiled.backgrounds)
        facts[f"error_top-k {decoder}"] = mean_error(errors)
    return facts
