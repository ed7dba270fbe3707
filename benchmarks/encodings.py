"""What encodings of soft weights cost once embedded, and what `auto` chooses.

For each file, levels and machine: qubits of the whole compilation with every fixed encoding and
with `auto`. `worst` is the largest ratio of auto to the best fixed choice.

    python benchmarks/encodings.py --data DIR --targets zephyr:12,pegasus:16 --json
"""

from __future__ import annotations

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.common.vocabulary import ENCODINGS
from qubo_attn.pipeline.pipeline import Pass


def qubits(arrays: dict[str, np.ndarray], encoding: str, levels: int, target: str) -> int:
    """Return the working qubits that all submissions take together."""
    scores = arrays["scores"]
    steps: list[Pass] = [qa.Sparsify(slots=8)]
    # One-hot weights must be bits before they are priced; the others are priced more tightly first.
    order = (qa.InsertPenalties(), qa.BinarizeWeights(encoding, topology=target.split(":")[0]))
    steps += reversed(order) if encoding == "one-hot" else order
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.SoftWeights(levels),
        objective="sparsemax",
        passes=steps,
        target=target,
    )
    placement = compiled.placement
    assert placement is not None
    return len(placement.chain_qubit)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--targets", default="zephyr:12")
    options.add_argument("--levels", default="3,7,15")
    options.add_argument("--every", type=int, default=1, help="take every n-th file")
    chosen = options.parse_args()
    facts: dict[str, dict[str, float]] = {}
    for target in chosen.targets.split(","):
        worst, where = 0.0, ""
        for _, path, arrays in list(attention_files(chosen.data))[:: chosen.every]:
            arrays["scores"] = arrays["scores"][:2, :8]
            for levels in map(int, chosen.levels.split(",")):
                taken = {
                    name: qubits(arrays, name, levels, target) for name in (*ENCODINGS, "auto")
                }
                ratio = taken["auto"] / max(min(taken[name] for name in ENCODINGS), 1)
                shown = "  ".join(f"{name} {count}" for name, count in taken.items())
                print(f"{target} {path.name:<32} 0..{levels:<3} {shown}", flush=True)
                if ratio > worst:
                    worst, where = ratio, f"{path.name}, 0..{levels}"
        facts[target] = {"worst": worst}
        print(f"{target}: auto takes at most {worst:.3f} of the best fixed choice ({where})")
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
