"""How well compiled selections reproduce the attention output, against top-k.

Relative error of each row's output, over all rows of all files: ours, and the k keys of largest
softmax mass decoded three ways: renormalised, weighted by their mass alone, and with OUR residual
decoder. The last is the fair baseline: most of the gain over renormalised top-k is the decoder's.
With ``--levels L`` the keys also take soft weights of L levels (`soft`) beside hard ones (`ours`).

    python benchmarks/fidelity.py --data DIR --keys 4 --target zephyr:12 --json
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors
from qubo_attn.ir.heads import top_k


def measure(
    arrays: dict[str, np.ndarray], keys: int, levels: int, target: str | None, seed: int
) -> dict[str, list[float]]:
    scores, values = arrays["scores"], arrays["value"]
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(keys),
        objective="output",
        values=values,
        target=target,
    )
    result = compiled.solve("anneal", seed=seed)
    attention = compiled.attention
    chosen = top_k(attention.softmax, attention.visible, np.full(scores.shape[:2], keys))

    def errors(weights: np.ndarray) -> list[float]:
        return relative_errors(weights @ attention.values, attention).ravel().tolist()

    decoded = {
        name: errors(weights_of(name, attention.softmax, chosen, attention.visible))
        for name in ("renormalise", "residual")
    }
    soft = {}
    if levels:
        again = qa.compile(
            scores,
            len(scores),
            select=qa.SoftWeights(levels, k=keys),
            objective="output",
            values=values,
            target=target,
        ).solve("anneal", seed=seed)
        soft = {
            "soft": again.output_errors(attention).ravel().tolist(),
            "soft_feasible": again.feasible.ravel().astype(float).tolist(),
        }
    return {
        "feasible": result.feasible.ravel().astype(float).tolist(),
        "ours": result.output_errors(attention).ravel().tolist(),
        **soft,
        "topk_renormalised": decoded["renormalise"],
        "topk_weighted": errors(np.where(chosen, attention.softmax, 0.0)),
        "topk_residual": decoded["residual"],
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--levels", type=int, default=0, help="0 for hard selections alone")
    options.add_argument("--target", default="zephyr:12", help="or none, for logical models")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    columns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    files: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    target = None if chosen.target == "none" else chosen.target
    for model, path, arrays in attention_files(chosen.data):
        found = measure(arrays, chosen.keys, chosen.levels, target, chosen.seed)
        for name, column in found.items():
            columns[model][name] += column
            files[model][name].append(float(np.nanmean(column)))
        shown = "  ".join(f"{name} {np.nanmean(column):.4f}" for name, column in found.items())
        print(f"{path.name:<40} {shown}", flush=True)
    facts: dict[str, dict[str, float]] = {}
    for model, found in columns.items():
        facts[model] = {"rows": len(found["ours"]), "feasible": float(np.mean(found["feasible"]))}
        for name in sorted(found.keys() - {"feasible"}):
            facts[model][name] = float(np.nanmean(found[name]))
            facts[model][f"{name}_median"] = float(np.nanmedian(found[name]))
            # Files differ in length: the mean of their means weighs short texts like long ones.
            facts[model][f"{name}_mean_of_files"] = float(np.mean(files[model][name]))
        print(model, {name: round(value, 4) for name, value in facts[model].items()})
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
