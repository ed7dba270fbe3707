"""``qubo-attn bench``: times of a compilation and of every later batch, on one's own file."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from qubo_attn.cli.compile import Problem
from qubo_attn.cli.console import AsJson, takes, tell
from qubo_attn.cli.progress import progress
from qubo_attn.common.words import plural

if TYPE_CHECKING:
    import dimod

    from qubo_attn.backend.wire import SolverOrder
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.frontend.scores import Scores

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


@takes(Problem)
def bench(
    problem: Problem,
    repeats: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Timing repetitions per step; the median is printed."),
    ] = 5,
    reads: Annotated[int, typer.Option(min=1, help="Samples to unembed.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the later batches and the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Time compilation, later batches, physical arrays, wire bytes and unembedding of a file."""
    with progress("first compilation", 2 * repeats + 1) as step:
        facts = measure(problem, repeats, reads, seed, step)
    lines = [
        f"{facts['rows']} rows, {plural(facts['submissions'], 'submission')} on {facts['target']}"
    ]
    lines += [f"{name:<8} {ms:>10.3f} ms  {MEANINGS[name]}" for name, ms in facts["ms"].items()]
    lines += [f"{name.replace('_', ' ')}: {ratio:.1f}" for name, ratio in facts["ratios"].items()]
    tell(as_json, facts, "\n".join(lines))


def measure(
    problem: Problem, repeats: int, reads: int, seed: int, step: Callable[[str], None]
) -> dict[str, Any]:
    """Return median times in milliseconds, and their ratios.

    Args:
        problem: what is compiled.
        repeats: repeats of every step.
        reads: samples to unembed.
        seed: seed of the later batches, which drift from the file's scores, and of the samples.
        step: called when a repeat begins.
    """
    import dimod
    import numpy as np

    from qubo_attn.backend.wire import SolverOrder
    from qubo_attn.common.checks import MOST_SEED, whole
    from qubo_attn.machine.reads import MOST_READS

    reads = whole("--reads", reads, 1, MOST_READS)
    seed = whole("--seed", seed, most=MOST_SEED)
    times: dict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats + 1):
        step("compiling")
        milliseconds, compiled = _timed(problem.compile)
        times["compile" if repeat else "first"].append(milliseconds)
    generator = np.random.default_rng(seed)
    logits, target = compiled.attention.logits, compiled.recipe.target
    order = samples = None
    if compiled.placement is not None and compiled.submissions:
        order = SolverOrder.of(compiled.placement.target)
        names = list(compiled.submissions[0].embedded_bqm.variables)
        spins = generator.choice(np.array([-1, 1], np.int8), size=(reads, len(names)))
        samples = dimod.SampleSet.from_samples((spins, names), "SPIN", np.zeros(reads))
    for repeat in range(repeats + 1):
        step(f"batch {repeat}")
        scores = compiled.attention.scores(logits + DRIFT * generator.normal(size=logits.shape))
        for name, milliseconds in _later_batch(compiled, scores, order, samples):
            if repeat:  # the first one warms up
                times[name].append(milliseconds)
    medians = {name: float(np.median(found)) for name, found in times.items()}
    sent = medians["rebind"] + medians.get("wire", 0.0)
    heads, queries, _ = compiled.attention.shape
    return {
        "rows": heads * queries,
        "submissions": len(compiled.submissions),
        "target": "no machine" if target is None else str(target),
        "repeats": repeats,
        "reads": reads,
        "seed": seed,
        "ms": medians,
        "ratios": {
            "compile_over_rebind": medians["compile"] / medians["rebind"],
            "compile_over_later_batch": medians["compile"] / sent,
            "later_batches_per_second": 1e3 / sent,
        },
    }


def _later_batch(
    compiled: CompiledAttention,
    scores: Scores,
    order: SolverOrder | None,
    samples: dimod.SampleSet | None,
) -> Iterator[tuple[str, float]]:
    """Yield every step of one later batch with its milliseconds.

    Args:
        compiled: the compilation.
        scores: of the batch.
        order: order in which the machine lists its qubits; None without a machine.
        samples: reads of submission 0; None where nothing is submitted to a machine.
    """
    milliseconds, batch = _timed(lambda: compiled.rebind(scores))
    yield "rebind", milliseconds
    if samples is None:
        return
    part = batch.submissions[0]
    # Each step has a batch of its own: nothing is at hand that another left behind.
    first, second = compiled.rebind(scores), compiled.rebind(scores)
    yield "arrays", _timed(lambda: first.hardware_arrays(order))[0]
    yield "wire", _timed(lambda: second.wires(order))[0]
    yield "unembed", _timed(lambda: part.unembed(samples))[0]


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return how many milliseconds of wall time a call takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return 1e3 * (time.perf_counter() - start), result
