"""The figures of `warm.py`, worked out of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np

ROUTES = ("ours", "ocean", "ocean_rows", "random")
EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 1e9)


def summary(columns: dict[str, list[float]], seeds: int) -> dict[str, Any]:
    """Return the pooled figures of a model, under the names that the module describes."""
    names = {
        "feasible_reads": "feasible_reads",
        "rows_under_5": "rows_under_5",
        "optimum_sampler": "optimum_sampled",
        "optimum_repair_alone": "optimum_repaired",
        "optimum_repaired": "optimum_descended",
        "error": "error",
    }
    routes = [name for name in ROUTES if f"{name}_error" in columns]
    figures: dict[str, Any] = {"rows": float(len(columns["error_topk"]))}
    for route in routes:
        prefix = "" if route == "ours" else f"{route}_"
        for name, column in names.items():
            figures[prefix + name] = float(np.nanmean(columns[f"{route}_{column}"]))
    for name in ("error_exact", "error_topk"):
        figures[name] = float(np.nanmean(columns[name]))
    for name, column in (("feasible", "ours_feasible_reads"), ("optimum", "ours_optimum_reads")):
        shares = by_machine(columns, column, seeds)
        figures[f"rank_{name}"] = rank(np.array(columns[f"predicted_{name}"]), shares.mean(axis=0))
        if seeds > 1:
            halves = shares[::2].mean(axis=0), shares[1::2].mean(axis=0)
            figures[f"ceiling_{name}"] = rank(*halves)
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    measured = [route for route in routes if route != "random"]
    return rounded | {"margins": {route: by_margin(columns, route) for route in measured}}


def by_machine(columns: dict[str, list[float]], name: str, seeds: int) -> np.ndarray:
    """Return a column of shares, one line for each machine; files follow each other in it."""
    parts, sizes, start = [], columns["rows_of_file"], 0
    for size in map(int, sizes):
        part = np.array(columns[name][start : start + seeds * size])
        parts.append(part.reshape(seeds, size))
        start += seeds * size
    return np.concatenate(parts, axis=1)


def rank(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def by_margin(columns: dict[str, list[float]], route: str) -> list[list[float]]:
    """Return rows grouped by margin: median margin, rows, reads feasible, reads the optimum."""
    margin = np.array(columns[f"{route}_margins"])
    shares = [np.array(columns[f"{route}_{name}"]) for name in ("feasible_reads", "optimum_reads")]
    group, lines = np.digitize(margin, EDGES), []
    for number in np.unique(group).tolist():
        inside = group == number
        means = [float(share[inside].mean()) for share in shares]
        lines.append([float(np.median(margin[inside])), int(inside.sum()), *means])
    return [[round(figure, 4) for figure in line] for line in lines]
