"""``qubo-attn compile``: a file of scores to a folder of submissions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import AsJson, Progress, echo_json, guarded, words
from qubo_attn.cli.passes import show_passes

if TYPE_CHECKING:
    import numpy as np

    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.frontend.select import Select

# Repeated here so that help and completion load nothing; tests compare them with the real ones.
OBJECTIVES = (
    "selection", "redundancy", "output", "hard", "boltzmann", "least_squares", "sparsemax",
)  # fmt: skip
SELECTS = ("exactly", "at-most", "one-hot", "soft", "unconstrained")
TIES = ("none", "kv-head", "kv")
TARGETS = ("zephyr:12", "zephyr:6", "pegasus:16", "all-to-all", "none")
STRENGTHS = ("auto", "torque", "bound")
KEYS = 8  # of a row that keeps a number of keys, where none is given
LEVELS = 3  # of soft weights, where none are given
PASSES = 4  # of the default pipeline, the embedding included

Attention = Annotated[
    Path,
    typer.Argument(help="Scores: .npy; or .npz, .safetensors with scores, value, key, ..."),
]
Array = Annotated[str, typer.Option(help="What the array of scores is called in the file.")]
Keys = Annotated[int | None, typer.Option(help=f"Keys that each row keeps; {KEYS} if unset.")]
Selection = Annotated[
    str | None,
    typer.Option(
        help=f"What a row keeps: {', '.join(SELECTS)}; exactly, or soft with --levels, if unset.",
        autocompletion=words(SELECTS),
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(help=f"Largest level of a soft weight; {LEVELS} with --select soft if unset."),
]
Goal = Annotated[
    str,
    typer.Option(
        help=f"What a row minimises: {', '.join(OBJECTIVES)}.", autocompletion=words(OBJECTIVES)
    ),
]
Machine = Annotated[
    str,
    typer.Option(
        help="zephyr:M, pegasus:M, all-to-all, none, or a working graph's JSON.",
        autocompletion=words(TARGETS),
    ),
]
Slots = Annotated[
    int | None, typer.Option(help="Most keys a row chooses from; 16 or twice --keys if unset.")
]
Tie = Annotated[
    str,
    typer.Option(
        help="none, kv-head (heads of one key/value head), or queries too: kv.",
        autocompletion=words(TIES),
    ),
]


def compile_file(
    file: Attention,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    scores: Array = "scores",
    select: Selection = None,
    keys: Keys = None,
    levels: Levels = None,
    objective: Goal = "selection",
    target: Machine = "zephyr:12",
    slots: Slots = None,
    tie: Tie = "none",
    passes: Annotated[
        str | None,
        typer.Option(
            help="Passes in order, e.g. 'default' or 'sparsify{slots=12}, insert-penalties, "
            "binarize-weights'; 'list' shows all there are.",
            callback=lambda value: _listed(value),
            is_eager=True,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check every pass against its promise (slow).")
    ] = False,
    chain_strength: Annotated[
        str,
        typer.Option(
            help="auto, torque, bound, or a number: the prefactor of torque compensation.",
            autocompletion=words(STRENGTHS),
        ),
    ] = "auto",
    longest_chain: Annotated[
        int | None, typer.Option(help="Qubits that a chain may have; any number if unset.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search for embeddings.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compile attention scores to ready-to-submit models with embeddings."""
    _check_shaped(passes, slots, tie)

    def run() -> CompiledAttention:
        with Progress("compiling", PASSES) as step:
            compiled = compile_arguments(
                file,
                scores,
                objective=objective,
                select=select_of(select, keys, levels, objective),
                target=target,
                slots=slots,
                tie=tie,
                passes=passes,
                verify_each=check,
                chain_strength=_strength(chain_strength),
                longest_chain=longest_chain,
                seed=seed,
                before=(lambda pass_, program: step(pass_.name),),
            )
            compiled.save(out)
        return compiled

    compiled = guarded(run)
    if as_json:
        echo_json({"folder": str(out), **compiled.report().to_dict()})
        return
    from qubo_attn.cli.tables import show_report

    show_report(compiled.report())
    typer.echo(f"wrote {out}")


def compile_arguments(
    file: Path, scores: str, *, target: str, slots: int | None, tie: str, **options: Any
) -> CompiledAttention:
    """Compile what a file holds with what a command line says.

    Args:
        file, scores: the file, and what its scores are called.
        target, slots, tie: as on the command line.
        **options: of `qubo_attn.compile`.
    """
    import qubo_attn as qa

    arrays: dict[str, Any] = qa.read_attention(file, scores)
    heads = len(arrays["scores"]) if arrays["scores"].ndim == 3 else 1
    return qa.compile(
        heads=heads,
        tie=_tie(tie, arrays.get("kv_head")),
        slots="auto" if slots is None else slots,
        target=None if target == "none" else target,
        **arrays,
        **options,
    )


def select_of(name: str | None, keys: int | None, levels: int | None, objective: str) -> Select:
    """Return the selection that a command line asks for.

    Raises:
        InputError: no selection has that name, or a number is out of range.
        typer.BadParameter: options that exclude each other.
    """
    import qubo_attn as qa
    from qubo_attn.common.checks import nearest

    chosen = name or ("exactly" if levels is None else "soft")
    if chosen not in SELECTS:
        raise qa.InputError(
            f"unknown --select {chosen!r}; one of {', '.join(SELECTS)}{nearest(chosen, SELECTS)}",
            select=chosen,
        )
    if levels is not None and chosen != "soft":
        raise typer.BadParameter(f"--levels goes with --select soft, not {chosen}")
    if keys is not None and chosen in ("one-hot", "unconstrained"):
        raise typer.BadParameter(f"--select {chosen} takes no --keys")
    count = KEYS if keys is None else keys
    if chosen == "soft":
        # Only this objective has a form for weights of k keys; it has no other for weights.
        k = count if keys is not None or objective == "output" else None
        return qa.SoftWeights(LEVELS if levels is None else levels, k=k)
    if chosen in ("exactly", "at-most"):
        return qa.ExactlyK(count) if chosen == "exactly" else qa.AtMostK(count)
    return qa.OneHot() if chosen == "one-hot" else qa.Unconstrained()


def _listed(passes: str | None) -> str | None:
    if passes == "list":
        show_passes()
        raise typer.Exit
    return passes


def _check_shaped(passes: str | None, slots: int | None, tie: str) -> None:
    """Reject options of the default passes where these do not run."""
    if passes is None or "default" in (step.strip() for step in passes.split(",")):
        return
    for name, given in (("--slots", slots is not None), ("--tie", tie != "none")):
        if given:
            raise typer.BadParameter(f"{name} shapes the default passes: name default in --passes")


def _strength(text: str) -> str | float:
    from qubo_attn.common.checks import nearest
    from qubo_attn.errors import InputError

    if text in STRENGTHS:
        return text
    try:
        return float(text)
    except ValueError:
        known = ", ".join(STRENGTHS)
        raise InputError(
            f"unknown --chain-strength {text!r}; {known} or a number{nearest(text, STRENGTHS)}",
            argument="chain_strength",
        ) from None


def _tie(tie: str, kv_head: np.ndarray | None) -> Any:
    from qubo_attn.common.checks import nearest
    from qubo_attn.errors import InputError
    from qubo_attn.passes import TieVariables

    if tie == "none":
        return None
    if tie not in TIES:
        raise InputError(
            f"unknown --tie {tie!r}; one of {', '.join(TIES)}{nearest(tie, TIES)}", tie=tie
        )
    if kv_head is None:
        raise InputError(f"--tie {tie} needs an array kv_head in the file", argument="kv_head")
    return TieVariables.from_kv_head(kv_head, queries=tie == "kv")
