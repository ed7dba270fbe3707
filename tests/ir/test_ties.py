"""Ties against their definition, variable by variable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.ir.ties import Ties, head_groups
from tests.support.strategies import programs


@given(programs(heads=4), st.booleans(), st.booleans())
def test_leaders_are_the_first_variables_of_their_kind(
    program: Program, queries: bool, soft: bool
) -> None:
    ties = Ties(((0, 2), (1, 3)), queries, soft)
    v, first = program.variables, {}
    lead = {h: h if soft else h % 2 for h in range(4)}
    expected = []
    for n in range(len(program)):
        query = 0 if queries else v.query[n]
        kind = (lead[int(v.head[n])], query, v.key[n], v.bit[n], v.role[n])
        expected.append(first.setdefault(kind, n))
    assert ties.leaders(v).tolist() == expected
    assert ties.merge == (queries or not soft)


def test_heads_beyond_those_there_are_lead_nobody() -> None:
    assert Ties(((1, 7), (8, 9))).leading_heads(3).tolist() == [0, 1, 2]
    assert Ties(((0, 1),)).lead(np.array([-1, 1, 2], np.int32)).tolist() == [-1, 0, 2]


def test_groups_are_checked() -> None:
    assert head_groups("Test", [(np.int64(1), 0)]) == ((1, 0),)
    with pytest.raises(qa.InputError, match="a head of Test must be a whole number"):
        head_groups("Test", [(0, 1.0)])
    with pytest.raises(qa.InputError, match="head 3 stands in two groups of Test"):
        head_groups("Test", [(3, 1), (2, 3)])
