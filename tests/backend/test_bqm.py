"""Models of a second batch, against models made from nothing; arrays without any model."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program, replaced
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
    # Columns may lie in one piece of memory: all are shared, or none keeps the others alive.
    for name in ("i", "j", "bias"):
        shared = np.shares_memory(getattr(part, name), getattr(first.submissions[0], name))
        assert shared == (objective == "hard")
    assert part.bqm == anew(made(scores[1], objective).submissions[0])
    assert part.bqm is not held
    assert held == kept
    part.bqm.scale(2.0)
    assert held == kept
    points = np.random.default_rng(0).integers(0, 2, (20, len(part.linear)))
    fresh = made(scores[2], objective).submissions[0].bqm
    third = again.rebind(scores[2]).submissions[0].bqm
    assert np.array_equal(third.energies(points), fresh.energies(points))


def test_models_are_copied_where_only_linear_biases_change(
    scores: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(scores[0])
    assert first.submissions[0].bqm.num_interactions > 0
    again = first.rebind(scores[1])
    assert np.array_equal(again.program.total().linear, made(scores[1]).program.total().linear)
    monkeypatch.setattr(qa.Submission, "to_bqm", None)
    monkeypatch.setattr("qubo_attn.backend.bqm.fresh", None)
    assert again.submissions[0].bqm == anew(again.submissions[0])


def _coupler(value: float) -> Callable[[dimod.BinaryQuadraticModel], object]:
    return lambda model: model.set_quadratic(0, 1, value)


EDITS: dict[str, Callable[[dimod.BinaryQuadraticModel], object]] = {
    "coupler": lambda model: model.add_quadratic(1, 2, 1e-6),
    "two": lambda model: [model.add_quadratic(0, 1, 1.0), model.add_quadratic(1, 2, -1.0)],
    "infinite": _coupler(np.inf),
    "nan": _coupler(np.nan),
    "gone": lambda model: model.remove_interaction(0, 1),
    "zero-coupler": lambda model: model.add_quadratic(0, 399, 0.0),
    "linear": lambda model: model.add_linear(3, 1e-12),
    "nan-linear": lambda model: model.set_linear(3, np.nan),
    "offset": lambda model: setattr(model, "offset", 1.0),
    "scale": lambda model: model.scale(0.5),
    "flip": lambda model: model.flip_variable(0),
    "vartype": lambda model: model.change_vartype("SPIN"),
    "labels": lambda model: model.relabel_variables({0: "a"}),
    "swap": lambda model: model.relabel_variables({0: 1, 1: 0}),
    "fewer": lambda model: model.fix_variable(0, 1),
    "more": lambda model: model.add_variable(),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("objective", ["hard", "selection"])
def test_edits_of_one_batch_stay_there(scores: list[np.ndarray], edit: str, objective: str) -> None:
    first = made(scores[0], objective)
    EDITS[edit](first.submissions[0].bqm)
    again = first.rebind(scores[1])
    assert again.submissions[0].bqm == anew(again.submissions[0])


@pytest.mark.parametrize("objective", ["hard", "selection", "output"])
def test_a_model_is_taken_over(
    scores: list[np.ndarray], minilm: dict[str, np.ndarray], objective: str
) -> None:
    values = minilm["value"][:4] if objective == "output" else None
    first = made(scores[0], objective, values=values)
    model, before = first.submissions[0].bqm, anew(first.submissions[0])
    for batch in scores[1:]:
        again = first.rebind(batch)
        assert again.submissions[0].bqm_into(first.submissions[0]) is model
        assert model == anew(made(batch, objective, values=values).submissions[0])
        assert again.submissions[0].bqm is model
        assert again.submissions[0].bqm_into(first.submissions[0]) is model
        assert first.submissions[0].bqm == before
        assert first.submissions[0].bqm is not model
        first, before = again, anew(again.submissions[0])


# Single couplers of a model that is handed over are only written where the batch has others.
SINGLE = {"coupler", "two", "infinite", "nan", "gone", "zero-coupler"}
SEEN = {"hard": EDITS.keys() - SINGLE, "selection": EDITS.keys() - {"infinite", "nan"}}


@pytest.mark.parametrize(
    ("objective", "edit"), [(name, edit) for name, edits in SEEN.items() for edit in sorted(edits)]
)
def test_an_edited_model_is_mended_or_given_up(
    scores: list[np.ndarray], edit: str, objective: str
) -> None:
    first = made(scores[0], objective)
    EDITS[edit](first.submissions[0].bqm)
    part = first.rebind(scores[1]).submissions[0]
    assert part.bqm_into(first.submissions[0]) == anew(part)


def test_a_model_that_does_not_fit_is_left_alone(scores: list[np.ndarray]) -> None:
    first, other = made(scores[0]), made(scores[1][:, :4])
    with pytest.raises(qa.InputError, match="takes the submission whose bqm is to be used up"):
        first.submissions[0].bqm_into(first.submissions[0].bqm)
    model = first.submissions[0].bqm
    assert other.submissions[0].bqm_into(first.submissions[0]) == anew(other.submissions[0])
    assert first.submissions[0].bqm is model
    unmade = made(scores[1])
    assert made(scores[2]).submissions[0].bqm_into(unmade.submissions[0]) == anew(
        made(scores[2]).submissions[0]
    )
    assert "bqm" not in vars(unmade.submissions[0])
    assert first.submissions[0].bqm_into(first.submissions[0]) is model


@settings(max_examples=30)
@given(st.data())
def test_any_batch_follows_any_other(data: st.DataObject) -> None:
    """Visible keys, weights and scores change or do not; the model is that of the batch alone."""
    numbers = st.sampled_from([0.0, 0.5, 1.0, -2.0, -np.inf])
    batches = st.lists(numbers, min_size=10, max_size=10).map(lambda x: np.reshape(x, (1, 2, 5)))
    usable = batches.filter(lambda x: bool(np.isfinite(x).any()))
    objective = data.draw(st.sampled_from(["hard", "selection"]))
    chosen = {"passes": None} if data.draw(st.booleans()) else {}
    first = made(data.draw(usable), objective, **chosen)
    made_first = data.draw(st.booleans())
    for part in first.submissions if made_first else ():
        assert part.bqm == anew(part)
    scores = data.draw(usable)
    again, alone = first.rebind(scores), made(scores, objective, **chosen)
    assert again.program.same(alone.program)
    take = data.draw(st.booleans()) and len(first.submissions) > 0
    for part, other in zip(again.submissions, alone.submissions, strict=True):
        model = part.bqm_into(first.submissions[0]) if take else part.bqm
        assert model == other.bqm == anew(part)
        assert part.offset == other.offset


def test_totals_share_couplers_only_where_prices_are_the_same(scores: list[np.ndarray]) -> None:
    first = made(scores[0])
    assert first.submissions[0].bqm.num_variables
    later = made(scores[1], passes=(Priced(2.0),))
    vars(later)["_known"] = lambda: first
    part = later.submissions[0]
    assert np.array_equal(part.i, first.submissions[0].i)
    assert not np.shares_memory(part.i, first.submissions[0].i)
    assert part.bqm == anew(made(scores[1], passes=(Priced(2.0),)).submissions[0])


def test_models_travel_without_the_batch_before(scores: list[np.ndarray]) -> None:
    first = made(scores[0])
    assert first.submissions[0].bqm.num_variables
    again = first.rebind(scores[1])
    part = pickle.loads(pickle.dumps(again.submissions[0]))
    assert part.bqm == again.submissions[0].bqm
    assert pickle.loads(pickle.dumps(again)).submissions[0].bqm == part.bqm
    batch = again.submissions[0]
    del first
    assert batch._earlier is None


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
