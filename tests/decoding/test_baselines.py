"""Baselines against their formulas in plain loops, under counts, budgets and ties."""

from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.baselines import BASELINES


def causal(heads: int = 2, tokens: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    scores = 2.0 * generator.normal(size=(heads, tokens, tokens))
    scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
    return scores, generator.normal(size=(heads, tokens, 3))


def score(name: str, p: np.ndarray, v: np.ndarray, w: np.ndarray, query: int, key: int) -> float:
    """The score of a key of one head, whose queries have softmax p."""
    row = p[query]
    seen = [i for i in range(len(row)) if i <= query]
    mean, output = v[seen].mean(axis=0), row @ v
    match name:
        case "top-k":
            return float(row[key])
        case "value-distance":
            return float(row[key] * np.linalg.norm(v[key] - mean))
        case "leave-one-out":
            return float(row[key] / (1 - row[key]) * np.linalg.norm(v[key] - output))
        case "projected-value":
            return float(row[key] * np.abs(v[key] @ w).sum())
        case "accumulated":
            return float(p[:, key].sum())
        case "mean-mass":
            return float(p[:, key].sum() / (len(p) - key))
        case "window":
            return float(p[-3:, key].sum())
    return float(100 - key if key < 4 else key)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "heavy-hitters"])
def test_rows_keep_the_keys_of_the_largest_scores(name: str) -> None:
    scores, values = causal()
    weight = np.random.default_rng(1).normal(size=(2, 3, 4))
    options = {"values": values, "output_projection": weight, "target": None}
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(3), objective="output", **options)
    selected = qa.baseline(name, compiled, window=3)
    p = compiled.attention.softmax
    for head in range(2):
        for query in range(1, 8):
            own = [
                score(name, p[head], values[head], weight[head], query, key)
                for key in range(query + 1)
            ]
            expected = sorted(range(query + 1), key=lambda key: -own[key])[:3]
            assert sorted(expected) == np.flatnonzero(selected[head, query]).tolist()


def test_a_cache_that_drops_keys_never_takes_them_back() -> None:
    scores, _ = causal(heads=1, tokens=10)
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(4), target=None)
    selected = qa.baseline("heavy-hitters", compiled)[0]
    p, sums, held = compiled.attention.softmax[0], np.zeros(10), set(range(10))
    for query in range(10):
        for key in held:
            sums[key] += p[query, key]
        seen = [key for key in held if key <= query]
        latest = {query, query - 1}
        kept = sorted(seen, key=lambda key: (key not in latest, -sums[key]))[:4]
        held -= set(seen) - set(kept)
        assert np.flatnonzero(selected[query]).tolist() == sorted(kept)


def test_tied_rows_add_their_scores_up() -> None:
    scores, values = causal()
    compiled = qa.compile(
        scores,
        2,
        select=qa.Budget(3),
        objective="output",
        values=values,
        tie=qa.TieVariables(queries=True),
        target=None,
    )
    kept = qa.baseline("accumulated", compiled).any(axis=1)
    mass = compiled.attention.softmax.sum(axis=1)
    for head in range(2):
        assert set(np.flatnonzero(kept[head])) == set(np.argsort(-mass[head])[:3].tolist())


def test_a_result_stands_beside_all_of_them() -> None:
    scores, values = causal()
    weight = np.random.default_rng(1).normal(size=(2, 3, 4))
    options = {"select": qa.ExactlyK(3), "values": values, "target": None}
    compiled = qa.compile(scores, 2, objective="renormalised", output_projection=weight, **options)
    result = compiled.solve(seed=1)
    table = result.beside(compiled)
    assert set(table.error) == {"result", *BASELINES}
    assert table.decoder == "renormalise"
    assert table.error["result"] == pytest.approx(
        np.nanmean(result.output_errors(compiled.attention))
    )
    assert table.layer is not None
    assert table.layer["result"] == pytest.approx(
        np.nanmean(result.layer_errors(compiled.attention))
    )
    assert "result" in str(table)
    with pytest.raises(qa.InputError, match="unknown baseline"):
        qa.baseline("best", compiled)
    with pytest.raises(qa.DecodeError, match="needs values"):
        qa.baseline("leave-one-out", qa.compile(scores, 2, target=None))
    other = qa.compile(scores[:1], 1, select=qa.ExactlyK(3), target=None)
    with pytest.raises(qa.InputError, match="the result has shape"):
        result.beside(other)
