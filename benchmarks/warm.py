"""What a warm machine returns: our default compilation beside Ocean's routes.

Sampled rows of each file, several machines (seeds of errors), one programming's reads each. Every
route has the same embedding, the same reads and the same decoder. Ocean's models are those of
dimod's ``cqm_to_bqm`` with torque compensation: `ocean` scales all rows together with the default
multiplier, `ocean_rows` scales each row on its own with one times the largest bias.

Figures, by model: share of reads that are feasible as sampled; rows of which fewer than one in
twenty are; rows whose best feasible read is the optimum (within the slots), as sampled, once every
read is repaired, and after one-exchange descent; the output error as decoded by default, the
optimum's, and that of top-k with the same decoder. ``random_*`` decodes coin flips so: what
the decoder does alone.

    python benchmarks/warm.py --data DIR --target FILE --machine simulated --json
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import dimod
import numpy as np
from common import attention_files, finish, parser
from dwave.embedding import EmbeddedStructure, embed_bqm
from dwave.embedding.chain_strength import uniform_torque_compensation

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors
from qubo_attn.ir.heads import top_k
from qubo_attn.ir.program import Program
from qubo_attn.machine.ranges import range_use


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


def optima(program: Program) -> Iterator[tuple[int, int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield head, query, variables, best selection and all energies of each row."""
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
        bits = selections(len(var), int(c.rhs[row]))
        energies = bits @ o.linear[var] + ((bits @ square) * bits).sum(axis=1)
        yield c.head[row], c.query[row], var, bits[energies.argmin()], energies


def ocean_models(program: Program, factor: float | None) -> list[dimod.BinaryQuadraticModel]:
    """Return each row as Ocean lowers it: objective and an equality, through ``cqm_to_bqm``."""
    c, o, models = program.constraints, program.objective, []
    owner = np.full(len(program), -1)
    owner[c.var] = c.row
    for row in range(len(c)):
        var = c.var[c.ptr[row] : c.ptr[row + 1]].tolist()
        inside = np.flatnonzero(owner[o.i] == row)
        objective = dimod.BinaryQuadraticModel("BINARY")
        objective.add_linear_from(zip(var, o.linear[var], strict=True))
        objective.add_quadratic_from(zip(o.i[inside], o.j[inside], o.bias[inside], strict=True))
        model = dimod.ConstrainedQuadraticModel.from_bqm(objective)
        model.add_constraint([(v, 1) for v in var], "==", rhs=int(c.rhs[row]))
        largest = max(map(abs, [*objective.linear.values(), *objective.quadratic.values()]))
        options = {} if factor is None else {"lagrange_multiplier": factor * largest}
        models.append(dimod.cqm_to_bqm(model, **options)[0].change_vartype("SPIN", inplace=False))
    return models


def ocean(compiled: qa.CompiledAttention, *, by_row: bool) -> list[dimod.BinaryQuadraticModel]:
    """Return Ocean's embedded models of a compilation, on its own chains, within all ranges."""
    program = unpriced(compiled)
    models = ocean_models(program, 1.0 if by_row else None)
    target, embedded = compiled.recipe.target, []
    assert target is not None
    graph = target.graph()
    for part in compiled.submissions:
        carried = set(part.variables.tolist())
        mine = [model for model in models if set(model.variables) <= carried]
        groups = mine if by_row else [dimod.BinaryQuadraticModel("SPIN")]
        if not by_row:
            for model in mine:
                groups[0].update(model)
        whole = dimod.BinaryQuadraticModel("SPIN")
        for model in groups:
            chains = {v: part.embedding[v] for v in model.variables}
            qubits = {q for chain in chains.values() for q in chain}
            structure = EmbeddedStructure(graph.subgraph(qubits).edges, chains)
            strength = uniform_torque_compensation(model)
            physical = embed_bqm(model, structure, chain_strength=strength)
            physical.scale(1.0 / used(target, physical))
            whole.update(physical)
        embedded.append(whole)
    return embedded


def used(target: qa.Target, model: dimod.BinaryQuadraticModel) -> float:
    """Return the share of the machine's ranges that a physical model uses."""
    labels = list(model.variables)
    h, (i, j, bias), _ = model.to_numpy_vectors(labels)
    qubit = np.searchsorted(target.qubits, labels)
    return range_use(target, qubit, h, target.coupler_numbers(qubit[i], qubit[j]), bias)


def unpriced(compiled: qa.CompiledAttention) -> Program:
    """Return the program before its constraints were priced."""
    priced = (stage.program.constraints.priced.any() for stage in compiled.stages)
    return compiled.stages[next(n for n, price in enumerate(priced) if price) - 1].program


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
    best, span, where = [], [], []
    exact = np.zeros(attention.shape, bool)
    variables = unpriced(compiled).variables
    for head, query, var, bits, energies in optima(unpriced(compiled)):
        exact[head, query, variables.key[var[bits > 0]]] = True
        best.append(float(energies.min()))
        span.append(np.ptp(energies))
        where.append((head, query))
    head, query = np.array(where).T
    least, close = np.array(best), 1e-9 * np.array(span) + 1e-300

    def output_errors(selected: np.ndarray) -> np.ndarray:
        weights = weights_of("residual", attention.softmax, selected, attention.visible)
        assert attention.values is not None
        errors: np.ndarray = relative_errors(weights @ attention.values, attention)[head, query]
        return errors

    columns: dict[str, list[float]] = defaultdict(list)
    top = top_k(attention.softmax, attention.visible, np.full(attention.shape[:2], keys))
    columns["error_exact"] = output_errors(exact).tolist()
    columns["error_topk"] = output_errors(top).tolist()
    models = {
        "ours": [part.embedded_bqm for part in compiled.submissions],
        "ocean": ocean(compiled, by_row=False),
        "ocean_rows": ocean(compiled, by_row=True),
    }

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
    options.add_argument("--files", help="part of their names; all of 16 to 66 tokens without")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    assert target is not None
    machine = {
        "field_error": chosen.errors * target.errors.field,
        "coupling_error": chosen.errors * target.errors.coupling,
    }
    if chosen.temperature is not None:
        machine["temperature"] = chosen.temperature
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
    finish({model: summary(columns) for model, columns in pooled.items()}, chosen.json)


def summary(columns: dict[str, list[float]]) -> dict[str, float]:
    """Return the pooled figures of a model, under the names that the module describes."""
    names = {
        "feasible_reads": "feasible_reads",
        "rows_under_5": "rows_under_5",
        "optimum_sampler": "optimum_sampled",
        "optimum_repaired": "optimum_repaired",
        "optimum_descended": "optimum_descended",
        "error": "error",
    }
    figures = {"rows": float(len(columns["error_topk"]))}
    for route in ("ours", "ocean", "ocean_rows", "random"):
        prefix = "" if route == "ours" else f"{route}_"
        for name, column in names.items():
            figures[prefix + name] = float(np.nanmean(columns[f"{route}_{column}"]))
    for name in ("error_exact", "error_topk"):
        figures[name] = float(np.nanmean(columns[name]))
    return {name: round(figure, 4) for name, figure in figures.items()}


if __name__ == "__main__":
    main()
