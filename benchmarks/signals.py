"""Score signal per qubit after embedding and auto-scaling, against Ocean's defaults.

The signal of a row is the standard deviation of its linear biases (what they have in common, as
from a penalty, carries no score), shared by the qubits of a chain, in hardware units of h with the
documented auto-scale factor applied. Ocean's default is ``cqm_to_bqm`` (multiplier ten
times the largest bias) and ``EmbeddingComposite`` (``find_embedding``, uniform torque
compensation), one row at a time.

    python benchmarks/signal.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

import dimod
import minorminer
import numpy as np
from common import attention_files, finish, parser
from dwave.embedding import EmbeddedStructure, embed_bqm

import qubo_attn as qa
from qubo_attn.machine.ranges import range_use


def ocean_signal(
    bqm: dimod.BinaryQuadraticModel, structure: EmbeddedStructure, target: qa.Target
) -> float:
    spins = bqm.change_vartype("SPIN", inplace=False)
    embedded = embed_bqm(spins, structure)
    vectors = embedded.to_numpy_vectors(return_labels=True)
    h, (i, j, bias) = vectors.linear_biases, vectors.quadratic
    place = np.searchsorted(target.qubits, np.array(vectors.labels))
    coupler = target.coupler_numbers(place[i], place[j])
    scale = range_use(target, place, h, coupler, bias)
    logical = np.array([spins.linear[v] for v in structure])
    return float(np.std(logical) * np.mean([1 / len(structure[v]) for v in structure]) / scale)


def default_bqm(program: qa.Program, row: int) -> dimod.BinaryQuadraticModel:
    """Return one row through a constrained quadratic model and ``cqm_to_bqm``."""
    rows, o = program.constraints, program.objective
    var = rows.var[rows.ptr[row] : rows.ptr[row + 1]]
    place = np.full(len(program), -1)
    place[var] = np.arange(len(var))
    mine = place[o.i] >= 0
    objective = dimod.BinaryQuadraticModel.from_numpy_vectors(
        o.linear[var], (place[o.i[mine]], place[o.j[mine]], o.bias[mine]), 0.0, "BINARY"
    )
    cqm = dimod.ConstrainedQuadraticModel.from_bqm(objective)
    cqm.add_constraint([(v, 1) for v in range(len(var))], "==", rhs=int(rows.rhs[row]))
    return dimod.cqm_to_bqm(cqm)[0]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--every", type=int, default=20, help="Ocean's way for every N-th row")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    assert target is not None
    graph = target.graph()
    edges = sorted(tuple(sorted(edge)) for edge in graph.edges)
    structures: dict[int, EmbeddedStructure] = {}
    worst, ours_all, ocean_all = np.inf, [], []
    for _, path, arrays in attention_files(chosen.data):
        compiled = qa.compile(
            arrays["scores"],
            len(arrays["scores"]),
            select=qa.ExactlyK(chosen.keys),
            objective="output",
            values=arrays["value"],
            target=target,
        )
        program, values = compiled.program, compiled.coefficients
        assert values is not None
        assert compiled.placement is not None
        rows = program.constraints
        share = 1 / compiled.placement.chain_lengths
        ours, ocean = [], []
        for row in range(0, len(rows), chosen.every):
            var = rows.var[rows.ptr[row] : rows.ptr[row + 1]]
            if len(var) not in structures:
                clique = [(a, b) for a in range(len(var)) for b in range(a)]
                found = minorminer.find_embedding(clique, edges, random_seed=1)
                structures[len(var)] = EmbeddedStructure(edges, found)
            ours.append(float(np.std(values.h[var]) * share[var].mean()))
            before = next(s for s in compiled.stages if s.name == "binarize-weights").program
            ocean.append(ocean_signal(default_bqm(before, row), structures[len(var)], target))
        ratio = np.median(ours) / np.median(ocean)
        worst = min(worst, ratio)
        ours_all += ours
        ocean_all += ocean
        print(
            f"{path.name:<40} ours {np.median(ours):.4f}  ocean {np.median(ocean):.4f}  "
            f"ratio {ratio:.1f}",
            flush=True,
        )
    facts = {
        "ours": float(np.median(ours_all)),
        "ocean_default": float(np.median(ocean_all)),
        "ratio": float(np.median(np.array(ours_all) / np.array(ocean_all))),
        "smallest_file_ratio": float(worst),
    }
    print(facts)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
