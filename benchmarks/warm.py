"""What a warm machine returns: our default compilation beside Ocean's routes.

Sampled rows of each file, several machines (seeds of errors), one programming's reads each. Every
route has the same embedding, the same reads and the same decoder. Ocean's models are those of
dimod's ``cqm_to_bqm`` with torque compensation: `ocean` scales all rows together with the default
multiplier, `ocean_rows` scales each row on its own with one times the largest bias.

Figures, by model: share of reads that are feasible as sampled; rows of which fewer than one in
twenty are; rows whose best feasible read is the optimum (within the slots): as sampled
(`optimum_sampler`), by repair alone, single steps until a row's constraints hold
(`optimum_repair_alone`), and as `decode` returns it, where the best repaired read also descends by
steps and exchanges (`optimum_repaired`); the output error as decoded by default, the optimum's, and
that of top-k with the same decoder. ``random_*`` decodes coin flips so: what the decoder does by
itself.

The machine states its temperature and its errors, so the compiler knows them. ``--told`` tells it
another temperature: what a machine does that is not as warm as it says, and, as margins are a
number of temperatures, what smaller and larger margins do.

``rank_feasible`` and ``rank_optimum`` are rank correlations over rows: of the chances that
``compiled.precision()`` states with the shares of reads, mean over all machines; ``ceiling_*`` are
those of one half of the machines with the other, which no prediction without errors can pass by
much. ``margins`` groups the rows of each route by the gap between the optimum and the lowest
infeasible point, in temperatures: rows, reads feasible, reads that are the optimum.

    python benchmarks/warm.py --data DIR --target FILE --machine simulated --json
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dimod
import numpy as np
from common import attention_files, finish, parser, top_k
from warm_ocean import FACTORS, ocean, unpriced
from warm_summary import summary

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors
from qubo_attn.ir.program import Program


def sampled_queries(arrays: dict[str, np.ndarray], rows: int, causal: bool) -> np.ndarray:
    """Return queries spread over a file, as many as give ``rows`` rows over all heads."""
    heads, queries, _ = arrays["scores"].shape
    first = queries // 2 if causal else 0
    return np.unique(np.linspace(first, queries - 1, -(-rows // heads)).round().astype(int))


def selections(size: int, count: int) -> np.ndarray:
    """Return every selection of ``count`` of ``size`` keys, one line each."""
    chosen = np.array(list(itertools.combinations(range(size), count)))
    bits = np.zeros((len(chosen), size))
    bits[np.arange(len(chosen))[:, None], chosen] = 1
    return bits


class Best(NamedTuple):
    """What is best in a row, by enumeration.

    Attributes:
        head, query: of the row; var: its variables.
        bits: the best selection; energy: its objective; width: range of that of all selections.
        least: least objective of any choice of k - 2 to k + 2 keys; -2 to +2 are ``SHIFTS``.
    """

    head: int
    query: int
    var: np.ndarray
    bits: np.ndarray
    energy: float
    width: float
    least: np.ndarray


SHIFTS = np.arange(-2, 3)


def optima(program: Program) -> Iterator[Best]:
    """Yield what is best in each row."""
    c, o = program.constraints, program.objective
    owner = np.full(len(program), -1)
    owner[c.var] = c.row
    for row in range(len(c)):
        var = c.var[c.ptr[row] : c.ptr[row + 1]]
        place = np.full(len(program), -1)
        place[var] = np.arange(len(var))
        inside = np.flatnonzero(owner[o.i] == row)
        square = np.zeros((len(var), len(var)))
        square[place[o.i[inside]], place[o.j[inside]]] = o.bias[inside]
        least = np.full(len(SHIFTS), np.inf)
        for number, shift in enumerate(SHIFTS):
            count = int(c.rhs[row]) + int(shift)
            if not 0 <= count <= len(var):
                continue
            bits = selections(len(var), count)
            energies = bits @ o.linear[var] + ((bits @ square) * bits).sum(axis=1)
            least[number] = energies.min()
            if shift == 0:
                best, width = bits[energies.argmin()], float(np.ptp(energies))
        energy = float(least[SHIFTS == 0][0])
        yield Best(int(c.head[row]), int(c.query[row]), var, best, energy, width, least)


def biases(program: Program) -> list[float]:
    """Return the largest coefficient of the objective of each row."""
    c, o = program.constraints, program.objective
    owner = np.full(len(program), -1)
    owner[c.var] = c.row
    largest = np.zeros(len(c))
    np.maximum.at(largest, owner[c.var], np.abs(o.linear[c.var]))
    np.maximum.at(largest, owner[o.i], np.abs(o.bias))
    return largest.tolist()


def prices(compiled: qa.CompiledAttention) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and slope of each row of our compilation."""
    c = compiled.stages[compiled.unpriced + 1].program.constraints
    return c.weight, c.slope


def gaps(rows: list[Best], weight: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return how far the lowest infeasible point of each row lies above its optimum."""
    price = weight[:, None] * SHIFTS**2 + slope[:, None] * SHIFTS
    energy = np.array([row.least for row in rows]) + price
    gap: np.ndarray = energy[:, SHIFTS != 0].min(axis=1) - energy[:, SHIFTS == 0].min(axis=1)
    return gap


def measure(
    arrays: dict[str, np.ndarray],
    options: argparse.Namespace,
    causal: bool,
    machine_options: dict[str, float],
) -> dict[str, list[float]]:
    """Return the figures of one file, row by row."""
    chosen = sampled_queries(arrays, options.rows, causal)
    scores, values = arrays["scores"][:, chosen], arrays["value"]
    heads, keys = len(scores), options.keys
    compiled = qa.compile(
        scores,
        heads,
        select=qa.ExactlyK(keys),
        objective="output",
        values=values,
        kv_head=arrays["kv_head"] if len(values) < heads else None,
        target=options.target,
    )
    attention, target = compiled.attention, compiled.recipe.target
    assert target is not None
    rows = list(optima(unpriced(compiled)))
    exact = np.zeros(attention.shape, bool)
    variables = unpriced(compiled).variables
    for row in rows:
        exact[row.head, row.query, variables.key[row.var[row.bits > 0]]] = True
    head, query = np.array([(row.head, row.query) for row in rows]).T
    least = np.array([row.energy for row in rows])
    close = 1e-9 * np.array([row.width for row in rows]) + 1e-300

    def output_errors(selected: np.ndarray) -> np.ndarray:
        weights = weights_of("residual", attention, selected)
        assert attention.values is not None
        errors: np.ndarray = relative_errors(weights @ attention.values, attention)[head, query]
        return errors

    columns: dict[str, list[float]] = defaultdict(list)
    top = top_k(attention.softmax, attention.visible, np.full(attention.shape[:2], keys))
    columns["rows_of_file"] = [len(rows)]
    columns["error_exact"] = output_errors(exact).tolist()
    columns["error_topk"] = output_errors(top).tolist()
    precision = compiled.precision()
    place = np.full(attention.shape[:2], -1)
    place[precision.head, precision.query] = np.arange(len(precision.head))
    place = place[head, query]
    for name in ("feasible", "optimum"):
        columns[f"predicted_{name}"] = getattr(precision, name)[place].tolist()
    models = {"ours": [part.programmed_bqm for part in compiled.submissions]}
    warmth = machine_options["temperature"]
    unit = precision.temperature[place] / target.temperature
    margins = {"ours": gaps(rows, *prices(compiled)) / (warmth * unit)}
    for name, by_row in (("ocean", False), ("ocean_rows", True)) if not options.ours else ():
        models[name], scales = ocean(compiled, by_row=by_row)
        weight = np.array([FACTORS[by_row] * bias for bias in biases(unpriced(compiled))])
        margins[name] = gaps(rows, weight, 0.0 * weight) / (warmth * scales)
    lift = compiled.lift_to(compiled.unpriced)

    def decode(name: str, samplesets: list[dimod.SampleSet]) -> None:
        result = compiled.decode(samplesets, descend=True)
        reads = result.reads
        columns[f"{name}_feasible_reads"] += reads.feasible[head, query].tolist()
        columns[f"{name}_rows_under_5"] += (reads.feasible[head, query] < 0.05).tolist()
        for step in ("sampled", "repaired", "descended"):
            optimal = getattr(reads, step)[head, query] <= least + close
            columns[f"{name}_optimum_{step}"] += optimal.tolist()
        plain = compiled.decode(samplesets)
        columns[f"{name}_error"] += plain.output_errors(attention)[head, query].tolist()
        columns[f"{name}_broken"].append(result.chain_break_fraction)
        bits = np.zeros((len(samplesets[0]), len(compiled.program)), np.int8)
        for part, sampleset in zip(compiled.submissions, samplesets, strict=True):
            bits[:, part.variables] = part.read(sampleset).samples
        points = lift.lift(bits)
        columns[f"{name}_optimum_reads"] += [
            float((points[:, row.var] == row.bits).all(axis=1).mean()) for row in rows
        ]
        if name in margins:
            columns[f"{name}_margins"] += margins[name].tolist()

    for seed in range(options.seeds):
        machine = qa.SimulatedMachine(target, seed=seed, **machine_options)
        for name, parts in models.items():
            decode(
                name,
                [
                    machine.sample(part, num_reads=options.reads, seed=1000 * seed + number)
                    for number, part in enumerate(parts)
                ],
            )
        if options.ours:
            continue
        flips = np.random.default_rng(seed)
        decode(
            "random",
            [
                dimod.SampleSet.from_samples(
                    (flips.integers(0, 2, (options.reads, len(part.variables))), part.variables),
                    "BINARY",
                    np.zeros(options.reads),
                )
                for part in compiled.submissions
            ],
        )
    return columns


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", required=True, help="working graph, or a name")
    options.add_argument("--machine", default="simulated", choices=["simulated"])
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--rows", type=int, default=60, help="rows of each file, at least")
    options.add_argument("--reads", type=int, default=100)
    options.add_argument("--seeds", type=int, default=3, help="machines, each with its own errors")
    options.add_argument("--errors", type=float, default=1.0, help="times the machine's own")
    options.add_argument("--temperature", type=float, help="the machine's own where left out")
    options.add_argument("--told", type=float, help="temperature that the compiler is told")
    options.add_argument("--ours", action="store_true", help="leave out the other routes")
    options.add_argument("--files", help="part of their names; all of 16 to 66 tokens without")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    assert target is not None
    machine = {
        "field_error": chosen.errors * target.errors.field,
        "coupling_error": chosen.errors * target.errors.coupling,
        "temperature": chosen.temperature or target.temperature,
    }
    stated = machine | ({} if chosen.told is None else {"temperature": chosen.told})
    chosen.target = qa.Target.of(qa.SimulatedMachine(target, **stated))
    pooled: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for model, path, arrays in attention_files(Path(chosen.data)):
        tokens = arrays["scores"].shape[2]
        if not 16 <= tokens <= 66 or (chosen.files and chosen.files not in path.name):
            continue
        columns = measure(arrays, chosen, "causal" in path.name, machine)
        for name, column in columns.items():
            pooled[model][name] += column
        line = {name: round(float(np.nanmean(column)), 4) for name, column in columns.items()}
        print(path.stem, line, flush=True)
    finish(
        {model: summary(columns, chosen.seeds) for model, columns in pooled.items()}, chosen.json
    )


if __name__ == "__main__":
    main()
