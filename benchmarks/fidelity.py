"""How well compiled selections reproduce the attention output, against top-k.

Relative error of each row's output, over all rows of all files: ours, and the k keys of largest
softmax mass decoded three ways: renormalised, weighted by their mass alone, and with OUR residual
decoder. The last is the fair baseline: most of the gain over renormalised top-k is the decoder's.
With ``--levels L`` the keys also take soft weights of L levels (`soft`) beside hard ones (`ours`).

With ``--objective renormalised`` it is the error of what the kept keys give by themselves: ours
after all rounds, every baseline of `qa.baseline` by the same decoder, and the share of rows proven
optimal within their slots. ``--long DIR`` takes contexts of many tokens from their queries and
keys, causal, ``--stride`` queries apart from query 64 on.

    python benchmarks/fidelity.py --data DIR --keys 4 --target zephyr:12 --json
    python benchmarks/fidelity.py --data DIR --keys 4,8,16 --objective renormalised --json
    python benchmarks/fidelity.py --long DIR --keys 16 --objective renormalised --json
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.decoding.baselines import BASELINES
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors, selection_errors
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


def long_files(folder: str, stride: int) -> Iterator[tuple[str, Path, dict[str, np.ndarray]]]:
    """Yield name, path, scores and values of every long context in ``folder``."""
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as file:
            query, key, value = (file[name].astype(float) for name in ("query", "key", "value"))
            scale = float(file["scaling"])
        heads, tokens, _ = query.shape
        owner = np.arange(heads) * len(key) // heads
        rows = np.arange(64, tokens, stride)
        scores = scale * (query[:, rows] @ key[owner].transpose(0, 2, 1))
        scores = np.where(np.arange(tokens) <= rows[:, None], scores, -np.inf)
        yield path.stem, path, {"scores": scores, "value": value[owner]}


def measure_renormalised(
    arrays: dict[str, np.ndarray], keys: int, target: str | None, seed: int
) -> dict[str, list[float]]:
    """Return renormalised errors of all rows, and what is proven of them."""
    scores, values = arrays["scores"], arrays["value"]
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(keys),
        objective="renormalised",
        values=values,
        target=target,
    )
    result = compiled.solve(seed=seed)
    attention, rounds = compiled.attention, result.rounds
    assert rounds is not None
    columns = {
        "ours": rounds.error,
        "optimal": rounds.optimal,
        "better": rounds.better,
        "by_search": rounds.searched,
    }
    for name in BASELINES:
        chosen = qa.baseline(name, compiled)
        columns[name] = selection_errors("renormalise", chosen, attention)
    return {name: column.astype(float).ravel().tolist() for name, column in columns.items()}


def renormalised(
    chosen: argparse.Namespace, keys: list[int], target: str | None
) -> dict[str, object]:
    """Return the means of all columns, by model or file and by number of keys."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for k in keys:
        files = long_files(chosen.long, chosen.stride) if chosen.long else None
        for name, path, arrays in files or attention_files(chosen.data):
            columns = measure_renormalised(arrays, k, target, chosen.seed)
            kept = found.setdefault(name, {}).setdefault(f"k={k}", defaultdict(list))
            for column, entries in columns.items():
                kept[column] += entries
            print(f"{path.name:<40} k = {k}  ours {np.nanmean(columns['ours']):.4f}", flush=True)
    return {
        name: {
            k: {"rows": len(columns["ours"])}
            | {column: float(np.nanmean(entries)) for column, entries in columns.items()}
            for k, columns in by_k.items()
        }
        for name, by_k in found.items()
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", help="folder of attention files")
    options.add_argument("--long", help="folder of long contexts, for renormalised errors")
    options.add_argument("--stride", type=int, default=16, help="of the queries of long contexts")
    options.add_argument("--keys", default="4", help="one number, or several parted by commas")
    options.add_argument("--objective", choices=("output", "renormalised"), default="output")
    options.add_argument("--levels", type=int, default=0, help="0 for hard selections alone")
    options.add_argument("--target", default="zephyr:12", help="or none, for logical models")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    keys = [int(k) for k in chosen.keys.split(",")]
    target = None if chosen.target == "none" else chosen.target
    if chosen.objective == "renormalised":
        means = renormalised(chosen, keys, target)
        for name, by_k in means.items():
            print(name, by_k)
        finish({"renormalised": means}, chosen.json)
        return
    if chosen.data is None or chosen.long is not None or len(keys) != 1:
        options.error("the output objective takes --data and one number of --keys")
    columns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    files: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for model, path, arrays in attention_files(chosen.data):
        found = measure(arrays, keys[0], chosen.levels, target, chosen.seed)
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
