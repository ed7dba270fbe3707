"""How well compiled selections reproduce the attention output, against top-k and other baselines.

Relative error of each row's output, over all rows of all files. ``--objective`` says what is
compiled, one objective or several:

* ``output``: by our ``residual`` decoder, beside the k keys of largest softmax mass decoded three
  ways: renormalised, weighted by their mass alone, and with OUR decoder. The last is the fair
  baseline: most of the gain over renormalised top-k is the decoder's. With ``--levels L`` the keys
  also take soft weights of L levels (`soft`). The object "output" of the JSON has both backgrounds,
  ``"mean"`` and ``"auto"``, each with every baseline of `qa.baseline` decoded alike; what the
  selection gives by the other decoders; and how many rows are proven optimal.
* ``renormalised``: the error of what the kept keys give by themselves: ours after all rounds,
  every baseline by the same decoder, and the share of rows proven optimal within their slots.
* ``layer``: the error of the layer behind its output projection, a file's ``output_projection``:
  heads by themselves, in its metric, and all heads of a query in one problem; 16 slots, solved
  here.

``--tied`` adds one selection for all heads of a key/value head, query by query, beside top-k tied
alike. ``--long DIR`` takes contexts of many tokens from their queries and keys, causal; its queries
are ``--stride`` apart, from query 64 on. With ``--later`` it is the keys of a cache instead, chosen
on past queries and judged on later ones, see `later_queries`.

    python benchmarks/fidelity.py --data DIR --keys 4 --target zephyr:12 --json
    python benchmarks/fidelity.py --data DIR --keys 4,8,16 --objective renormalised --json
    python benchmarks/fidelity.py --long DIR --keys 4,8,16 --objective output,renormalised --json
    python benchmarks/fidelity.py --long DIR --keys 8 --objective layer --json
    python benchmarks/fidelity.py --long DIR --later
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import attention_files, finish, parser, top_k
from later_queries import later, table

import qubo_attn as qa
from qubo_attn.decoding.baselines import BASELINES, decoded
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors, selection_errors

LAYER_SLOTS = 16


class Task(NamedTuple):
    """What is measured: a file's arrays, and how they are compiled."""

    arrays: dict[str, np.ndarray]
    keys: int
    levels: int
    target: str | None
    tied: bool
    seed: int

    def compile(self, objective: Any, **options: Any) -> qa.CompiledAttention:
        """Compile it by an objective, for exactly k keys where no option says otherwise."""
        scores = self.arrays["scores"]
        given = {"select": qa.ExactlyK(self.keys), "target": self.target, **options}
        values = self.arrays["value"]
        return qa.compile(scores, len(scores), objective=objective, values=values, **given)

    @property
    def tie(self) -> qa.TieVariables | None:
        """The tie of heads that share a key/value head; None where it is not asked for."""
        owner = self.arrays["kv_head"]
        if not self.tied or len(np.unique(owner)) == len(owner):
            return None
        return qa.TieVariables.from_kv_head(owner)


# Numbers of each row, by group and name.
Columns = dict[tuple[str, str], np.ndarray]


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
        name: errors(weights_of(name, attention, chosen)) for name in ("renormalise", "residual")
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
    """Yield name, path and arrays of every long context in ``folder``."""
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise SystemExit(f"{folder} holds no .npz files")
    for path in paths:
        with np.load(path) as file:
            query, key, value = (file[name].astype(float) for name in ("query", "key", "value"))
            scale, owner = float(file["scaling"]), file["kv_head"]
            projection = file["output_projection"].astype(float)
        rows, tokens = np.arange(64, query.shape[1], stride), query.shape[1]
        scores = scale * (query[:, rows] @ key[owner].transpose(0, 2, 1))
        scores = np.where(np.arange(tokens) <= rows[:, None], scores, -np.inf)
        arrays = {"scores": scores, "value": value[owner], "kv_head": owner}
        yield path.stem, path, arrays | {"output_projection": projection}


def output_columns(task: Task) -> Columns:
    """Return errors of ``output`` by both backgrounds, and of its selection by other decoders."""
    columns: Columns = {}
    for background in ("mean", "auto"):
        objective = qa.Output(background=background)
        compiled = task.compile(objective)
        attention, backgrounds = compiled.attention, compiled.backgrounds
        result = compiled.solve(seed=task.seed)
        columns[background, "output"] = result.output_errors(attention)
        columns[background, "proven"] = result.proven
        if task.levels:
            soft = task.compile(objective, select=qa.SoftWeights(task.levels, k=task.keys))
            columns[background, "soft"] = soft.solve(seed=task.seed).output_errors(attention)
        for name in BASELINES:
            kept = qa.baseline(name, compiled)
            columns[background, name] = selection_errors("residual", kept, attention, backgrounds)
        if task.tie is not None:
            tied = task.compile(objective, tie=task.tie)
            columns[background, "tied"] = tied.solve(seed=task.seed).output_errors(attention)
            kept = qa.baseline("top-k", tied)
            error = selection_errors("residual", kept, attention, tied.backgrounds)
            columns[background, "tied top-k"] = error
        if background == "mean":
            for name, kept in (
                ("output", result.selected),
                ("top-k", qa.baseline("top-k", compiled)),
            ):
                columns["renormalise", name] = selection_errors("renormalise", kept, attention)
                weighted = np.where(kept, attention.softmax, 0.0) @ task.arrays["value"]
                columns["weighted", name] = relative_errors(weighted, attention)
    return columns


def renormalised_columns(task: Task) -> Columns:
    """Return renormalised errors of all rows, and what is proven of them."""
    compiled = task.compile("renormalised")
    rounds, attention = compiled.solve(seed=task.seed).rounds, compiled.attention
    assert rounds is not None
    columns: Columns = {
        ("", "ours"): rounds.error,
        ("", "optimal"): rounds.optimal,
        ("", "better"): rounds.better,
        ("", "by_search"): rounds.searched,
    }
    for name in BASELINES:
        kept = qa.baseline(name, compiled)
        columns["", name] = selection_errors("renormalise", kept, attention)
    if task.tie is not None:
        tied = task.compile("renormalised", tie=task.tie)
        result = tied.solve(seed=task.seed)
        columns["", "tied"] = result.output_errors(attention)
        kept = qa.baseline("top-k", tied)
        columns["", "tied top-k"] = selection_errors("renormalise", kept, attention)
    return columns


def layer_columns(task: Task) -> Columns:
    """Return errors of the layer's output for all queries, by both backgrounds."""
    projection = task.arrays.get("output_projection")
    if projection is None:
        raise SystemExit("layer needs files with an output_projection: --long DIR")
    columns: Columns = {}
    for background in ("mean", "auto"):
        output, layer = qa.Output(background=background), qa.Layer(background=background)
        bare = {"slots": LAYER_SLOTS, "target": None}
        behind = bare | {"output_projection": projection}
        metric = task.compile(output, **behind)
        results = {
            "output": task.compile(output, **bare).solve(seed=task.seed),
            "projected": metric.solve(seed=task.seed),
            "layer": task.compile(layer, **behind).solve(seed=task.seed),
        }
        for name, result in results.items():
            columns[background, name] = result.layer_errors(metric.attention)
        for name in BASELINES:
            context = decoded(metric, qa.baseline(name, metric), "residual")
            replaced = dataclasses.replace(results["output"], context=context)
            columns[background, name] = replaced.layer_errors(metric.attention)
    return columns


MEASURES: dict[str, Callable[[Task], Columns]] = {
    "output": output_columns,
    "renormalised": renormalised_columns,
    "layer": layer_columns,
}
# What the line of a file shows.
SHOWN = {
    "output": [("mean", "output"), ("mean", "top-k"), ("auto", "output"), ("auto", "top-k")],
    "renormalised": [("", "ours"), ("", "top-k")],
    "layer": [("mean", "layer"), ("mean", "projected"), ("mean", "top-k")],
}


def means_of(objective: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the means of all columns, by model or file, number of keys and group."""
    found: dict[str, dict[str, dict[tuple[str, str], list[float]]]] = {}
    for k in chosen.keys:
        files = long_files(chosen.long, chosen.stride) if chosen.long else None
        for name, path, arrays in files or attention_files(chosen.data):
            task = Task(arrays, k, chosen.levels, chosen.target, chosen.tied, chosen.seed)
            columns = MEASURES[objective](task)
            kept = found.setdefault(name, {}).setdefault(f"k={k}", defaultdict(list))
            for column, entries in columns.items():
                kept[column] += entries.astype(float).ravel().tolist()
            shown = "  ".join(
                f"{' '.join(filter(None, column))} {np.nanmean(columns[column]):.4f}"
                for column in SHOWN[objective]
            )
            print(f"{path.name:<40} {objective}, k = {k}  {shown}", flush=True)
    return {
        name: {k: grouped(columns) for k, columns in by_k.items()} for name, by_k in found.items()
    }


def grouped(columns: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """Return means by group and name, and the number of rows."""
    facts: dict[str, Any] = {"rows": len(next(iter(columns.values())))}
    for (group, name), entries in columns.items():
        place = facts.setdefault(group, {}) if group else facts
        place[name] = float(np.nanmean(entries))
    return facts


def as_before(chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return means, medians and means of files of annealed ``output``, by model."""
    columns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    files: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    (keys,) = chosen.keys
    for model, path, arrays in attention_files(chosen.data):
        found = measure(arrays, keys, chosen.levels, chosen.target, chosen.seed)
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
    return facts


def main() -> None:
    options = parser(__doc__)
    source = options.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", help="folder of attention files")
    source.add_argument("--long", help="folder of long contexts")
    options.add_argument("--stride", type=int, default=16, help="of the queries of long contexts")
    options.add_argument("--keys", default="4", help="one number, or several parted by commas")
    options.add_argument("--objective", default="output", help="one, or several parted by commas")
    options.add_argument("--levels", type=int, default=0, help="0 for hard selections alone")
    options.add_argument("--tied", action="store_true", help="tie heads of a key/value head too")
    options.add_argument("--later", action="store_true", help="keys of a cache, on later queries")
    options.add_argument("--target", default="zephyr:12", help="or none, for logical models")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    chosen.keys = [int(k) for k in chosen.keys.split(",")]
    chosen.target = None if chosen.target == "none" else chosen.target
    objectives = chosen.objective.split(",")
    for objective in objectives:
        if objective not in MEASURES:
            options.error(f"no objective {objective!r}; one of {', '.join(MEASURES)}")
    if chosen.later:
        if not chosen.long:
            options.error("--later takes --long")
        means = later(sorted(Path(chosen.long).glob("*.npz")), seed=chosen.seed)
        print(table(means))
        finish({"later": means}, chosen.json)
        return
    facts: dict[str, Any] = {}
    if "output" in objectives and chosen.data and len(chosen.keys) == 1:
        facts |= as_before(chosen)
    for objective in objectives:
        facts[objective] = means_of(objective, chosen)
        for name, by_k in facts[objective].items():
            print(objective, name, by_k)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
