"""Which chain strength serves best: local annealing of the embedded models.

Compiles attention files with each choice of ``chain_strength``, anneals the physical models of the
first submissions (chains and all) and decodes. With ``--noise`` every field and coupling is first
off by a normal error, as on a machine (fields 0.02, couplings 0.015 in hardware units by default).
Signal: standard deviation of a row's fields per qubit, in hardware units.

    python benchmarks/chain_strength.py --data DIR --files minilm_d08_L1_n30 --noise --json
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dimod
import numpy as np
from common import finish, parser
from dwave.samplers import SimulatedAnnealingSampler

import qubo_attn as qa


class Annealer(dimod.Sampler):  # type: ignore[misc]  # published without types
    """Local annealing that takes the place of a machine, errors in its coefficients included."""

    parameters: Mapping[str, Any] = {"num_reads": []}
    properties: Mapping[str, Any] = {}

    def __init__(self, target: qa.Target, noise: tuple[float, float], seed: int) -> None:
        self.nodelist = [target.qubit_name(q) for q in range(len(target.qubits))]
        self.edgelist: list[Any] = []
        self.noise, self.seed, self.calls = noise, seed, 0

    def sample(self, bqm: dimod.BinaryQuadraticModel, num_reads: int = 16) -> dimod.SampleSet:
        self.calls += 1
        generator = np.random.default_rng([self.seed, self.calls])
        vectors = bqm.to_numpy_vectors(return_labels=True)
        i, j, bias = vectors.quadratic
        noisy = dimod.BinaryQuadraticModel.from_numpy_vectors(
            vectors.linear_biases + self.noise[0] * generator.normal(size=bqm.num_variables),
            (i, j, bias + self.noise[1] * generator.normal(size=len(bias))),
            bqm.offset,
            "SPIN",
            variable_order=vectors.labels,
        )
        seed = int(generator.integers(2**31))
        return SimulatedAnnealingSampler().sample(
            noisy, num_reads=num_reads, num_sweeps=256, seed=seed
        )


def signal(compiled: qa.CompiledAttention) -> float:
    values, placement = compiled.coefficients, compiled.placement
    assert values is not None
    assert placement is not None
    per_qubit = values.h / placement.chain_lengths
    groups = np.argsort(placement.component, kind="stable")
    cuts = np.cumsum(np.bincount(placement.component))[:-1]
    return float(np.median([np.std(part) for part in np.split(per_qubit[groups], cuts)]))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--files", default="minilm_d08_L1_n30,smollm2-causal_d09_L8_n27")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--strengths", default="auto,torque,bound,2")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--slots", type=int, default=16)
    options.add_argument("--objective", default="output")
    options.add_argument("--noise", action="store_true")
    options.add_argument("--h-error", type=float, default=0.02)
    options.add_argument("--j-error", type=float, default=0.015)
    options.add_argument("--seed", type=int, default=3)
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    assert target is not None
    noise = (chosen.h_error, chosen.j_error) if chosen.noise else (0.0, 0.0)
    facts: dict[str, dict[str, dict[str, float]]] = {}
    for name in chosen.files.split(","):
        with np.load(Path(chosen.data) / f"{name}.npz") as file:
            scores, values = file["scores"], file["value"]
        facts[name] = {}
        for strength in chosen.strengths.split(","):
            named = strength in ("torque", "bound", "auto")
            compiled = qa.compile(
                scores,
                len(scores),
                select=qa.ExactlyK(chosen.keys),
                objective=chosen.objective,
                values=values,
                slots=chosen.slots,
                target=target,
                chain_strength=strength if named else float(strength),
            )
            result = compiled.solve(Annealer(target, noise, chosen.seed))
            facts[name][strength] = {
                "feasible": float(result.feasible.mean()),
                "error": float(np.nanmean(result.output_errors(compiled.attention))),
                "breaks": result.chain_break_fraction,
                "signal": signal(compiled),
            }
            shown = "  ".join(f"{k} {v:.4f}" for k, v in facts[name][strength].items())
            print(f"{name:<28} {strength:<8} {shown}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
