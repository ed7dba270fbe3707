"""Rows of exactly k keys as networks and grids, by enumeration."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.cardinality import Cardinality, cheapest
from qubo_attn.grids import grid_of
from qubo_attn.ir import Program
from qubo_attn.laws import every_point
from qubo_attn.networks import network_of
from tests import oracle
from tests.strategies import programs

FORMS = ("dense", "network", "grid")


def row(costs: list[float], k: int, pairs: dict[tuple[int, int], float] | None = None) -> Program:
    lines = [f"x[0,0,{i}] : {cost!r}" for i, cost in enumerate(costs)]
    lines += [f"x[0,0,{i}] * x[0,0,{j}] : {b!r}" for (i, j), b in (pairs or {}).items()]
    total = " + ".join(f"x[0,0,{i}]" for i in range(len(costs)))
    return Program.parse("\n".join([*lines, f"pick[0,0]: {total} == {k}"]))


GRID = """\
program variables=4 terms=0 constraints=4
offset -5
a[0,0,*,0] : 3
a[0,0,*,1] : -2
a[0,0,*,2] : -2
a[0,0,*,3] : 1
wall[0,0,*,0]: a[0,0,*,0] - a[0,0,*,2] <= 0 price 1
wall[0,0,*,1]: a[0,0,*,1] - a[0,0,*,3] <= 0 price 1
wall[0,0,*,2]: -a[0,0,*,0] + a[0,0,*,1] <= 0 price 1
wall[0,0,*,3]: -a[0,0,*,2] + a[0,0,*,3] <= 0 price 1
"""
NETWORK = """\
program variables=6 terms=0 constraints=3
offset 0
x[0,0,0] : -1
x[0,0,1] : -4
x[0,0,2] : -2
x[0,0,3] : -3
a[0,0,*,0] : 0
a[0,0,*,1] : 0
switch[0,0,*,0]: a[0,0,*,0] + a[0,0,*,1] == 1 price 0 slope 3.5
switch[0,0,*,1]: x[0,0,0] + x[0,0,1] - a[0,0,*,0] == 0 price 0 slope 3.5
switch[0,0,*,2]: x[0,0,2] + x[0,0,3] - a[0,0,*,1] == 0 price 0 slope 3.5
"""


@pytest.mark.parametrize(("form", "k", "expected"), [("grid", 2, GRID), ("network", 1, NETWORK)])
def test_golden(form: str, k: int, expected: str) -> None:
    program = row([-1.0, -4.0, -2.0, -3.0], k)
    rewrite = qa.InsertPenalties(margin=0, cardinality=form).apply(program)
    assert str(rewrite.program) == expected
    assert Program.parse(rewrite.program.text(exact=True)).same(rewrite.program)


@given(programs(heads=2, most_keys=4), st.sampled_from(FORMS[1:]), st.sampled_from([0.0, 0.05, 0.5]))
@settings(max_examples=100)
def test_optima_are_kept_whatever_is_coupled(program: Program, form: str, margin: float) -> None:
    rewrite = qa.InsertPenalties(margin=margin, cardinality=form).apply(program)
    if len(rewrite.program) > 12:
        return
    qa.validate(program, rewrite)
    assert rewrite.certificates is not None
    assert rewrite.certificates.recheck(exact=True) == []
