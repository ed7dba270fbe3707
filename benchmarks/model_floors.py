"""What quality whole models are to reach, checked on what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model_methods import BESIDE

# KL to the full model as a share of that of top-k with the same decoder, at most, by k.
SHARES = {"output": {"4": 0.88, "8": 0.82}, "soft weights": {"4": 0.40, "8": 0.40}}
# Perplexity of soft weights of 8 keys, over the full model's.
PERPLEXITY = 1.005
# Seconds of the processor a layer of 1,152 rows.
SECONDS = 0.4
# KL through embeddings, over that of exact solving.
EMBEDDED = 1.3


def floors(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what must hold of what was measured, each with its figure and whether it does."""
    smollm2 = facts.get("smollm2", {})
    lines = [*_shares(smollm2.get("quality", {})), *_routes(smollm2.get("routes", {}))]
    return [
        {"what": what, "figure": figure, "most": most, "holds": figure <= most}
        for what, figure, most in lines
    ]


def _shares(quality: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    for name, by_k in quality.items():
        for k, figures in by_k.items():
            for other in BESIDE.get(name, ()):
                beside = quality.get(other, {}).get(k)
                if beside is not None:
                    most = SHARES.get(name, {}).get(k, 1.0) if other == "top-k" else 1.0
                    yield (
                        f"{name}, KL over that of {other}, k = {k}:",
                        _ratio(figures, beside),
                        most,
                    )
    for name, k in (("output", "4"), ("output", "8")):
        if k in quality.get(name, {}):
            yield f"{name}, CPU s a layer, k = {k}:", quality[name][k]["seconds"], SECONDS
    soft = quality.get("soft weights", {}).get("8")
    if soft is not None:
        ratio = soft["perplexity"] / soft["full_perplexity"]
        yield "soft weights, perplexity over the full model's, k = 8:", ratio, PERPLEXITY


def _routes(routes: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    for way, figures in routes.items():
        if way != "exact":
            yield (
                f"{way}, KL over that of exact solving:",
                _ratio(figures, routes["exact"]),
                EMBEDDED,
            )


def _ratio(ours: dict[str, float], other: dict[str, float]) -> float:
    return ours["kl"] / other["kl"]
