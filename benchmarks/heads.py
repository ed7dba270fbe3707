"""Costs and gains of sharing: couplings of heads, soft ties, ties found by overlap.

Over rows of real attention, objective ``output``: the mean share of keys that coupled heads have in
common, the same over all pairs of heads, and the squared output error, as a share of that of
keeping no key at all.

    python benchmarks/heads.py --data DIR --keys 4 --json
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa

STRENGTHS = (0.25, 0.5, 1.0)
OVERLAPS = (0.8, 0.7, 0.6, 0.5)


def share(selected: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    """Return the mean share of keys that the heads of a pair have in common."""
    both = [(selected[h] & selected[g]).sum(axis=-1) for h, g in pairs]
    least = [
        np.minimum(selected[h].sum(axis=-1), selected[g].sum(axis=-1)).clip(min=1) for h, g in pairs
    ]
    return float(np.mean(np.array(both) / np.array(least)))


def measure(
    arrays: dict[str, np.ndarray], keys: int, sweeps: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return the facts of each setting on one file."""
    scores, values, heads = arrays["scores"], arrays["value"], len(arrays["scores"])
    options: dict[str, Any] = {
        "select": qa.ExactlyK(keys),
        "objective": "output",
        "values": values,
        "target": None,
    }
    neighbours = list(pairwise(range(heads)))
    bare = qa.compile(scores, heads, **options).stages[0].program

    def facts(compiled: qa.CompiledAttention) -> dict[str, float]:
        result, v = compiled.solve("anneal", seed=seed, num_sweeps=sweeps), bare.variables
        point = result.selected[v.head, v.query, v.key].astype(float)
        loss = float(bare.objective.energies(point[None])[0])
        return {
            "neighbours": share(result.selected, neighbours),
            "all_pairs": share(result.selected, list(combinations(range(heads), 2))),
            "loss": loss / bare.objective.offset,
            "feasible": float(result.feasible.mean()),
            "variables": float(len(compiled.program)),
            "bound": compiled.stages[1].rewrite.prove() / bare.objective.offset,
        }

    settings = {"apart": qa.compile(scores, heads, **options)}
    every = (tuple(range(heads)),)
    for strength in STRENGTHS:
        for name, coupling in (("diversity", qa.Diversity), ("agreement", qa.Agreement)):
            settings[f"{name} {strength:g}"] = qa.compile(
                scores, heads, coupling=coupling(strength), **options
            )
        tie = qa.TieVariables(every, strength=strength)
        settings[f"soft tie {strength:g}"] = qa.compile(scores, heads, tie=tie, **options)
    settings["tied"] = qa.compile(scores, heads, tie=qa.TieVariables(every), **options)
    for overlap in OVERLAPS:
        tie = qa.TieVariables(overlap=overlap, k=keys)
        settings[f"overlap {overlap:g}"] = qa.compile(scores, heads, tie=tie, **options)
    return {name: facts(compiled) for name, compiled in settings.items()}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--files", type=int, default=1, help="of each model, spread by length")
    options.add_argument("--most-keys", type=int, default=30, help="longest text to take")
    options.add_argument("--sweeps", type=int, default=512, help="of the local annealer")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    models: dict[str, list[dict[str, np.ndarray]]] = {}
    for model, _, arrays in attention_files(chosen.data):
        if arrays["scores"].shape[-1] <= chosen.most_keys:
            models.setdefault(model, []).append(arrays)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for model, files in models.items():
        files.sort(key=lambda arrays: arrays["scores"].shape[-1])
        places = ((np.arange(chosen.files) + 0.5) / chosen.files * len(files)).astype(int)
        runs = [
            measure(files[int(place)], chosen.keys, chosen.sweeps, chosen.seed) for place in places
        ]
        apart = [run["apart"]["variables"] for run in runs]
        table[model] = {}
        for name in runs[0]:
            columns = {fact: [run[name][fact] for run in runs] for fact in runs[0][name]}
            columns["variables"] = [n / m for n, m in zip(columns["variables"], apart, strict=True)]
            table[model][name] = {fact: float(np.mean(column)) for fact, column in columns.items()}
            shown = "  ".join(f"{fact} {value:.3f}" for fact, value in table[model][name].items())
            print(f"{model:<8} {name:<16} {shown}", flush=True)
    finish(table, chosen.json)


if __name__ == "__main__":
    main()
