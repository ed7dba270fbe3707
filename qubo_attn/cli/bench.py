"""``qubo-attn bench``: what a compilation and every later batch take, on one's own file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from qubo_attn.cli.compile import (
    Array,
    Attention,
    Goal,
    Keys,
    Levels,
    Machine,
    Selection,
    Slots,
    Tie,
    compile_arguments,
    select_of,
)
from qubo_attn.cli.console import AsJson, Progress, echo_json, guarded

if TYPE_CHECKING:
    import dimod
    import numpy as np
    from numpy.random import Generator

    from qubo_attn.backend.wire import SolverOrder
    from qubo_attn.compiled import CompiledAttention

T = TypeVar("T")
# How far the scores of a later batch lie from those of the file, in logits.
DRIFT = 0.1
MEANINGS = {
    "first": "the first compilation of this process: kernels loaded, embedding found or read",
    "compile": "a compilation from the file, embedding kept",
    "rebind": "a later batch of the same shape, to logical coefficients",
    "arrays": "its physical fields and couplings, every submission",
    "wire": "or the same as bytes for the machine",
    "unembed": "samples of submission 0 back to rows",
}


def bench(
    file: Attention,
    scores: Array = "scores",
    select: Selection = None,
    keys: Keys = None,
    levels: Levels = None,
    objective: Goal = "selection",
    target: Machine = "zephyr:12",
    slots: Slots = None,
    tie: Tie = "none",
    repeats: Annotated[int, typer.Option(min=1, help="Of every step; medians are told.")] = 5,
    reads: Annotated[int, typer.Option(min=1, help="Samples to unembed.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the later batches and the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Time compilation, later batches, physical arrays, wire bytes and unembedding of a file."""

    def run() -> dict[str, Any]:
        chosen = select_of(select, keys, levels, objective)
        with Progress("first compilation", 2 * repeats + 1) as step:

            def compiled() -> CompiledAttention:
                step("compiling")
                return compile_arguments(
                    file,
                    scores,
                    objective=objective,
                    select=chosen,
                    target=target,
                    slots=slots,
                    tie=tie,
                )

            return measure(compiled, repeats, reads, seed, step)

    facts = guarded(run)
    if as_json:
        echo_json(facts)
        return
    typer.echo(f"{facts['rows']} rows, {facts['submissions']} submissions on {facts['target']}")
    for name, milliseconds in facts["ms"].items():
        typer.echo(f"{name:<8} {milliseconds:>10.3f} ms  {MEANINGS[name]}")
    for name, ratio in facts["ratios"].items():
        typer.echo(f"{name.replace('_', ' ')}: {ratio:.1f}")


def measure(
    compiled: Callable[[], CompiledAttention],
    repeats: int,
    reads: int,
    seed: int,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """Return median times in milliseconds, and their ratios.

    Args:
        compiled: compiles the file.
        repeats: of every step.
        reads: samples to unembed.
        seed: of the later batches, which drift from the file's scores, and of the samples.
        step: called when a repeat begins.
    """
    import numpy as np

    first, result = _timed(compiled)
    taken = []
    for _ in range(repeats):
        milliseconds, result = _timed(compiled)
        taken.append(milliseconds)
    times = {"compile": taken}
    generator = np.random.default_rng(seed)
    logits, machine = result.attention.logits, result.recipe.target
    later = _LaterBatches.of(result, reads, generator)
    for repeat in range(-1, repeats):
        step(f"batch {max(repeat, 0)}")
        found = later.time(logits + DRIFT * generator.normal(size=logits.shape))
        if repeat >= 0:  # the one before warms up
            for name, milliseconds in found.items():
                times.setdefault(name, []).append(milliseconds)
    medians = {name: float(np.median(found)) for name, found in times.items()}
    sent = medians["rebind"] + medians.get("wire", 0.0)
    return {
        "rows": result.report().rows["all"],
        "submissions": len(result.submissions),
        "target": "no machine" if machine is None else str(machine),
        "repeats": repeats,
        "reads": reads,
        "seed": seed,
        "ms": {"first": first, **medians},
        "ratios": {
            "compile_over_rebind": medians["compile"] / medians["rebind"],
            "compile_over_later_batch": medians["compile"] / sent,
            "later_batches_per_second": 1e3 / sent,
        },
    }


@dataclass(frozen=True)
class _LaterBatches:
    """What later batches of a compilation are timed with.

    Attributes:
        compiled: the compilation.
        order: in which the machine lists its qubits; None without one.
        samples: reads of submission 0; None without a machine.
    """

    compiled: CompiledAttention
    order: SolverOrder | None = None
    samples: dimod.SampleSet | None = None

    @classmethod
    def of(cls, compiled: CompiledAttention, reads: int, generator: Generator) -> _LaterBatches:
        import dimod
        import numpy as np

        from qubo_attn.backend.wire import SolverOrder

        target = compiled.recipe.target
        if compiled.placement is None or target is None:
            return cls(compiled)
        names = list(compiled.submissions[0].embedded_bqm.variables)
        spins = generator.choice(np.array([-1, 1], np.int8), size=(reads, len(names)))
        samples = dimod.SampleSet.from_samples((spins, names), "SPIN", np.zeros(reads))
        return cls(compiled, SolverOrder.of(target), samples)

    def time(self, scores: np.ndarray) -> dict[str, float]:
        """Return the milliseconds of every step of one batch."""
        rebind, batch = _timed(lambda: self.compiled.rebind(scores))
        if self.samples is None:
            return {"rebind": rebind}
        part, samples = batch.submissions[0], self.samples
        # Each step has a batch of its own: nothing is at hand that another left behind.
        first, second = self.compiled.rebind(scores), self.compiled.rebind(scores)
        return {
            "rebind": rebind,
            "arrays": _timed(lambda: first.hardware_arrays(self.order))[0],
            "wire": _timed(lambda: second.wires(self.order))[0],
            "unembed": _timed(lambda: part.unembed(samples))[0],
        }


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return how many milliseconds of wall time a call takes, and what it returns."""
    start = time.perf_counter()
    found = call()
    return 1e3 * (time.perf_counter() - start), found
