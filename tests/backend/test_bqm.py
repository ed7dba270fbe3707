"""Models of a second batch, against models made from nothing; arrays without any model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import dimod
import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import PRICED, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite


@dataclass(frozen=True)
class Priced:
    """Every constraint at one weight, whatever the scores are."""

    weight: float = 3.0

    name: ClassVar[str] = "priced"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({PRICED})
    breaks: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})

    def apply(self, program: Program) -> Rewrite:
        c = program.constraints
        weight = np.full(len(c), self.weight)
        priced = replaced(c, weight=weight, slope=np.zeros(len(c)))
        return Rewrite(program.replace(constraints=priced), qa.Lift.identity(len(program)))


def made(scores: np.ndarray, objective: object = "hard", **options: object) -> qa.CompiledAttention:
    chosen = {"passes": (Priced(),), "target": None, "select": qa.ExactlyK(3)} | options
    return qa.compile(scores, len(scores), objective=objective, **chosen)


def anew(part: qa.Submission) -> dimod.BinaryQuadraticModel:
    quadratic = (part.i, part.j, part.bias)
    return dimod.BQM.from_numpy_vectors(part.linear, quadratic, part.offset, part.vartype)


@pytest.fixture
def scores(minilm: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Three batches of one shape: heads of a real layer."""
    return [minilm["scores"][start : start + 4] for start in (0, 4, 8)]


@pytest.mark.parametrize("objective", ["hard", "selection"])
def test_second_batch_has_a_model_of_its_own(scores: list[np.ndarray], objective: str) -> None:
    first = made(scores[0], objective)
    held, kept = first.submissions[0].bqm, anew(first.submissions[0])
    again = first.rebind(scores[1])
    part = again.submissions[0]
    assert part.bqm == anew(made(scores[1], objective).submissions[0])
    assert part.bqm is not held
    assert held == kept
    part.bqm.scale(2.0)
    assert held == kept
    points = np.random.default_rng(0).integers(0, 2, (20, len(part.linear)))
    fresh = made(scores[2], objective).submissions[0].bqm
    third = again.rebind(scores[2]).submissions[0].bqm
    assert np.array_equal(third.energies(points), fresh.energies(points))


@pytest.mark.parametrize("target", [None, "zephyr:3"])
def test_vectors_are_the_model(scores: list[np.ndarray], target: str | None) -> None:
    compiled = qa.compile(scores[0], 4, select=qa.ExactlyK(3), target=target)
    parts = compiled.submissions
    assert isinstance(parts, tuple)
    assert (len(parts) > 1) == (target is not None)
    for part, vectors in zip(parts, parts.to_vectors(), strict=True):
        linear, quadratic, offset, labels, vartype = vectors
        model = dimod.BQM.from_numpy_vectors(
            linear, quadratic, offset, vartype, variable_order=labels.tolist()
        )
        assert model == part.bqm
        assert vectors == part.to_vectors()
        half = part.to_bqm(np.float32)
        assert half.dtype == np.float32
        assert half.is_almost_equal(part.bqm, places=3)
        assert part.to_bqm() == part.bqm
        assert part.to_bqm() is not part.bqm


def test_compiling_makes_no_models() -> None:
    """Arrays come without dimod; only an import of it in the process could make a model."""
    code = """
import sys
import numpy as np
import qubo_attn as qa
scores = np.random.default_rng(0).normal(size=(2, 3, 8))
for target in (None, "all-to-all"):
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), target=target)
    again = compiled.rebind(scores[::-1])
    assert again.submissions.to_vectors()[0].linear.any()
    str(again.report())
assert "dimod" not in sys.modules, "dimod"
placed = qa.compile(scores, 2, select=qa.ExactlyK(2), target="zephyr:2")
known = "dimod" in sys.modules  # a search for a new packing may need its library
assert placed.rebind(scores[::-1]).submissions.to_vectors()
assert placed.hardware_arrays()[0].any()
placed.wires()
assert known or "dimod" not in sys.modules, "dimod"
for part in placed.submissions:
    assert not {"bqm", "embedded_bqm"} & set(vars(part))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
