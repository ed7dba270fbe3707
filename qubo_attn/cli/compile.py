"""``qubo-attn compile``: a file of scores to a folder of submissions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import (
    AsJson,
    Force,
    Verbose,
    choice,
    details,
    may_write,
    number_or_name,
    takes,
    tell,
)
from qubo_attn.cli.labels import keep_tokens, tokens_beside
from qubo_attn.cli.passes import list_passes
from qubo_attn.cli.progress import progress
from qubo_attn.cli.summary import compiled_lines
from qubo_attn.common.vocabulary import BACKGROUNDS, CHAIN_STRENGTHS, OBJECTIVES, REPLICAS
from qubo_attn.common.words import plural

if TYPE_CHECKING:
    import numpy as np

    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.frontend.objectives import Objective
    from qubo_attn.frontend.select import Select

SELECTS = ("exactly", "at-most", "one-hot", "soft", "unconstrained")
TIES = ("none", "kv-head", "kv")
TARGETS = ("zephyr:12", "zephyr:6", "pegasus:16", "all-to-all", "none")
# Arrays that an objective may need, and what they are called in files.
NEEDED = {"values": "value", "keys": "key"}
KEYS = 8  # of a row that keeps a number of keys, where none is given
LEVELS = 3  # of soft weights, where none are given
PASSES = 4  # of the default pipeline, the embedding included
# Arguments and options of every command that compiles a file.
ScoresFile = Annotated[
    Path,
    typer.Argument(help="Scores as .npy, or .npz or .safetensors with scores, value, key, mask."),
]
ScoresName = Annotated[str, typer.Option(help="What the array of scores is called in the file.")]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        help="The scores are attention probabilities, after softmax, not logits.",
    ),
]
TargetName = Annotated[
    str,
    choice(
        TARGETS,
        "The machine: zephyr:M, pegasus:M, all-to-all, none, or a working graph's JSON file.",
    ),
]


@dataclass(frozen=True)
class Problem:
    """What is compiled for which machine, as a command line says it."""

    file: ScoresFile
    scores: ScoresName = "scores"
    probabilities: Probabilities = False
    select: Annotated[
        str | None,
        choice(SELECTS, "What a row keeps: {}. [default: exactly; soft if --levels is given]"),
    ] = None
    keys: Annotated[
        int | None, typer.Option(help=f"Keys that each row keeps. [default: {KEYS}]")
    ] = None
    levels: Annotated[
        int | None,
        typer.Option(
            help=f"Levels of a soft weight, 0 to this number. [default: "
            f"{LEVELS} with --select soft]"
        ),
    ] = None
    objective: Annotated[
        str | None,
        choice(
            OBJECTIVES,
            "What a row minimises: {}. [default: output where the file holds values, else "
            "selection]",
        ),
    ] = None
    background: Annotated[
        str | None,
        choice(
            BACKGROUNDS,
            "What stands for the keys that a row does not keep, with --objective output or layer: "
            "{}. [default: mean]",
        ),
    ] = None
    output_projection: Annotated[
        str | None,
        typer.Option(
            help="Name of the array of the output projection in the file, behind which errors are "
            "measured. [default: output_projection with --objective layer]"
        ),
    ] = None
    target: TargetName = "zephyr:12"
    slots: Annotated[
        int | None,
        typer.Option(
            help="Most keys a row chooses from. [default: 16, or twice --keys if that is more; all "
            "with --decompose]"
        ),
    ] = None
    decompose: Annotated[
        str | None,
        choice(
            ("auto",),
            "Keys of a block, where rows may be larger than the machine: such rows are solved in "
            "rounds, a block at a time. A number, or {}: 64, or what the machine holds. [default: "
            "rows stay whole]",
        ),
    ] = None
    tie: Annotated[
        str,
        choice(
            TIES,
            "Rows that share a selection: none; kv-head: heads of one key/value head; kv: their "
            "queries as well.",
        ),
    ] = "none"

    def arrays(self) -> dict[str, Any]:
        """Return what the file holds, by the names of `qubo_attn.compile`."""
        import qubo_attn as qa

        projection = self.output_projection
        if projection is None and self.objective == "layer":
            projection = "output_projection"
        arrays: dict[str, Any] = qa.read_attention(
            self.file, self.scores, output_projection=projection
        )
        if self.probabilities:
            arrays["scores"] = qa.from_attentions(arrays["scores"])
        return arrays

    def compile(self, **options: Any) -> CompiledAttention:
        """Compile it, with further options of `qubo_attn.compile`."""
        import qubo_attn as qa
        from qubo_attn.frontend.objectives import usual_objective

        arrays = self.arrays()
        objective = self.objective or usual_objective("values" in arrays)
        select, tie = self.selection(objective), _tie(self.tie, arrays.get("kv_head"))
        try:
            return qa.compile(
                select=select,
                objective=_with_background(objective, self.background),
                tie=tie,
                slots="auto" if self.slots is None else self.slots,
                decompose=_block(self.decompose),
                target=None if self.target == "none" else self.target,
                **arrays,
                **options,
            )
        except qa.InputError as error:
            name = str(error.facts.get("argument"))
            if name not in NEEDED or name in arrays:
                raise
            raise qa.InputError(
                f"objective {objective!r} needs an array {NEEDED[name]} in "
                f"the file, and {self.file} "
                "holds none",
                argument=name,
                file=str(self.file),
            ) from error

    def why(self, compiled: CompiledAttention) -> str:
        """Return in words how the objective was chosen, where nobody chose it."""
        if self.objective is not None:
            return ""
        if compiled.attention.values is None:
            return ", as the file holds no values"
        return ", as the file holds values; --objective chooses another"

    def selection(self, objective: str) -> Select:
        """Return what a row selects.

        Args:
            objective: name of what it minimises.

        Raises:
            InputError: no selection has that name, or a number is out of range.
            typer.BadParameter: options that exclude each other.
        """
        import qubo_attn as qa
        from qubo_attn.common.checks import one_of

        chosen = "exactly" if self.levels is None else "soft"
        if self.select is not None:
            chosen = one_of("--select", self.select, SELECTS)
        if self.levels is not None and chosen != "soft":
            raise typer.BadParameter(f"--levels goes with --select soft, not {chosen}")
        if self.keys is not None and chosen in ("one-hot", "unconstrained"):
            raise typer.BadParameter(f"--select {chosen} takes no --keys")
        count = KEYS if self.keys is None else self.keys
        if chosen == "soft":
            # Only this objective has a form for weights of k keys; it has no other for weights.
            k = count if self.keys is not None or objective == "output" else None
            return qa.SoftWeights(LEVELS if self.levels is None else self.levels, k=k)
        if chosen in ("exactly", "at-most"):
            return qa.ExactlyK(count) if chosen == "exactly" else qa.AtMostK(count)
        return qa.OneHot() if chosen == "one-hot" else qa.Unconstrained()


def _with_background(objective: str, background: str | None) -> str | Objective:
    """Return an objective with the background that is asked for, if any."""
    import qubo_attn as qa

    if background is None:
        return objective
    if objective == "output":
        return qa.Output(background=background)
    if objective == "layer":
        return qa.Layer(background=background)
    raise typer.BadParameter(f"--background goes with --objective output or layer, not {objective}")


def _listed(passes: str | None) -> str | None:
    if passes == "list":
        list_passes()
        raise typer.Exit
    return passes


@takes(Problem)
def compile_file(
    problem: Problem,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    passes: Annotated[
        str | None,
        typer.Option(
            help="Passes in order, e.g. 'default' or 'sparsify{slots=12}, insert-penalties, "
            "binarize-weights'; 'list' shows all there are.",
            callback=_listed,
            is_eager=True,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check every pass against its promise (slow).")
    ] = False,
    chain_strength: Annotated[
        str,
        choice(CHAIN_STRENGTHS, "{}, or a number: the prefactor of torque compensation."),
    ] = "auto",
    longest_chain: Annotated[
        int | None, typer.Option(help="Most qubits of a chain. [default: any number]")
    ] = None,
    replicas: Annotated[
        str | None,
        choice(REPLICAS, "{}: room of the last submission takes copies of its rows."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the embedding search.")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of kept embeddings. [default: QUBO_ATTN_CACHE, or the user's cache folder]"
        ),
    ] = None,
    force: Force = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Compile attention scores to ready-to-submit models with embeddings."""
    from qubo_attn.common.files import path_of

    _check_shaped(passes, problem)
    out = path_of("--out", out)
    may_write(out, force)
    with progress("compiling", PASSES) as step:
        compiled = problem.compile(
            passes=passes,
            verify_each=check,
            chain_strength=number_or_name(chain_strength),
            longest_chain=longest_chain,
            replicas=replicas,
            seed=seed,
            cache=cache,
            before=(lambda pass_, program: step(pass_.name),),
        )
        _check_choice(compiled)
        compiled.save(out)
        keep_tokens(out, tokens_beside(path_of("FILE", problem.file), compiled.attention.shape[-1]))
    report = compiled.report(prove=True)
    lines = compiled_lines(compiled, report, problem.why(compiled))
    if verbose:
        lines = [details(report), *lines]
    lines.append(f"verdict: ready in {out}; qubo-attn solve {out} solves it here")
    tell(as_json, {"folder": str(out), **report.to_dict()}, "\n".join(lines))


def _check_choice(compiled: CompiledAttention) -> None:
    """Reject a problem in which every row keeps all that it sees."""
    from qubo_attn.errors import InputError

    attention = compiled.attention
    seen = attention.counts
    if seen.any() and (compiled.capped | (seen == 0)).all() and not compiled.submissions:
        raise InputError(
            f"no row has a choice to make: a row sees at most {plural(int(seen.max()), 'key')}, "
            "fewer than it is to keep; give a smaller --keys",
            argument="keys",
        )


def _check_shaped(passes: str | None, problem: Problem) -> None:
    """Reject options of the default passes where these do not run."""
    if passes is None or "default" in (step.strip() for step in passes.split(",")):
        return
    for name, given in (
        ("--slots", problem.slots is not None),
        ("--tie", problem.tie != "none"),
        ("--decompose", problem.decompose is not None),
    ):
        if given:
            raise typer.BadParameter(f"{name} shapes the default passes: name default in --passes")


def _block(text: str | None) -> Any:
    """Return the keys of a block as a number where they are one."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return text


def _tie(tie: str, kv_head: np.ndarray | None) -> Any:
    import qubo_attn as qa
    from qubo_attn.common.checks import one_of

    if one_of("--tie", tie, TIES) == "none":
        return None
    if kv_head is None:
        raise qa.InputError(f"--tie {tie} needs an array kv_head in the file", argument="kv_head")
    return qa.TieVariables.from_kv_head(kv_head, queries=tie == "kv")
