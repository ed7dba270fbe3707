"""Weights checked again by other means than those that made them."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.formulations import component, rebounds, recheck
from qubo_attn.formulations.certificates import Certificates, Method

# A key with all the mass, priced out of proportion: every feasible energy rounds to the same.
DROWNED = """\
x[0,0,0] : -1.25
x[0,0,1] : 1e-17
w[0,0,0] in 0..3 : 0
w[0,0,1] in 0..3 : 0
x[0,0,0] * x[0,0,1] : -1e-17
pick[0,0]: x[0,0,0] + x[0,0,1] == 1
gate[0,0,0]: -3 x[0,0,0] + w[0,0,0] <= 0
gate[0,0,1]: -3 x[0,0,1] + w[0,0,1] <= 0
"""


def certificates(text: str, weight: float, margin: float, method: Method) -> Certificates:
    program = qa.Program.parse(text)
    c = program.constraints
    rows = np.ones(len(c))
    return Certificates(
        program,
        np.arange(len(c)),
        weight * rows,
        0.0 * rows,
        margin * rows,
        np.full(len(c), method, np.int8),
        np.nan * rows,
        np.zeros(len(c.var) + len(c)),
        np.zeros(len(c.var), np.uint8),
        40,
    )


@pytest.mark.parametrize("method", [Method.STEPS, Method.LEVELS])
def test_a_weight_that_float64_cannot_carry_is_not_proven(method: Method) -> None:
    labels = ["pick[0,0]", "gate[0,0,0]", "gate[0,0,1]"]
    assert certificates(DROWNED, 1.7e19, 1e18, method).recheck() == labels
    assert certificates(DROWNED, 2.5, 0.06, method).recheck() == []
    # Too small a weight, and a margin that rounding takes.
    assert "pick[0,0]" in certificates(DROWNED, 0.01, 0.06, method).recheck()
    assert certificates(DROWNED, 2.5, 1e-17, method).recheck() == labels


def test_it_shares_no_code_with_what_made_the_weights() -> None:
    """Neither kernels nor proofs are imported by what checks them, at any depth of its own."""
    names: set[str] = set()
    for module in (component, rebounds, recheck):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text())
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    own = {"component", "method", "rebounds", "recheck"}
    places = {n.removeprefix("qubo_attn.formulations.") for n in names if "formulations" in n}
    assert places <= own
    assert not any("kernels" in name for name in names)


@pytest.mark.parametrize(
    ("select", "objective"),
    [
        (qa.SoftWeights(3, k=4), "output"),
        (qa.ExactlyK(6), "output"),
        (qa.ExactlyK(5), "redundancy"),
    ],
)
def test_rows_too_large_to_enumerate(
    smollm2: dict[str, np.ndarray], select: qa.SoftWeights | qa.ExactlyK, objective: str
) -> None:
    """Bounds of its own prove what was proven, and not half of it."""
    compiled = qa.compile(
        smollm2["scores"][:2, 16:],
        2,
        select=select,
        objective=objective,
        values=smollm2["value"][:2],
        keys=smollm2["key"][:2],
        slots=None,
        target=None,
    )
    found = compiled.certificates
    assert found.recheck() == []
    lower = dataclasses.replace(found, weight=0.3 * found.weight - 0.2 * found.weight.mean())
    assert len(lower.recheck()) >= 0.5 * len(found)
