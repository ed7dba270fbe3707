"""Observation windows: only their queries are compiled, now and in every later batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa

CAUSAL = np.tri(12, dtype=bool)


def compiled(queries: Any, seed: int = 1, required: Any = None) -> qa.CompiledAttention:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(2, 12, 3))
    return qa.compile(
        generator.normal(size=(2, 12, 12)),
        2,
        values=values,
        mask=CAUSAL,
        select=qa.Budget(5),
        objective="output",
        tie=qa.TieVariables(queries=True),
        queries=queries,
        required=required,
        target=None,
    )


@pytest.mark.parametrize(
    ("queries", "same"), [(4, range(8, 12)), ([2, 9], [2, 9]), (40, range(12))]
)
def test_a_window_is_what_its_queries_alone_would_be(queries: Any, same: list[int]) -> None:
    generator, rows = np.random.default_rng(1), list(same)
    values = generator.normal(size=(2, 12, 3))
    scores = generator.normal(size=(2, 12, 12))[:, rows]
    alone = qa.compile(
        scores, 2, values=values, mask=CAUSAL[rows], select=qa.Budget(5), objective="output",
        tie=qa.TieVariables(queries=True), target=None,
    )  # fmt: skip
    window = compiled(queries)
    assert window.attention.shape == (2, len(rows), 12)
    assert str(window.program) == str(alone.program)


def test_required_keys_come_for_all_queries() -> None:
    required = np.isin(np.arange(12), [0, 7]) & CAUSAL
    kept = compiled(4, required=required).solve(seed=1).selected.any(axis=1)
    assert kept[:, [0, 7]].all()
    assert (kept.sum(axis=-1) == 5).all()


def test_the_next_batch_has_the_same_window(tmp_path: Path) -> None:
    first = compiled(4)
    generator = np.random.default_rng(2)
    values, scores = generator.normal(size=(2, 12, 3)), generator.normal(size=(2, 12, 12))
    again, fresh = first.rebind(scores, values=values), compiled(4, seed=2)
    assert again.attention.shape == (2, 4, 12)
    # The values come first in `compiled`.
    assert str(again.program) == str(fresh.rebind(scores, values=values).program)
    first.save(tmp_path / "kept")
    loaded = qa.load(tmp_path / "kept")
    assert str(loaded.program) == str(first.program)
    assert str(loaded.rebind(scores, values=values).program) == str(again.program)


def test_a_stream_has_the_same_window() -> None:
    generator = np.random.default_rng(3)
    batch = generator.normal(size=(3, 2, 12, 12))
    select = qa.ExactlyK(2)
    items = list(qa.compile_batch(batch, 2, mask=CAUSAL, select=select, queries=3, target=None))
    assert [item.attention.shape for item in items] == 3 * [(2, 3, 12)]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (0, "queries must be a whole number of at least 1, not 0"),
        ([3, 2], "ascending order"),
        ([], "ascending order"),
        ([-1, 2], "ascending order"),
        (2.5, "queries must be a whole number of at least 1"),
        ([3, 12], "queries name query 12, but there are 12"),
    ],
)
def test_no_window(queries: Any, message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        compiled(queries)
