"""Requests that contradict each other are named, ties taken into account."""

from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa

SCORES = np.random.default_rng(0).normal(size=(4, 2, 5))
PAIRS = qa.TieVariables(groups=((0, 1), (2, 3)))


def keys(*cells: tuple[int, int, int]) -> np.ndarray:
    wanted = np.zeros(SCORES.shape, bool)
    for cell in cells:
        wanted[cell] = True
    return wanted


def fails(message: str, **options: object) -> qa.InputError:
    with pytest.raises(qa.InputError, match=message) as caught:
        qa.compile(SCORES, 4, target=None, **options)
    return caught.value


def test_rows_count_what_is_required_of_tied_rows() -> None:
    required = keys((0, 1, 0), (0, 1, 1), (1, 1, 2))
    assert qa.compile(SCORES, 4, select=qa.ExactlyK(2), required=required, target=None)
    error = fails(
        r"head 0, query 1 may keep 2 keys, but 3 are required \(keys 0, 1, 2\)",
        select=qa.ExactlyK(2),
        required=required,
        tie=PAIRS,
    )
    assert (error.head, error.query, error.keys) == (0, 1, (0, 1, 2))
    over_queries = qa.TieVariables(queries=True)
    fails(
        "head 1, query 0 may keep 1 key, but 2 are required",
        select=qa.AtMostK(1),
        required=keys((1, 0, 0), (1, 1, 3)),
        tie=over_queries,
    )


def test_budgets_of_a_head() -> None:
    required = keys((0, 0, 0), (0, 1, 0), (0, 1, 4), (1, 1, 2))
    fails("head 0 .* may keep 2 keys, but 3 are required", select=qa.Budget(2), required=required)
    tied = qa.TieVariables(PAIRS.groups, queries=True)
    error = fails(
        r"head 0 .* may keep 2 keys, but 3 are required \(keys 0, 2, 4\)",
        select=qa.Budget(2),
        required=required,
        tie=tied,
    )
    assert (error.head, error.keys) == (0, (0, 2, 4))
    alone = qa.TieVariables(queries=True)
    compiled = qa.compile(SCORES, 4, select=qa.Budget(2), required=required, tie=alone, target=None)
    kept = compiled.solve("anneal", seed=1).selected.any(axis=1)
    assert kept[0].tolist() == [True, False, False, False, True]
    assert kept[1, 2]


def test_a_budget_of_all_heads() -> None:
    required = keys((0, 0, 0), (1, 1, 0), (2, 1, 3), (3, 0, 3))
    budget = qa.Budget(3, over="all")
    fails(
        "all heads together may keep 3 keys, but 4 are required", select=budget, required=required
    )
    tied = qa.TieVariables(PAIRS.groups, queries=True)
    compiled = qa.compile(SCORES, 4, select=budget, required=required, tie=tied, target=None)
    assert compiled.solve("anneal", seed=1).selected.any(axis=1)[::2].sum() == 3
    fails(
        "all heads together may keep 1 key, but 2 are required",
        select=qa.Budget(1, over="all"),
        required=required,
        tie=tied,
    )


def test_a_key_required_and_forbidden_by_tied_heads() -> None:
    options = {"required": keys((0, 1, 2)), "forbidden": keys((1, 1, 2)), "select": qa.ExactlyK(2)}
    assert qa.compile(SCORES, 4, target=None, **options)
    error = fails(
        "key 2 is required by head 0, query 1 and forbidden by head 1, query 1, which are tied",
        tie=PAIRS,
        **options,
    )
    assert (error.key, error.heads, error.queries) == (2, (0, 1), (1, 1))
    fails(
        "key 1 is required by head 2, query 1 and forbidden by head 2, query 0, which are tied",
        required=keys((2, 1, 1)),
        forbidden=keys((2, 0, 1)),
        tie=qa.TieVariables(queries=True),
    )


def test_soft_ties_require_nothing_of_other_heads() -> None:
    tie = qa.TieVariables(PAIRS.groups, strength=1.0)
    compiled = qa.compile(
        SCORES,
        4,
        select=qa.ExactlyK(2),
        required=keys((0, 1, 2)),
        forbidden=keys((1, 1, 2)),
        tie=tie,
        target=None,
    )
    chosen = compiled.solve("anneal", seed=1).selected
    assert chosen[0, 1, 2]
    assert not chosen[1, 1, 2]


def test_soft_weights_cannot_be_required() -> None:
    options = {"select": qa.SoftWeights(3), "objective": "sparsemax"}
    fails(
        "key 4 of head 2, query 0 is required, but the head gives out soft weights",
        required=keys((2, 0, 4)),
        **options,
    )
    compiled = qa.compile(SCORES, 4, forbidden=keys((2, 0, 4)), target=None, **options)
    assert compiled.solve("anneal", seed=1).weights[2, 0, 4] == 0
