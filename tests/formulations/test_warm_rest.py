from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.formulations.warm import TEMPERATURES
from qubo_attn.ir.program import Program

WARMTHS = (0.02, 0.115, 0.3)
ATMOST = """
x[0,0,0] : -2
x[0,0,1] : -1.5
x[0,0,2] : 1
x[0,0,3] : 0.5
x[0,0,4] : 0.3
x[0,0,0] * x[0,0,1] : 0.7
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] + x[0,0,4] <= 3
"""
BUDGET = """
x[0,0,0] : -2
x[0,0,1] : -1.5
x[0,0,2] : -1
x[0,0,3] : 0.5
pick[0,0]: 2 x[0,0,0] + x[0,0,1] + 3 x[0,0,2] + x[0,0,3] == 4
"""


def gap(rewrite: object, original: Program) -> float:
    """How far the lowest infeasible point lies above the optimum, slack bits at their best."""
    program = rewrite.program  # type: ignore[attr-defined]
    bits = (np.arange(2 ** len(program))[:, None] >> np.arange(len(program))) & 1
    energies = program.energies(bits)
    points = rewrite.lift.lift(bits)  # type: ignore[attr-defined]
    c = original.constraints
    sums = points[:, c.var] @ c.coef
    good = sums <= c.rhs[0] if "<=" in str(original) else sums == c.rhs[0]
    return float(energies[~good].min() - energies[good].min())


@pytest.mark.parametrize("text", [ATMOST, BUDGET], ids=["at-most", "budget"])
def test_margins_grow_with_the_temperature_and_hold(text: str) -> None:
    warmths = (0.005, 0.02, 0.04)
    program = Program.parse(text)
    margins = []
    for warmth in warmths:
        rewrite = qa.InsertPenalties(at_most="binary", temperature=warmth).apply(program)
        assert gap(rewrite, program) >= rewrite.margin * (1 - 1e-9) > 0
        margins.append(rewrite.margin)
        assert " temperatures in 1 " in " ".join(rewrite.notes)
    assert margins == sorted(margins)
    assert margins[2] > 4 * margins[0]
    # The fixed point: the margin is that many temperatures of the form with it.
    total = rewrite.program.total()
    h = total.linear / 2
    for ends in (total.i, total.j):
        h = h + np.bincount(ends, total.bias / 4, len(h))
    least = max(np.abs(h).max() / 6 / 3, np.maximum(total.bias / 4, -total.bias / 8).max())
    assert margins[2] >= TEMPERATURES * warmths[2] * least * 0.9


def test_levels_and_gates_are_proven_for_what_is_sent(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"][:1, :1, :5],
        1,
        select=qa.SoftWeights(2, k=2),
        objective="output",
        values=minilm["value"][:1, :5],
        target=None,
    )
    program = compiled.stages[compiled.unpriced].program
    margins = []
    for warmth in WARMTHS:
        rewrite = qa.InsertPenalties(temperature=warmth).apply(program)
        proof = rewrite.certificates
        assert proof is not None
        assert "temperatures in 6 constraints of rows with levels" in " ".join(rewrite.notes)
        assert proof.recheck(exact=True) == []
        assert len(np.unique(proof.margin)) == 1  # one component, one margin
        margins.append(float(proof.margin[0]))
    assert margins == sorted(margins)
    assert margins[2] > margins[0]


def test_an_aim_is_a_floor() -> None:
    program = Program.parse(BUDGET)
    aimed = qa.InsertPenalties(temperature=0.115, aim=5.0).apply(program)
    assert aimed.margin >= 5.0 * TEMPERATURES * (1 - 1e-9)
    hot = qa.InsertPenalties(temperature=5.0).apply(program)
    hotter = qa.InsertPenalties(temperature=10.0).apply(program)
    assert hotter.margin == pytest.approx(2 * hot.margin)  # no fixed point, and no explosion
